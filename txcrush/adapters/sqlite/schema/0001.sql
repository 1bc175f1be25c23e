-- Times are Unix seconds. The server keeps message_count and updated_at itself: there are no triggers.

CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    parent_session_id TEXT,
    title TEXT NOT NULL,
    message_count INTEGER NOT NULL DEFAULT 0 CHECK (message_count >= 0),
    prompt_tokens INTEGER NOT NULL DEFAULT 0 CHECK (prompt_tokens >= 0),
    completion_tokens INTEGER NOT NULL DEFAULT 0 CHECK (completion_tokens >= 0),
    cost REAL NOT NULL DEFAULT 0.0 CHECK (cost >= 0.0),
    updated_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    summary_message_id TEXT,
    todos TEXT
);
CREATE INDEX idx_sessions_created_at ON sessions (created_at);

CREATE TABLE messages (
    id TEXT PRIMARY KEY,
    session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    role TEXT NOT NULL,
    parts TEXT NOT NULL DEFAULT '[]',
    model TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    finished_at INTEGER,
    provider TEXT,
    is_summary_message INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX idx_messages_session_id ON messages (session_id);
CREATE INDEX idx_messages_created_at ON messages (created_at);
CREATE INDEX idx_messages_unfinished ON messages (created_at) WHERE role = 'assistant' AND finished_at IS NULL;

CREATE TABLE files (
    id TEXT PRIMARY KEY,
    session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    path TEXT NOT NULL,
    content TEXT NOT NULL,
    version INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (path, session_id, version)
);
CREATE INDEX idx_files_session_id ON files (session_id);
CREATE INDEX idx_files_path ON files (path);
CREATE INDEX idx_files_created_at ON files (created_at);

CREATE TABLE read_files (
    session_id TEXT NOT NULL CHECK (session_id != '') REFERENCES sessions (id) ON DELETE CASCADE,
    path TEXT NOT NULL CHECK (path != ''),
    read_at INTEGER NOT NULL,
    PRIMARY KEY (path, session_id)
);
CREATE INDEX idx_read_files_session_id ON read_files (session_id);
CREATE INDEX idx_read_files_path ON read_files (path);

-- A prompt may name a session that does not exist, and a run outlives its session: no foreign key.
CREATE TABLE runs (
    id TEXT PRIMARY KEY,
    minted INTEGER NOT NULL,
    session_id TEXT NOT NULL,
    client_run_id TEXT NOT NULL,
    prompt TEXT NOT NULL,
    attachments TEXT,
    when_busy TEXT NOT NULL,
    position INTEGER NOT NULL UNIQUE,
    accepted_at INTEGER NOT NULL,
    user_message_id TEXT NOT NULL DEFAULT '',
    began_at INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE run_ends (
    run_id TEXT PRIMARY KEY REFERENCES runs (id),
    outcome TEXT NOT NULL,
    message_id TEXT NOT NULL,
    text TEXT NOT NULL,
    error TEXT NOT NULL,
    reason TEXT NOT NULL,
    source TEXT NOT NULL,
    ended_at INTEGER NOT NULL
);

CREATE TABLE events (
    seq INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    change TEXT NOT NULL,
    key TEXT NOT NULL,
    body BLOB NOT NULL,
    at INTEGER NOT NULL
);
CREATE INDEX idx_events_kind_key ON events (kind, key);

CREATE VIEW queue AS
    SELECT runs.* FROM runs LEFT JOIN run_ends ON run_ends.run_id = runs.id
    WHERE run_ends.run_id IS NULL AND runs.began_at = 0
    ORDER BY runs.position;

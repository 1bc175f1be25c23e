"""A database as Crush writes it: its tables, indices and triggers, and two sessions in it."""

import sqlite3
from contextlib import closing
from pathlib import Path

from txcrush.adapters.sqlite.crush import NEWEST

VERSIONS = (
    0,
    20250424200609,
    20250515105448,
    20250624000000,
    20250627000000,
    20250810000000,
    20250812000000,
    NEWEST,
)

SCHEMA = """
CREATE TABLE goose_db_version (
    id INTEGER PRIMARY KEY AUTOINCREMENT, version_id INTEGER NOT NULL, is_applied INTEGER NOT NULL,
    tstamp TIMESTAMP DEFAULT (datetime('now')));
CREATE TABLE sessions (
    id TEXT PRIMARY KEY, parent_session_id TEXT, title TEXT NOT NULL,
    message_count INTEGER NOT NULL DEFAULT 0 CHECK (message_count >= 0),
    prompt_tokens INTEGER NOT NULL DEFAULT 0 CHECK (prompt_tokens >= 0),
    completion_tokens INTEGER NOT NULL DEFAULT 0 CHECK (completion_tokens >= 0),
    cost REAL NOT NULL DEFAULT 0.0 CHECK (cost >= 0.0),
    updated_at INTEGER NOT NULL, created_at INTEGER NOT NULL, summary_message_id TEXT, todos TEXT);
CREATE TABLE files (
    id TEXT PRIMARY KEY, session_id TEXT NOT NULL, path TEXT NOT NULL, content TEXT NOT NULL,
    version INTEGER NOT NULL DEFAULT 0, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    FOREIGN KEY (session_id) REFERENCES sessions (id) ON DELETE CASCADE, UNIQUE (path, session_id, version));
CREATE TABLE messages (
    id TEXT PRIMARY KEY, session_id TEXT NOT NULL, role TEXT NOT NULL, parts TEXT NOT NULL DEFAULT '[]', model TEXT,
    created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, finished_at INTEGER, provider TEXT,
    is_summary_message INTEGER DEFAULT 0 NOT NULL,
    FOREIGN KEY (session_id) REFERENCES sessions (id) ON DELETE CASCADE);
CREATE TABLE read_files (
    session_id TEXT NOT NULL CHECK (session_id != ''), path TEXT NOT NULL CHECK (path != ''),
    read_at INTEGER NOT NULL, FOREIGN KEY (session_id) REFERENCES sessions (id) ON DELETE CASCADE,
    PRIMARY KEY (path, session_id));
CREATE INDEX idx_files_session_id ON files (session_id);
CREATE INDEX idx_files_path ON files (path);
CREATE INDEX idx_messages_session_id ON messages (session_id);
CREATE INDEX idx_sessions_created_at ON sessions (created_at);
CREATE INDEX idx_messages_created_at ON messages (created_at);
CREATE INDEX idx_files_created_at ON files (created_at);
CREATE INDEX idx_read_files_session_id ON read_files (session_id);
CREATE INDEX idx_read_files_path ON read_files (path);
CREATE TRIGGER count_up AFTER INSERT ON messages BEGIN
    UPDATE sessions SET message_count = message_count + 1 WHERE id = new.session_id; END;
CREATE TRIGGER count_down AFTER DELETE ON messages BEGIN
    UPDATE sessions SET message_count = message_count - 1 WHERE id = old.session_id; END;
CREATE TRIGGER touch_sessions AFTER UPDATE ON sessions BEGIN
    UPDATE sessions SET updated_at = strftime('%s', 'now') WHERE id = new.id; END;
CREATE TRIGGER touch_messages AFTER UPDATE ON messages BEGIN
    UPDATE messages SET updated_at = strftime('%s', 'now') WHERE id = new.id; END;
"""

CONTENT = """
INSERT INTO sessions (id, title, cost, updated_at, created_at) VALUES
    ('11111111-0000-4000-8000-000000000001', 'From Crush', 0.5, 1795450627, 1795450625),
    ('11111111-0000-4000-8000-000000000002', 'Broken off', 0.0, 1795450629, 1795450628);
INSERT INTO messages (id, session_id, role, parts, model, created_at, updated_at, finished_at, provider) VALUES
    ('m1', '11111111-0000-4000-8000-000000000001', 'user',
     '[{"type":"text","data":{"text":"hello"}},{"type":"finish","data":{"reason":"stop","time":0}}]',
     '', 1795450625, 1795450625, NULL, NULL),
    ('m2', '11111111-0000-4000-8000-000000000001', 'assistant',
     '[{"type":"tool_call","data":{"id":"call_0","name":"view","input":"{}","provider_executed":false,"finished":true}},
       {"type":"finish","data":{"reason":"tool_use","time":1795450625}}]',
     'large', 1795450625, 1795450625, 1795450625, 'chat'),
    ('m3', '11111111-0000-4000-8000-000000000001', 'tool',
     '[{"type":"tool_result","data":{"tool_call_id":"call_0","name":"view","content":"seen","data":"","mime_type":"",
       "metadata":"","is_error":false}},{"type":"finish","data":{"reason":"stop","time":0}}]',
     '', 1795450625, 1795450625, NULL, NULL),
    ('m4', '11111111-0000-4000-8000-000000000001', 'assistant',
     '[{"type":"text","data":{"text":"hi"}},{"type":"finish","data":{"reason":"end_turn","time":1795450626}}]',
     'large', 1795450626, 1795450626, 1795450626, 'chat'),
    ('m5', '11111111-0000-4000-8000-000000000002', 'user',
     '[{"type":"text","data":{"text":"and"}},{"type":"finish","data":{"reason":"stop","time":0}}]',
     '', 1795450628, 1795450628, NULL, NULL),
    ('m6', '11111111-0000-4000-8000-000000000002', 'assistant', '[{"type":"text","data":{"text":"half a"}}]',
     'large', 1795450629, 1795450629, NULL, 'chat');
INSERT INTO files VALUES ('f1', '11111111-0000-4000-8000-000000000001', '/p/a.txt', '', 0, 1795450625, 1795450625);
INSERT INTO read_files VALUES ('11111111-0000-4000-8000-000000000001', 'a.txt', 1795450625);
"""


def write(path: Path, newest: int = NEWEST) -> None:
    """Make the file; `newest` is the version of its schema."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL").fetchone()
        connection.executescript(SCHEMA + CONTENT)
        versions = [*VERSIONS[:-1], newest]
        connection.executemany("INSERT INTO goose_db_version (version_id, is_applied) VALUES (?, 1)", zip(versions))

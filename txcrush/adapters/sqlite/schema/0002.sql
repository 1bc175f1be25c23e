-- The desk's book: what was asked, who answered what and when. It outlives its sessions: no foreign key.
-- `number` is the order in which things were asked.
CREATE TABLE desk (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    session_id TEXT NOT NULL,
    tool_call_id TEXT NOT NULL,
    subject TEXT NOT NULL,
    asked_at INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    settled_by TEXT NOT NULL,
    client_id TEXT NOT NULL,
    via TEXT NOT NULL,
    settled_at INTEGER NOT NULL
);
CREATE INDEX idx_desk_session_id ON desk (session_id);
CREATE INDEX idx_desk_pending ON desk (number) WHERE outcome = 'pending';

CREATE TABLE policies (
    session_id TEXT PRIMARY KEY REFERENCES sessions (id) ON DELETE CASCADE,
    unanswered TEXT,
    skip INTEGER NOT NULL
);

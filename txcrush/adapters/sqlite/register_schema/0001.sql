-- Data directories with unfinished work, which the next start opens again. Nothing here is a secret.
-- Two servers may start at once: the second finds the table made.
-- `number` is the order in which they were listed; times are Unix seconds.
CREATE TABLE IF NOT EXISTS unfinished (
    number INTEGER PRIMARY KEY,
    data_dir TEXT NOT NULL UNIQUE,
    path TEXT NOT NULL,
    workspace_id TEXT NOT NULL,
    debug INTEGER NOT NULL,
    channels TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    error TEXT NOT NULL DEFAULT '',
    failing_since INTEGER NOT NULL DEFAULT 0
);

-- What a run has used: US dollars, tokens of all kinds, requests to models. 0 for runs that ended before this was kept.
ALTER TABLE run_ends ADD COLUMN cost REAL NOT NULL DEFAULT 0;
ALTER TABLE run_ends ADD COLUMN tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE run_ends ADD COLUMN steps INTEGER NOT NULL DEFAULT 0;

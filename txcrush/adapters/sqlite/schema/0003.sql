-- What a read file was like: its size (-1 where that is not known) and its time of change in nanoseconds.
ALTER TABLE read_files ADD COLUMN size INTEGER NOT NULL DEFAULT -1;
ALTER TABLE read_files ADD COLUMN mtime_ns INTEGER NOT NULL DEFAULT 0;

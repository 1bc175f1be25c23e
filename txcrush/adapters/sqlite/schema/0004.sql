-- The limits of the prompt's own run, as JSON; NULL where there are none.
ALTER TABLE runs ADD COLUMN budget TEXT;

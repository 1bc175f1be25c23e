-- Holds the place of another change, so that the next number is its own.
SELECT 1;

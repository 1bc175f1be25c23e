"""Frozen data, ids and errors. No I/O, no Deferreds, nothing that runs."""

"""The store on SQLite: one writer thread, a few readers, numbered migrations."""

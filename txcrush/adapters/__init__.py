"""The edges: SQLite, model providers, tools."""

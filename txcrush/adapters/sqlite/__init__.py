"""The store on SQLite: one writer thread, a few readers, numbered migrations; and the server's register."""

from txcrush.adapters.sqlite.files import OpenSettings
from txcrush.adapters.sqlite.register import SqliteRegister
from txcrush.adapters.sqlite.store import OpenSqliteStore, SqliteStore

__all__ = ["OpenSettings", "OpenSqliteStore", "SqliteRegister", "SqliteStore"]

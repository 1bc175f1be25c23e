"""A server for AI coding agents whose runs belong to the server."""

__version__ = "0.1.0"

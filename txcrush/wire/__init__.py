"""Bytes to model and back. No I/O."""

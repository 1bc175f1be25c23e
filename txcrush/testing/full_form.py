"""How long tests take: their short form, or the full one that `TXCRUSH_FULL=1` asks for."""

import os

FULL = os.environ.get("TXCRUSH_FULL", "") not in ("", "0")
"""Read before the tests' own environment is cleaned."""

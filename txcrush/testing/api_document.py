"""The description of the HTTP interface, as the tree keeps it: `python -m txcrush.testing.api_document`.

It is what a server in memory answers, with a line for each value.
"""

import sys

from txcrush.testing.http_harness import HttpHarness
from txcrush.wire.json import indented_in_order

COMMAND = "python -m txcrush.testing.api_document > docs/openapi.json"


def api_document() -> str:
    """The text of `docs/openapi.json`."""
    answer = HttpHarness().client.get("/v1/openapi.json")
    assert answer.status == 200, answer
    return indented_in_order(answer.body.decode()) + "\n"


if __name__ == "__main__":
    sys.stdout.write(api_document())

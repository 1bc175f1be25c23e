"""The answer to `GET /models`, in the shape that OpenAI gave it and most servers follow."""

from itertools import islice

import msgspec

MAX_MODELS = 5000
"""The largest routers list some hundred; every client is sent all that there are."""


def model_ids(raw: bytes) -> tuple[str, ...]:
    """The ids of `{"data": [{"id": …}, …]}`, in order, each once, at most 5,000.

    Raises ValueError for anything else.
    """
    try:
        answer = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError("the answer is not JSON") from error
    listed = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(listed, list):
        raise ValueError("the answer holds no list of models")
    ids = (entry.get("id") for entry in listed if isinstance(entry, dict))
    found = dict.fromkeys(model_id for model_id in ids if isinstance(model_id, str) and model_id)
    return tuple(islice(found, MAX_MODELS))

"""How a run ended whose events were missed, told from the messages of its session. Pure."""

from collections.abc import Collection, Sequence
from typing import Any

STEP_GOES_ON = "tool_use"


def end_of(messages: Sequence[dict[str, Any]], prompt: str, known: Collection[str]) -> dict[str, Any] | None:
    """The run's end, in the shape of a `run_complete`, or None where the messages tell of none.

    `messages` are all of the session, oldest first; `known` are the ids of those that it held before the prompt.
    """
    ours = _after_prompt([message for message in messages if message["id"] not in known], prompt)
    answers = [message for message in ours if message["role"] == "assistant" and not message.get("is_summary_message")]
    if not answers:
        return None
    parts = {part["type"]: part["data"] for part in reversed(answers[-1]["parts"])}
    finish = parts.get("finish", {})
    reason = finish.get("reason", STEP_GOES_ON)
    if reason == STEP_GOES_ON:
        return None
    end = {"message_id": answers[-1]["id"], "text": parts.get("text", {}).get("text", "")}
    why = ": ".join(filter(None, (finish.get("message"), finish.get("details"))))
    if reason == "canceled":
        end |= {"cancelled": True, "error": why}
    elif reason == "error":
        end["error"] = why or "no reason was given"
    return end


def _after_prompt(messages: Sequence[dict[str, Any]], prompt: str) -> Sequence[dict[str, Any]]:
    """What follows the first user message that holds the prompt."""
    for index, message in enumerate(messages):
        texts = [part["data"]["text"] for part in message["parts"] if part["type"] == "text"]
        if message["role"] == "user" and "".join(texts) == prompt:
            return messages[index + 1 :]
    return ()

"""Requests of tools as text for a terminal, and typed answers as responses. Pure."""

from typing import Any

from txcrush.wire.json import encode_text

SHOWN_LINES = 40
"""A file's new content is cut after so many lines: whoever wants to see all of it asks elsewhere."""

YES, NO = ("y", "yes"), ("n", "no")


def title(kind: str, payload: dict[str, Any]) -> str:
    """What is asked, in a few words."""
    if kind == "permission_request":
        return f"{payload['tool_name']}: {payload['description']}"
    return f"{len(payload['questions'])} questions"


def permission(request: dict[str, Any]) -> list[str]:
    """The lines that tell of a permission request all that there is to decide on."""
    lines = [f"the {request['tool_name']} tool asks: {request['description']}", f"  in {request['path']}"]
    params = request.get("params") or {}
    if not isinstance(params, dict):
        return [*lines, f"  {params}"]
    for name, value in params.items():
        lines += _field(name, value)
    return lines


def _field(name: str, value: object) -> list[str]:
    text = value if isinstance(value, str) else encode_text(value)
    if value in (None, "", 0, False):
        return []
    shown = text.split("\n")
    if len(shown) == 1:
        return [f"  {name}: {text}"]
    rest = [f"    … and {len(shown) - SHOWN_LINES} lines more"] if len(shown) > SHOWN_LINES else []
    return [f"  {name}:", *(f"    {line}" for line in shown[:SHOWN_LINES]), *rest]


def question(asked: dict[str, Any]) -> list[str]:
    """The lines of one question."""
    lines = [asked["question"]]
    if asked.get("description"):
        lines.append(f"  {asked['description']}")
    for number, choice in enumerate(asked.get("choices", ()), 1):
        about = f" - {choice['description']}" if choice.get("description") else ""
        lines.append(f"  {number}. {choice['label']}{about}")
    return lines


def hint(asked: dict[str, Any]) -> str:
    """What may be typed."""
    return {
        "yes_no": "[y]es or [n]o, empty to skip: ",
        "single_choice": "a number, words of your own, empty to skip: ",
        "multi_choice": "numbers with commas, words of your own, empty to skip: ",
    }.get(asked["type"], "your answer, empty to skip: ")


def response(asked: dict[str, Any], typed: str) -> dict[str, Any] | None:
    """The response that the typed line means; None where it means nothing here."""
    answer: dict[str, Any] = {"request_id": asked["id"]}
    text = typed.strip()
    if not text:
        return answer
    if asked["type"] == "yes_no":
        return {**answer, "yes": text.lower() in YES} if text.lower() in YES + NO else None
    if asked["type"] == "free_text":
        return {**answer, "fill_in_text": text}
    return _choice(asked, answer, text)


def _choice(asked: dict[str, Any], answer: dict[str, Any], text: str) -> dict[str, Any] | None:
    numbers = [word.strip() for word in text.split(",")]
    if not all(number.isascii() and number.isdigit() for number in numbers):
        return {**answer, "fill_in_text": text}
    choices = asked["choices"]
    picked = [int(number) for number in numbers]
    if not all(1 <= number <= len(choices) for number in picked):
        return None
    if asked["type"] == "single_choice" and len(picked) != 1:
        return None
    return {**answer, "selected_ids": [choices[number - 1]["id"] for number in picked]}

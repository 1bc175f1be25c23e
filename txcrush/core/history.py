"""What the model is told of the past (`agent.md` 4). Pure functions.

Providers reject a conversation in which a tool call has no result or a result no call, so both are repaired here,
whatever a crash or a cancel left behind.
"""

import re
from collections.abc import Iterable, Sequence

from txcrush.core import media
from txcrush.model.ids import MessageId
from txcrush.model.messages import (
    Binary,
    Message,
    Reasoning,
    Role,
    ShellCommand,
    Text,
    ToolResult,
)
from txcrush.model.providers import (
    AssistantCall,
    AssistantTurn,
    CallResult,
    FilePart,
    ResultsTurn,
    Turn,
    UserTurn,
)
from txcrush.model.runs import Attachment

KEEPS_RESULT_MEDIA = frozenset({"anthropic", "bedrock", "bedrock-europe"})
"""Providers whose wire takes media inside a tool result."""

REMINDER = UserTurn(
    "<system_reminder>The todo list is empty at the moment. Where the work has several steps, keep track of them with "
    "the todos tool. This note is for you alone: do not mention it to the user.</system_reminder>"
)
INTERRUPTED = "This tool call was interrupted and gave no result. You may make it again if it is still needed."
IMAGE_LOST = "[Image data could not be loaded]"
MEDIA_UNSUPPORTED = "[Image/media content not supported by this model]"
MEDIA_ATTACHED = "[Image/media content loaded - see attached file]"
MEDIA_INTRO = "Here is the media content from the tool result:"

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")


def after_summary(messages: Sequence[Message], summary_id: MessageId) -> list[Message]:
    """The messages that still count: from the summary on, where there is one."""
    for index, message in enumerate(messages):
        if summary_id and message.id == summary_id:
            return list(messages[index:])
    return list(messages)


def has_user_text(messages: Iterable[Message]) -> bool:
    """Whether the user has said anything yet (a session gets its title from the first words)."""
    return any(message.role == Role.USER and message.text for message in messages)


def past_turns(
    messages: Sequence[Message], *, summary_id: MessageId, provider: str, supports_images: bool
) -> list[Turn]:
    """The stored messages as turns of a conversation."""
    results = _results_by_message(messages)
    turns: list[Turn] = []
    for message in messages:
        if message.role == Role.USER or message.id == summary_id:
            turns += _user(message, supports_images=supports_images)
        elif message.role == Role.ASSISTANT:
            turns += exchange(message, results[message.id], provider=provider, supports_images=supports_images)
    return turns


def prompt_turn(text: str, attachments: Sequence[Attachment], *, supports_images: bool) -> UserTurn:
    """A new prompt: its text with the text attachments inlined, and its images where the model can see."""
    inlined = inline(text, [(file.file_path, file.content) for file in attachments if file.is_text])
    files = [FilePart(file.file_path, file.mime_type, file.content) for file in attachments if not file.is_text]
    return UserTurn(inlined, tuple(files) if supports_images else ())


def inline(text: str, files: Sequence[tuple[str, bytes]]) -> str:
    """The text, and after it each attached text file in an element that names its path."""
    if not files:
        return text
    pieces = [text, "<system_info>The files below were attached by the user; use them as context.</system_info>"]
    for path, content in files:
        opening = f"<file path='{path}'>" if path else "<file>"
        pieces.append(f"{opening}\n\n{content.decode('utf-8', 'replace')}\n</file>")
    return "\n".join(pieces)


def exchange(message: Message, results: Iterable[ToolResult], *, provider: str, supports_images: bool) -> list[Turn]:
    """An assistant message and the results of its calls: one for each call, in the order of the calls.

    A result of no call of this message is dropped, a call without a result is answered (R-HIST-07, -08). They stand
    together, because some providers refuse whatever else comes between a call and its result.
    """
    said = _assistant(message, provider)
    if said is None:
        return []
    if not said.calls:
        return [said]
    by_call = {result.tool_call_id: result for result in results}
    answers = [_answer(call, by_call.get(call.id)) for call in said.calls]
    return [said, *_result_turns(answers, provider=provider, supports_images=supports_images)]


def _results_by_message(messages: Iterable[Message]) -> dict[MessageId, list[ToolResult]]:
    """The results between each assistant message and the next; some models use a call id again in a later turn."""
    found: dict[MessageId, list[ToolResult]] = {}
    latest: list[ToolResult] = []
    for message in messages:
        if message.role == Role.ASSISTANT:
            latest = found[message.id] = []
        latest += [part for part in message.parts if isinstance(part, ToolResult)]
    return found


def _answer(call: AssistantCall, result: ToolResult | None) -> CallResult:
    if result is None:
        return CallResult(call.id, call.name, INTERRUPTED, is_error=True)
    return _result(result)


def _result_turns(answers: Sequence[CallResult], *, provider: str, supports_images: bool) -> list[Turn]:
    """Tool results, with their media where the provider's wire wants it."""
    if provider in KEEPS_RESULT_MEDIA:
        return [ResultsTurn(tuple(answers))]
    shown = [_without_media(answer, supports_images=supports_images) for answer in answers]
    files = [answer.media for answer in answers if answer.media is not None and supports_images]
    return [ResultsTurn(tuple(shown)), *(UserTurn(MEDIA_INTRO, (file,)) for file in files)]


def _user(message: Message, *, supports_images: bool) -> list[Turn]:
    text = "\n".join(part.text for part in message.parts if isinstance(part, Text)).strip()
    binaries = [part for part in message.parts if isinstance(part, Binary)]
    text = inline(text, [(part.path, part.data) for part in binaries if part.mime_type.startswith("text/")])
    commands = [_shell(part) for part in message.parts if isinstance(part, ShellCommand)]
    text = "\n".join([*([text] if text else []), *commands])
    files = tuple(
        FilePart(part.path, part.mime_type, part.data)
        for part in binaries
        if supports_images and not part.mime_type.startswith("text/")
    )
    return [UserTurn(text, files)] if text or files else []


def _shell(part: ShellCommand) -> str:
    output = _ANSI.sub("", part.output)
    return f"$ {part.command}\n{output}\n(exit code {part.exit_code})"


def _assistant(message: Message, provider: str) -> AssistantTurn | None:
    """What the model said; None for a message without content. A seal means something to who made it alone."""
    text = message.text.strip()
    reasoning = next((part for part in message.parts if isinstance(part, Reasoning)), Reasoning(""))
    calls = [AssistantCall(call.id, call.name, call.input or "{}") for call in message.tool_calls]
    if not (text or reasoning.thinking or calls):
        return None
    seal = reasoning.signature if message.provider in ("", provider) else ""
    return AssistantTurn(text, reasoning.thinking, seal, tuple(calls))


def _result(part: ToolResult) -> CallResult:
    if part.is_error or not part.data:
        return CallResult(part.tool_call_id, part.name, part.content, is_error=part.is_error)
    data = media.decoded(part.data)
    if data is None:
        return CallResult(part.tool_call_id, part.name, IMAGE_LOST)
    file = FilePart(f"tool-result-{part.tool_call_id}", part.mime_type, data)
    return CallResult(part.tool_call_id, part.name, part.content, media=file)


def _without_media(result: CallResult, *, supports_images: bool) -> CallResult:
    if result.media is None:
        return result
    text = MEDIA_ATTACHED if supports_images else MEDIA_UNSUPPORTED
    return CallResult(result.call_id, result.name, text)

"""What is shown of a run while it goes on: for people, or as JSON lines. No I/O but the two streams it is given."""

from collections.abc import Collection
from typing import Any, Protocol, TextIO

from txcrush.cli._stream import StreamedEvent
from txcrush.wire.json import encode_text

DIM, PLAIN, CLEAR_LINE = "\x1b[2m", "\x1b[0m", "\r\x1b[K"
SHORT = 100
SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"

_CONTROLS = {code: None for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}


def harmless(text: str) -> str:
    """The text without the characters that a terminal obeys: a model must not move the cursor or fill the clipboard."""
    return text.translate(_CONTROLS)


class Screen(Protocol):
    """Where a run is shown."""

    def session(self, session_id: str, run_id: str, /) -> None:
        """The prompt goes to this session, as this run."""

    def text(self, delta: str) -> None:
        """More of the answer."""

    def again(self) -> None:
        """The answer begins anew: the model is asked another time."""

    def reasoning(self, delta: str) -> None:
        """More of what the model thinks."""

    def tool(self, name: str, arguments: str) -> None:
        """A tool is called."""

    def note(self, text: str) -> None:
        """Something that the user should know."""

    def ask(self, prompt: str) -> None:
        """The user is to type something; `answered` follows."""

    def answered(self) -> None:
        """Nothing is to be typed any more."""

    def end(self, end: dict[str, Any], /) -> None:
        """The run has ended: the payload of its `run_complete`, or `left` where it goes on without us."""

    def tick(self, elapsed_s: float) -> None:
        """Time passes; called some ten times a second."""


class Terminal:
    """Text on standard output, everything else on standard error; colours, thoughts and a spinner only for eyes."""

    def __init__(self, out: TextIO, err: TextIO, *, quiet: bool, colours: bool) -> None:
        self._out = out
        self._err = err
        self._quiet = quiet
        self._dim = (DIM, PLAIN) if colours else ("", "")
        self._is_lively = err.isatty() and not quiet
        self._is_terminal = out.isatty()
        self._line_open = False
        self._thinking = False
        self._said_something = False
        self._spins = 0
        self._is_spinning = False
        self._is_asking = False

    def session(self, session_id: str, _run_id: str) -> None:
        if self._is_lively:
            self._aside(f"session {session_id}\n")

    def text(self, delta: str) -> None:
        if not self._said_something:
            delta = delta.lstrip()  # models like to begin with empty lines
        if not delta:
            return
        self._said_something = True
        self._stop_spinning()
        self._stop_thinking()
        self._out.write(harmless(delta) if self._is_terminal else delta)
        self._out.flush()
        self._line_open = not delta.endswith("\n")

    def again(self) -> None:
        self._close_line()
        self._said_something = False

    def reasoning(self, delta: str) -> None:
        if self._is_lively:
            self._close_line()
            self._thinking = True
            self._aside(harmless(delta))

    def tool(self, name: str, arguments: str) -> None:
        if not self._quiet:
            self._close_line()
            self._stop_thinking()
            line = harmless(" ".join(arguments.split()))
            cut = line if len(line) <= SHORT else f"{line[:SHORT]}…"
            self._aside(f"· {name} {cut}\n")

    def note(self, text: str) -> None:
        self._close_line()
        self._stop_thinking()
        self._stop_spinning()
        self._err.write(f"{harmless(text)}\n")
        self._err.flush()

    def ask(self, prompt: str) -> None:
        self._close_line()
        self._stop_thinking()
        self._stop_spinning()
        self._is_asking = True
        self._err.write(prompt)
        self._err.flush()

    def answered(self) -> None:
        self._is_asking = False

    def end(self, _end: dict[str, Any]) -> None:
        self._close_line()
        self._stop_thinking()
        self._stop_spinning()

    def tick(self, elapsed_s: float) -> None:
        if self._is_lively and not (self._thinking or self._line_open or self._is_asking):
            self._err.write(f"{CLEAR_LINE}{SPINNER[self._spins % len(SPINNER)]} {elapsed_s:.0f} s  Ctrl-C cancels")
            self._err.flush()
            self._spins += 1
            self._is_spinning = True

    def _aside(self, text: str) -> None:
        before, after = self._dim
        self._stop_spinning()
        self._err.write(f"{before}{text}{after}")
        self._err.flush()

    def _close_line(self) -> None:
        if self._line_open:
            self._out.write("\n")
            self._out.flush()
            self._line_open = False

    def _stop_thinking(self) -> None:
        if self._thinking:
            self._thinking = False
            self._aside("\n")

    def _stop_spinning(self) -> None:
        if self._is_spinning:
            self._is_spinning = False
            self._err.write(CLEAR_LINE)
            self._err.flush()


class JsonLines:
    """One JSON object a line on standard output; `type` is session, text, again, reasoning, tool, note or end."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def session(self, session_id: str, run_id: str) -> None:
        self._line("session", session_id=session_id, run_id=run_id)

    def text(self, delta: str) -> None:
        self._line("text", text=delta)

    def again(self) -> None:
        self._line("again")

    def reasoning(self, delta: str) -> None:
        self._line("reasoning", text=delta)

    def tool(self, name: str, arguments: str) -> None:
        self._line("tool", name=name, input=arguments)

    def note(self, text: str) -> None:
        self._line("note", text=text)

    def ask(self, prompt: str) -> None:
        self._line("note", text=prompt)

    def answered(self) -> None:
        """Nothing was open."""

    def end(self, end: dict[str, Any]) -> None:
        outcome = next((name for name in ("left", "cancelled") if end.get(name)), "")
        outcome = outcome or ("failed" if end.get("error") else "completed")
        known = {name: end[name] for name in ("run_id", "message_id", "text", "error") if end.get(name)}
        self._line("end", outcome=outcome, **known)

    def tick(self, elapsed_s: float) -> None:
        """Nothing moves here."""

    def _line(self, kind: str, **fields: object) -> None:
        self._out.write(encode_text({"type": kind, **fields}) + "\n")
        self._out.flush()


class Watcher:
    """Turns the events of a session into what is new of one run, or (`prompt` None) of the whole session.

    The run's messages are those that come after the user message with its prompt, and that are not `known` from before.
    Every `message` event holds the whole message, so only what it has more than the last one is shown.
    """

    def __init__(self, screen: Screen, session_id: str, prompt: str | None, known: Collection[str] = ()) -> None:
        self._screen = screen
        self._session_id = session_id
        self._prompt = prompt
        self._known = known
        self._is_ours = prompt is None
        self._heard: set[str] = set()
        self._texts: dict[str, str] = {}
        self._thoughts: dict[str, str] = {}
        self._called: set[str] = set()

    def take(self, event: StreamedEvent) -> None:
        """Show what a `message` event adds, and that the model has gone quiet."""
        message = event.payload
        if event.kind == "agent_event" and message.get("session_id") == self._session_id and message.get("progress"):
            self._screen.note(message["progress"])
        if event.kind != "message" or message.get("session_id") != self._session_id or event.change == "deleted":
            return
        if message["id"] in self._known:
            return
        if message["role"] == "user":
            self._hear(message)
        elif message["role"] == "assistant" and self._is_ours and not message.get("is_summary_message"):
            self._show(message)

    def _hear(self, message: dict[str, Any]) -> None:
        """Somebody says something: with the prompt our run begins; who watches all is shown what others say."""
        said = _text_of(message, "text")
        if said == self._prompt:
            self._is_ours = True
        elif self._prompt is None and message["id"] not in self._heard:
            self._heard.add(message["id"])
            self._screen.note(f"> {said}")

    def show_rest(self, end: dict[str, Any]) -> None:
        """Show what the run's end has more than the events had: it is the authority."""
        text = end.get("text", "")
        if text:
            self._more(self._texts, end["message_id"], text)

    def _show(self, message: dict[str, Any]) -> None:
        message_id = message["id"]
        thinking = _text_of(message, "reasoning", "thinking")
        known = self._thoughts.get(message_id, "")
        if thinking.startswith(known) and thinking != known:
            self._screen.reasoning(thinking[len(known) :])
        self._thoughts[message_id] = thinking
        self._more(self._texts, message_id, _text_of(message, "text"))
        for part in message["parts"]:
            self._call(part)

    def _call(self, part: dict[str, Any]) -> None:
        data = part["data"]
        if part["type"] == "tool_call" and data.get("finished") and data["id"] not in self._called:
            self._called.add(data["id"])
            self._screen.tool(data["name"], data["input"])

    def _more(self, known: dict[str, str], message_id: str, text: str) -> None:
        before = known.get(message_id, "")
        if text and before.startswith(text):
            return  # nothing new, or a server that was killed has kept less than it had shown
        if not before and any(known.values()) and text:
            self._screen.again()
        if text.startswith(before):
            added = text[len(before) :]
        else:
            self._screen.again()
            added = text
        known[message_id] = text
        if added:
            self._screen.text(added)


def _text_of(message: dict[str, Any], kind: str, key: str = "text") -> str:
    found = (part["data"][key] for part in message["parts"] if part["type"] == kind)
    return str(next(found, ""))

"""What a shell of ours finds in its environment (`tools.md` 10.2, `contract.md` 6)."""

from collections.abc import Collection, Mapping

STRIPPED = ("HERDR_ENV", "HERDR_SOCKET_PATH", "HERDR_PANE_ID")
OURS = {"CRUSH": "1", "AGENT": "crush", "AI_AGENT": "crush"}
QUIET = {
    "TERM": "xterm-256color",
    "GIT_EDITOR": "false",
    "EDITOR": "false",
    "VISUAL": "false",
    "JJ_EDITOR": "false",
    "JJ_PAGER": "cat",
    "GIT_PAGER": "cat",
    "PAGER": "cat",
}
"""Nothing may open an editor or a pager: nobody sits there."""


def environment(server: Mapping[str, str], withheld: Collection[str] = ()) -> dict[str, str]:
    """A shell's environment from the server's, without the variables that are withheld, by their names or for what they
    hold, and without our own."""
    hidden = {*STRIPPED, *withheld}
    ours = (name for name in server if name.startswith("TXCRUSH_"))
    kept = server.keys() - hidden - set(ours)
    return {**{name: server[name] for name in kept if server[name] not in hidden}, **OURS, **QUIET}

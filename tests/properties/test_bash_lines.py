"""Hostile fragments spliced into ordinary lines never make a line that runs unasked."""

import shlex
import subprocess
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from txcrush.adapters.bash_lines import judge
from txcrush.adapters.bash_lines.scanning import scan

CORPORA = Path(__file__).parents[1] / "corpora"
ORDINARY = [
    line
    for line in (CORPORA / "ordinary.txt").read_text().splitlines()
    if not line.startswith("## ") and judge(line).runs_unasked
]
BEHIND = (
    "; touch marker",
    "\ntouch marker",
    " & touch marker",
    " && touch marker",
    " || touch marker",
    " | touch marker",
    " | sh",
    " > marker",
    " >> marker",
    " >| marker",
    " &> marker",
    " 2> marker",
    " <> marker",
    " < <(touch marker)",
    " <(touch marker)",
    " $(touch marker)",
    " `touch marker`",
    ' "$(touch marker)"',
    " ${x:-$(touch marker)}",
    " $((a[$(touch marker)]))",
    " {a,b}",
    " *",
    " ~",
    " --output=marker",
    " -exec touch marker ';'",
    "\\\n; touch marker",
    " &",
    " |& tee marker",
    " <<< x",
    " #\ntouch marker",
    "\r\ntouch marker",
    "\0; touch marker",
    " ../..",
    " /etc",
)
OF_ECHO_TOO = BEHIND[:-5] + BEHIND[-4:-2]
BEFORE = (
    "env ",
    "nice ",
    "nohup ",
    "time ",
    "timeout 5 ",
    "xargs ",
    "A=1 ",
    "touch marker; ",
    "! ",
    "command ",
    "exec ",
)
ALPHABET = "ls git-cat'\"\\$`;&|<>(){}[]*?~!#=\n\t @^%:,./0\u00a0\u2028é"


@given(st.sampled_from(ORDINARY), st.sampled_from(BEHIND))
def test_promise_45_what_is_hung_on_behind(line: str, fragment: str) -> None:
    harmless = (" --output=marker", " ../..", " /etc", " -exec touch marker ';'")
    told = line.rpartition("|")[2].split()[0]
    if told in ("echo", "tr", "basename", "dirname", "printenv", "df") and fragment in harmless:
        return
    if told in ("grep", "rg") and fragment in (" ../..", " /etc") and line.split()[-1:] == ["python"]:
        return
    assert not judge(line + fragment).runs_unasked


@given(st.sampled_from(ORDINARY), st.sampled_from(BEFORE))
def test_promise_45_what_is_put_before(line: str, fragment: str) -> None:
    assert not judge(fragment + line).runs_unasked


@given(st.sampled_from(ORDINARY), st.sampled_from(BEHIND[:12]), st.data())
def test_promise_45_what_is_spliced_in_between_words(line: str, fragment: str, data: st.DataObject) -> None:
    plain = scan(line)
    assert plain is not None
    ends = [word.end for command in plain.commands for word in command]
    place = data.draw(st.sampled_from(ends))
    assert not judge(line[:place] + fragment + " " + line[place:]).runs_unasked


@given(st.text(ALPHABET, max_size=40))
@example("")
def test_what_is_plain_has_the_words_that_a_shell_would_see(line: str) -> None:
    """Python's own splitter is a third opinion."""
    plain = scan(line)
    if plain is not None and len(plain.commands) == 1 and not plain.joints:
        assert [word.text for word in plain.commands[0]] == shlex.split(line)


@given(
    st.lists(st.text(ALPHABET.replace("\n", ""), max_size=12), min_size=1, max_size=4), st.sampled_from(("", "'", '"'))
)
def test_what_is_plain_has_the_words_that_bash_sees(parts: list[str], quote: str) -> None:
    line = "echo " + " ".join(f"{quote}{part}{quote}" for part in parts)
    plain = scan(line)
    if plain is None or len(plain.commands) != 1 or plain.joints or len(plain.commands[0]) == 1:
        return
    words = [word.text for word in plain.commands[0]][1:]
    told = subprocess.run(
        ["bash", "-c", "printf '%s\\0' " + line.removeprefix("echo ")], capture_output=True, check=True, timeout=20
    )
    assert told.stdout.decode().split("\0")[:-1] == words


@given(st.text(max_size=60))
def test_every_text_is_judged(line: str) -> None:
    judged = judge(line)
    assert judged.keys
    assert judged.runs_unasked <= (judged.parse_error == "" and judged.blocked == "" and not judged.guarded)


@given(st.text(ALPHABET, max_size=30))
def test_a_key_of_a_program_stands_only_for_lines_that_are_plain(line: str) -> None:
    judged = judge("git push" + line)
    assert "git push" not in judged.keys or scan("git push" + line) is not None

"""Our reading of ignore files beside git's own."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from txcrush.core.ignoring import FILE_NAMES, Ignoring, Parts

NAMES = ("a", "b", "ab", "a.b", "b.a", "#a", "!b")
DIRECTORIES = ((), ("a",), ("a", "b"), ("ab",))

word = st.text(st.sampled_from("ab.*?"), min_size=1, max_size=4)
segment = st.one_of(
    st.sampled_from(NAMES), word, st.sampled_from(["**", "*", "[ab]", "[!a]*", "\\#a", "\\!b", "a\\.b", "[^.]?"])
)
pattern = st.builds(
    lambda negated, first, segments, last: negated + first + "/".join(segments) + last,
    st.sampled_from(["", "", "!"]),
    st.sampled_from(["", "", "/"]),
    st.lists(segment, min_size=1, max_size=3),
    st.sampled_from(["", "", "/"]),
)
ignore_file = st.lists(pattern, max_size=5).map("\n".join)
path = st.lists(st.sampled_from(NAMES), min_size=1, max_size=4).map(tuple)


def git_hides(root: Path, paths: list[Parts]) -> list[bool]:
    """What git says of paths that are directories (it asks the disk) or files."""
    asked = "".join("/".join(parts) + "\0" for parts in paths)
    answer = subprocess.run(
        ["git", "check-ignore", "--no-index", "--verbose", "--non-matching", "-z", "--stdin"],
        cwd=root,
        input=os.fsencode(asked),
        capture_output=True,
        timeout=20,
        check=False,
    )
    fields = os.fsdecode(answer.stdout).split("\0")[:-1]
    rules = fields[2::4]
    assert len(rules) == len(paths), answer.stderr
    return [bool(rule) and not rule.startswith("!") for rule in rules]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    root = tmp_path_factory.mktemp("repository")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
        subprocess.run(["git", "init", "-q", str(root)], check=True, timeout=20)
    return root


def rebuilt(root: Path, rules: dict[Parts, str], paths: list[Parts]) -> None:
    """The tree: every path a file, where it is not the directory of another."""
    for old in root.iterdir():
        if old.name != ".git":
            shutil.rmtree(old) if old.is_dir() else old.unlink()
    for directory in (*rules, *(parts[:-1] for parts in paths)):
        root.joinpath(*directory).mkdir(parents=True, exist_ok=True)
    for parts in paths:
        if not root.joinpath(*parts).exists():
            root.joinpath(*parts).touch()
    for directory, text in rules.items():
        root.joinpath(*directory, ".gitignore").write_text(text)


def without_files_in_the_way(paths: list[Parts], rules: dict[Parts, str]) -> list[Parts]:
    directories = {parts[:end] for parts in (*paths, *((*rule, "x") for rule in rules)) for end in range(1, len(parts))}
    return sorted({*paths, *directories})


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    st.dictionaries(st.sampled_from(DIRECTORIES), ignore_file, min_size=1, max_size=3),
    st.lists(path, min_size=1, max_size=12, unique=True),
)
def test_what_git_ignores_is_ignored(repository: Path, rules: dict[Parts, str], paths: list[Parts]) -> None:
    paths = without_files_in_the_way(paths, rules)
    rebuilt(repository, rules, paths)
    ignoring = Ignoring(lambda directory: rules.get(directory, ""), everywhere=())
    ours = [ignoring.hides(parts, is_directory=repository.joinpath(*parts).is_dir()) for parts in paths]
    theirs = git_hides(repository, paths)
    assert dict(zip(paths, ours, strict=True)) == dict(zip(paths, theirs, strict=True))


def test_the_names_of_ignore_files_are_known_in_their_order() -> None:
    assert FILE_NAMES == (".gitignore", ".crushignore")

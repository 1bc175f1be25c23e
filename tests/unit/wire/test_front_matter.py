"""The head of a SKILL.md, written by friends and by strangers."""

from itertools import product
from unittest.mock import patch

import yaml
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from txcrush.model.skills import SkillHeader
from txcrush.wire import front_matter
from txcrush.wire.front_matter import MAX_HEADER_BYTES, read_header

FULL = """\
---
name: cook
description: >
  How to cook,
  and when not to.
license: MIT
compatibility: any kitchen
user-invocable: true
disable-model-invocation: yes
metadata: {version: 1.0, draft: false}
something-else: [1, 2]
---

# Cook
"""
HEADER = SkillHeader(name="cook", description="It cooks.")


def head(text: str) -> bytes:
    return f"---\n{text}\n---\n".encode()


class Reading(SynchronousTestCase):
    def test_t_skl_01_a_full_header_is_read_and_unknown_keys_are_ignored(self) -> None:
        self.assertEqual(
            read_header(FULL.encode()),
            SkillHeader(
                name="cook",
                description="How to cook, and when not to.\n",
                license="MIT",
                compatibility="any kitchen",
                user_invocable=True,
                disable_model_invocation=True,
                metadata={"version": "1.0", "draft": "false"},
            ),
        )

    def test_t_skl_01_a_mark_blank_lines_line_ends_and_blanks_after_the_delimiter_do_not_matter(self) -> None:
        text = "\n \n---  \nname: cook\ndescription: It cooks.\n---\t\n\nbody"
        for written in (text, text.replace("\n", "\r\n"), text.replace("\n", "\r"), "\ufeff" + text):
            self.assertEqual(read_header(written.encode()), HEADER)

    def test_what_looks_like_a_number_or_a_word_of_yaml_is_text(self) -> None:
        header = read_header(head("name: 2024-01-01\ndescription: yes"))
        self.assertEqual((header.name, header.description), ("2024-01-01", "yes"))

    def test_an_empty_value_counts_as_absent(self) -> None:
        self.assertEqual(read_header(head("name:\nuser-invocable:\nmetadata:")), SkillHeader())
        self.assertEqual(read_header(head("")), SkillHeader())

    def test_yes_and_on_mean_true_in_a_switch_only(self) -> None:
        for word, meaning in (("yes", True), ("On", True), ("no", False), ("OFF", False), ("true", True)):
            self.assertIs(read_header(head(f"user-invocable: {word}")).user_invocable, meaning)


class Refusing(SynchronousTestCase):
    def refused(self, raw: bytes) -> str:
        return str(self.assertRaises(ValueError, read_header, raw))

    def test_t_skl_01_without_front_matter_there_is_no_skill(self) -> None:
        for raw in (b"", b"\n\n", b"# Title\n---\nname: x\n---\n", b" ---\nname: x\n---\n", b"----\n"):
            self.assertEqual(self.refused(raw), "no YAML frontmatter found")

    def test_t_skl_01_front_matter_must_be_closed(self) -> None:
        for raw in (b"---\nname: x\n", b"---", b"---\nname: x\n---y\n", b"---\nname: x\n  ---\n"):
            self.assertEqual(self.refused(raw), "unclosed frontmatter")

    def test_bad_yaml_is_told_with_its_line(self) -> None:
        self.assertEqual(
            self.refused(head("name: x\ndescription: a: b")),
            "parsing frontmatter: line 2: mapping values are not allowed in this context",
        )

    def test_a_value_of_the_wrong_kind_is_told_with_its_key(self) -> None:
        for text in ("name: [x]", "description: {a: b}", "user-invocable: 3", "metadata: [x]", "metadata: {a: [b]}"):
            self.assertIn(text.partition(":")[0], self.refused(head(text)))
        self.assertEqual(self.refused(head("- name")), "parsing frontmatter: Expected `object`, got `array`")

    def test_front_matter_that_does_not_end_soon_is_unclosed(self) -> None:
        self.assertEqual(self.refused(head("# " + "x" * MAX_HEADER_BYTES)), "unclosed frontmatter")

    def test_depth_is_refused_before_anything_recurses(self) -> None:
        texts = ("[" * 8000, "- " * 4000, "? " * 4000, "{a: " * 2000)
        for loader, text in product((front_matter._loader(), yaml.BaseLoader), texts):
            with patch.object(front_matter, "_loader", lambda loader=loader: loader):
                self.assertEqual(self.refused(head(text)), "parsing frontmatter: nested too deeply")

    def test_an_alias_that_would_grow_is_never_written_out(self) -> None:
        lines = [
            "a: &a [x, x]",
            *(f"{b}: &{b} [*{a}, *{a}]" for a, b in zip("abcdefghijklm", "bcdefghijklmn", strict=True)),
        ]
        self.assertEqual(read_header(head("\n".join([*lines, "name: cook"]))), SkillHeader(name="cook"))

    def test_a_tag_makes_nothing_but_text(self) -> None:
        self.assertEqual(read_header(head("name: !!python/name:os.system x")).name, "x")

    def test_a_lone_surrogate_is_refused_by_either_loader(self) -> None:
        for loader in (front_matter._loader(), yaml.BaseLoader):
            with patch.object(front_matter, "_loader", lambda loader=loader: loader):
                self.assertIn("parsing frontmatter", self.refused(head('name: "\\ud800"')))

    def test_the_loader_without_the_c_library_reads_the_same(self) -> None:
        with_library = read_header(FULL.encode())
        with patch.object(front_matter, "_loader", lambda: yaml.BaseLoader):
            self.assertEqual(read_header(FULL.encode()), with_library)

    @given(st.one_of(st.binary(max_size=300), st.text(max_size=300).map(head)))
    def test_whatever_a_file_holds_it_is_a_header_or_a_value_error(self, raw: bytes) -> None:
        try:
            header = read_header(raw)
        except ValueError as error:
            self.assertNotEqual(str(error), "")
        else:
            self.assertIsInstance(header, SkillHeader)

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.expansion import expand

ENV = {"KEY": "s3cret", "EMPTY": "", "A1_b": "x"}


class ExpandTests(SynchronousTestCase):
    def check(self, cases: dict[str, str]) -> None:
        for template, expected in cases.items():
            self.assertEqual(expand(template, ENV), expected, template)

    def refusal(self, template: str) -> str:
        with self.assertRaises(ValueError) as caught:
            expand(template, ENV)
        text = str(caught.exception)
        self.assertNotIn("s3cret", text)
        return text

    def test_a_plain_value_stays(self) -> None:
        self.check({"": "", "plain": "plain", "a 'b' \"c\"": "a 'b' \"c\"", "C:\\dir": "C:\\dir"})

    def test_variables_are_replaced_and_unset_ones_are_empty(self) -> None:
        self.check(
            {"$KEY": "s3cret", "${KEY}!": "s3cret!", "Bearer $KEY.": "Bearer s3cret.", "$A1_b": "x", "<$NO>": "<>"}
        )

    def test_a_default_word_by_unset_and_empty(self) -> None:
        self.check({"${NO:-w}": "w", "${EMPTY:-w}": "w", "${EMPTY-w}": "", "${NO-w}": "w", "${KEY:-w}": "s3cret"})

    def test_a_word_for_a_set_variable(self) -> None:
        self.check({"${KEY:+w}": "w", "${EMPTY:+w}": "", "${EMPTY+w}": "w", "${NO+w}": ""})

    def test_words_are_expanded_themselves(self) -> None:
        self.check({"${NO:-${EMPTY:-$KEY}}": "s3cret", "${NO:-a\\}b}": "a}b", "${KEY:+<$A1_b>}": "<x>"})

    def test_a_required_variable_names_itself_and_the_text(self) -> None:
        self.assertEqual(self.refusal("${REQ:?need REQ}"), 'resolving "${REQ:?need REQ}": REQ: need REQ')
        self.assertIn("NO: $KEY", self.refusal("${NO:?$KEY}"))
        self.assertEqual(expand("${KEY:?need}", ENV), "s3cret")

    def test_a_word_that_is_not_used_cannot_fail(self) -> None:
        self.check({"${KEY:-${NO:?need}}": "s3cret", "x${EMPTY:+${NO:?need}}": "x"})

    def test_escapes(self) -> None:
        self.check(
            {r"\$KEY": "$KEY", r"\\": "\\", r"\`": "`", r"\n": r"\n", "a\\\nb": "ab", r"x?\$filter=1": "x?$filter=1"}
        )

    def test_a_dollar_before_what_starts_no_name_is_literal(self) -> None:
        self.check({"a$ b": "a$ b", "pa$$": "pa$$", "$1": "$1", "end$": "end$"})

    def test_a_lone_dollar_is_refused(self) -> None:
        self.assertIn("invalid value format: $", self.refusal("$"))

    def test_command_substitution_is_refused_even_where_it_would_not_be_used(self) -> None:
        for template in ("$(id)", "`id`", "${KEY:-$(id)}"):
            self.assertIn("is not supported", self.refusal(template))

    def test_arithmetic_and_other_forms_are_refused(self) -> None:
        for template in ("$((1+2))", "${KEY%x}", "${KEY:0:3}", "${KEY/a/b}", "${KEY:=x}"):
            self.assertIn("is not supported", self.refusal(template))

    def test_broken_braces_are_refused_with_their_place(self) -> None:
        self.assertIn("parse: 1:3: reached EOF", self.refusal("ab${KEY"))
        self.assertIn("parse: 1:1: reached EOF", self.refusal("${KEY:-x"))
        self.assertIn("bad substitution at 2:1", self.refusal("a\n${}"))

    def test_the_reason_is_short_and_printable(self) -> None:
        reason = self.refusal("${REQ:?" + "é" * 900 + "}").rsplit('": ', 1)[1]
        self.assertEqual(len(reason), 512)
        self.assertTrue(reason.isascii())

    def test_t_exp_01_nothing_is_split_globbed_or_run(self) -> None:
        """Our table is the reference's without `$(cmd)`, which is an error in every form: nothing is ever run, so there
        is no output whose trailing newlines could be stripped."""
        self.check({"*.go": "*.go", "~": "~", "~/x *.go": "~/x *.go", "a  $KEY  b ": "a  s3cret  b "})
        self.check({"${NO:-${EMPTY:-<${KEY}>}}": "<s3cret>", "${NO:-a  b}": "a  b", "a\n\n": "a\n\n"})
        self.assertEqual(expand("[$V]", {"V": " a  b\n\n"}), "[ a  b\n\n]")
        for template in ("$(", "$(echo x)", "a $(", "${NO:-$(", "`", "${NO"):
            self.assertNotEqual(self.refusal(template), "")

    def test_t_exp_01_the_reason_of_an_error_is_bounded_and_harmless_to_a_terminal(self) -> None:
        reason = self.refusal("${NO:?\ta\nb\x1b[31m\x07\x7f}").partition(": ")[2]
        self.assertEqual(reason, "NO: \ta\nb?[31m??")
        long = self.refusal("${NO:?" + "x" * 2000 + "}")
        self.assertLessEqual(len(long.rpartition('": ')[2].encode()), 512)

    def test_deep_nesting_is_refused(self) -> None:
        self.assertIn("nested too deeply", self.refusal("${NO:-" * 5000 + "}" * 5000))

    @given(st.text(alphabet="${}A:-+?\\`'\"( \n", max_size=40))
    def test_any_text_is_expanded_or_refused(self, template: str) -> None:
        try:
            expand(template, ENV)
        except ValueError as error:
            self.assertTrue(str(error).startswith('resolving "'))

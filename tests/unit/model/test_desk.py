"""Policies as they are written."""

from twisted.trial.unittest import SynchronousTestCase

from txcrush.model.desk import LONGEST_S, Fallback, Unanswered, parse_unanswered


class UnansweredTests(SynchronousTestCase):
    def test_each_form_is_read_and_written_back(self) -> None:
        for text, policy in (
            ("ask", Unanswered()),
            ("deny:30", Unanswered(Fallback.DENY, 30)),
            ("deny:0", Unanswered(Fallback.DENY, 0)),
            ("deny:0.25", Unanswered(Fallback.DENY, 0.25)),
            ("allow", Unanswered(Fallback.ALLOW)),
            ("allow:5", Unanswered(Fallback.ALLOW, 5)),
            (f"deny:{LONGEST_S}", Unanswered(Fallback.DENY, LONGEST_S)),
        ):
            self.assertEqual((parse_unanswered(text), str(policy)), (policy, text))
        self.assertEqual(parse_unanswered(" allow:0 "), Unanswered(Fallback.ALLOW))

    def test_whatever_else_is_refused_with_what_is_wanted(self) -> None:
        for text in ("", "Ask", "deny", "deny:", "deny:soon", "deny:-1", "deny:inf", "deny:nan", "ask:1", "allow:"):
            with self.assertRaisesRegex(ValueError, "wants ask, deny:SECONDS"):
                parse_unanswered(text)
        with self.assertRaises(ValueError):
            parse_unanswered(f"deny:{LONGEST_S + 1}")

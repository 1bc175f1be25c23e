"""The cookie that stands for the token."""

from twisted.trial.unittest import SynchronousTestCase

from txcrush.http.page_sessions import PageSessions, end

PORT = 8374


class Sessions(SynchronousTestCase):
    def setUp(self) -> None:
        self.now = 1000.0
        self.sessions = PageSessions("t" * 43, lambda: self.now, lifetime_s=60)

    def pair(self, *, secure: bool = False, sessions: PageSessions | None = None) -> str:
        return (sessions or self.sessions).begin(PORT, secure=secure)[0].partition(";")[0]

    def standing(self, *fields: str, port: int = PORT, secure: bool = False) -> str:
        return self.sessions.standing(fields, port, secure=secure)

    def test_promise_61_no_script_reads_the_cookie_and_no_other_site_sends_it(self) -> None:
        for secure in (False, True):
            text, ends_at = self.sessions.begin(PORT, secure=secure)
            pair, *attributes = text.split("; ")
            wanted = ["Path=/", "Max-Age=60", "HttpOnly", "SameSite=Strict", *(["Secure"] if secure else [])]
            self.assertEqual((attributes, ends_at), (wanted, 1060))
            self.assertTrue(pair.startswith("__Host-txcrush-8374=" if secure else "txcrush-8374="))
            self.assertNotIn("t" * 43, text)

    def test_promise_61_the_cookie_is_valid_until_it_ends(self) -> None:
        pair = self.pair()
        self.assertEqual(self.standing(pair), "valid")
        self.assertEqual(self.standing(f"theme=dark; {pair}; x=y"), "valid")
        self.assertEqual(self.standing("theme=dark", pair), "valid")
        self.now += 59.9
        self.assertEqual(self.standing(pair), "valid")
        self.now += 0.1
        self.assertEqual(self.standing(pair), "expired")

    def test_promise_61_another_token_ends_every_session(self) -> None:
        other = PageSessions("u" * 43, lambda: self.now, lifetime_s=60)
        self.assertEqual(self.standing(self.pair(sessions=other)), "forged")

    def test_promise_61_a_restart_with_the_same_token_ends_none(self) -> None:
        again = PageSessions("t" * 43, lambda: self.now)
        self.assertEqual(again.standing([self.pair()], PORT, secure=False), "valid")

    def test_promise_61_what_we_did_not_seal_is_forged(self) -> None:
        name, _, value = self.pair().partition("=")
        ends_at, _, seal = value.partition(".")
        later = f"{int(ends_at) + 1}.{seal}"
        for forged in (
            later,
            ends_at,
            "",
            ".",
            f"{ends_at}.",
            f"{ends_at}.{seal}0",
            "x.y",
            f"{ends_at}.\xe9",
            "9" * 5000,
        ):
            self.assertEqual(self.standing(f"{name}={forged}"), "forged", forged)

    def test_two_of_ours_and_those_of_others_are_none(self) -> None:
        pair = self.pair()
        for fields in ((), ("",), ("txcrush-8375=x",), (f"{pair}; {pair}",), (pair, pair), ("txcrush-8374",)[:0]):
            self.assertEqual(self.standing(*fields), "none", fields)
        self.assertEqual(self.standing(pair, port=PORT + 1), "none")
        self.assertEqual(self.standing(pair, secure=True), "none")

    def test_the_end_is_a_cookie_of_the_past(self) -> None:
        self.assertEqual(end(PORT, secure=False), "txcrush-8374=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict")

"""A page trades the token for a cookie, and is let in by it: for what it asks itself, and for nothing else."""

from twisted.trial.unittest import SynchronousTestCase

from txcrush.http.page_sessions import LIFETIME_S
from txcrush.testing.answer import Answer
from txcrush.testing.http_harness import HttpHarness

TOKEN = "t" * 43
SAME = {"Origin": "http://localhost:8080", "Host": "localhost:8080"}


class Pages(SynchronousTestCase):
    def setUp(self) -> None:
        self.harness = HttpHarness(kind="tcp", token=TOKEN)
        self.client = self.harness.client

    def cookie(self) -> str:
        answer = self.client.post("/v1/auth/session", Authorization=f"Bearer {TOKEN}")
        self.assertEqual(answer.status, 200)
        return answer.headers["set-cookie"].partition(";")[0]

    def ask(self, method: str = "GET", path: str = "/v1/version", **headers: str) -> Answer:
        return self.client.ask(method, path, **headers).answer

    def test_promise_61_the_token_is_traded_for_a_cookie(self) -> None:
        answer = self.client.post("/v1/auth/session", Authorization=f"Bearer {TOKEN}")
        self.assertEqual(answer.value, {"expires_at": int(self.harness.clock.seconds()) + LIFETIME_S})
        self.assertIn("; HttpOnly; SameSite=Strict", answer.headers["set-cookie"])
        self.assertEqual(answer.headers["cache-control"], "no-store")

    def test_promise_61_nobody_gets_a_cookie_without_the_token(self) -> None:
        self.assertEqual(self.client.post("/v1/auth/session").status, 401)
        answer = self.ask("POST", "/v1/auth/session", Cookie=self.cookie(), **SAME)
        self.assertEqual((answer.status, answer.message), (401, "a bearer token is needed"))
        self.assertNotIn("set-cookie", answer.headers)

    def test_promise_61_the_cookie_lets_a_page_read(self) -> None:
        cookie = self.cookie()
        self.assertEqual(self.ask().status, 401)
        self.assertEqual(self.ask(Cookie=cookie).status, 200)
        self.assertEqual(self.ask(Cookie=cookie, **SAME).status, 200)
        self.assertEqual(self.ask(Cookie=cookie, Sec_Fetch_Site="same-origin").status, 200)
        self.assertEqual(self.ask(Cookie=cookie, Sec_Fetch_Site="none", Sec_Fetch_Mode="navigate").status, 200)

    def test_promise_61_what_changes_something_has_to_say_where_it_comes_from(self) -> None:
        cookie, path = self.cookie(), "/v1/control"
        body = {"command": "nothing"}
        passed = {
            "same origin": SAME,
            "said by the browser": {"Sec_Fetch_Site": "same-origin", "Origin": "http://localhost"},
        }
        refused: dict[str, dict[str, str]] = {
            "nothing said": {},
            "typed in": {"Sec_Fetch_Site": "none"},
            "another port": {"Origin": "http://localhost:9999", "Host": "localhost:8080"},
            "another port, same site": {"Sec_Fetch_Site": "same-site", "Origin": "http://localhost"},
            "another name of ours": {"Origin": "http://127.0.0.1:8080", "Host": "localhost:8080"},
            "another site": {"Sec_Fetch_Site": "cross-site", "Origin": "http://evil.test"},
            "no page": {"Origin": "null"},
        }
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            for name, headers in passed.items():
                answer = self.client.ask(method, path, body, Cookie=cookie, **headers).answer
                self.assertNotIn(answer.status, (401, 403), (method, name))
            for name, headers in refused.items():
                answer = self.client.ask(method, path, body, Cookie=cookie, **headers).answer
                self.assertEqual(answer.status, 403, (method, name))

    def test_promise_61_a_page_of_another_port_cannot_even_read(self) -> None:
        cookie = self.cookie()
        for site in ("same-site", "cross-site"):
            for mode in ("no-cors", "cors", "navigate"):
                self.assertEqual(self.ask(Cookie=cookie, Sec_Fetch_Site=site, Sec_Fetch_Mode=mode).status, 403)
        self.assertEqual(self.ask(Cookie=cookie, Host="localhost:8080", Origin="http://localhost:81").status, 403)

    def test_promise_61_the_cookie_ends(self) -> None:
        cookie = self.cookie()
        self.harness.clock.advance(LIFETIME_S - 1)
        self.assertEqual(self.ask(Cookie=cookie).status, 200)
        self.harness.clock.advance(1)
        answer = self.ask(Cookie=cookie)
        self.assertEqual((answer.status, answer.headers["www-authenticate"]), (401, "Bearer"))
        self.assertEqual({self.ask(Cookie=cookie).status for _ in range(20)}, {401})

    def test_promise_61_a_wrong_bearer_is_not_mended_by_a_cookie(self) -> None:
        self.assertEqual(self.ask(Cookie=self.cookie(), Authorization="Bearer nonsense").status, 401)

    def test_promise_62_forged_cookies_count_as_guesses_and_a_right_one_still_passes(self) -> None:
        cookie = self.cookie()
        forged = [self.ask(Cookie=f"{cookie}0").status for _ in range(11)]
        self.assertEqual(forged, [401] * 10 + [429])
        self.assertEqual(self.ask(Cookie=cookie).status, 200)

    def test_a_page_can_give_its_cookie_back(self) -> None:
        answer = self.ask("DELETE", "/v1/auth/session", Cookie=self.cookie(), **SAME)
        self.assertEqual(answer.status, 200)
        self.assertIn("=; Path=/; Max-Age=0", answer.headers["set-cookie"])

    def test_where_no_token_is_asked_none_is_traded(self) -> None:
        for kind in ("unix", "tcp"):
            self.harness = HttpHarness(kind=kind)  # type: ignore[arg-type]
            answer = self.harness.client.post("/v1/auth/session")
            self.assertEqual((answer.status, answer.value), (200, {"expires_at": None}))
            self.assertNotIn("set-cookie", answer.headers)
            self.assertEqual(self.harness.client.delete("/v1/auth/session").status, 200)

    def test_the_pages_address_is_for_those_who_have_the_token_or_the_socket(self) -> None:
        self.harness.page_at = f"http://127.0.0.1:8374/ui/#token={TOKEN}"
        answer = self.client.ask("GET", "/v1/auth/page", Authorization=f"Bearer {TOKEN}").answer
        self.assertEqual(answer.value, {"url": self.harness.page_at})
        self.assertEqual(self.ask(path="/v1/auth/page", Cookie=self.cookie(), **SAME).status, 401)
        local = HttpHarness(kind="unix")
        local.page_at = "http://127.0.0.1:8374/ui/"
        self.assertEqual(local.client.get("/v1/auth/page").value, {"url": local.page_at})

    def test_without_a_page_one_is_told_how_to_get_it(self) -> None:
        answer = HttpHarness(kind="unix").client.get("/v1/auth/page")
        self.assertEqual(answer.status, 404)
        self.assertIn("--web", answer.message)

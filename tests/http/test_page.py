"""The page's files over HTTP, in memory."""

import gzip
import re
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from txcrush.http.page import CONTENT_TYPES, PAGE_FOLDER
from txcrush.testing.http_harness import HttpHarness

FOLDER = Path(PAGE_FOLDER)
SERVED = sorted(str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*") if path.suffix in CONTENT_TYPES)
OWN = [path for path in FOLDER.rglob("*.js") if "vendor" not in path.parts]


class PageCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.client = HttpHarness().client


class Files(PageCase):
    def test_the_page_is_there_with_its_policy(self) -> None:
        answer = self.client.get("/ui/")
        self.assertEqual((answer.status, answer.headers.get("content-type", "")), (200, "text/html; charset=utf-8"))
        policy = answer.headers.get("content-security-policy", "")
        for rule in (
            "default-src 'none'",
            "script-src 'self'",
            "require-trusted-types-for 'script'",
            "frame-ancestors 'none'",
        ):
            self.assertIn(rule, policy)
        self.assertNotIn("unsafe", policy)

    def test_every_file_is_served_as_what_it_is(self) -> None:
        for name in SERVED:
            with self.subTest(name):
                answer = self.client.get(f"/ui/{name}")
                self.assertEqual((answer.status, answer.body), (200, (FOLDER / name).read_bytes()))
                self.assertEqual(answer.headers.get("x-content-type-options", ""), "nosniff")

    def test_it_works_below_any_path(self) -> None:
        answer = self.client.get("/ui")
        self.assertEqual((answer.status, answer.headers.get("location", "")), (302, "ui/"))
        for path in (FOLDER / "index.html", *OWN):
            absolute = re.findall(r"""(?:from|import\(|href=|src=)\s*["'`]/[^"'`]*""", path.read_text())
            self.assertEqual(absolute, [], path)

    def test_nothing_else_is_served(self) -> None:
        for name in (
            "package.json",
            "vendor/refresh.py",
            "vendor/vendored.json",
            "nothing.js",
            "views",
            "..%2fwiring.py",
            "%2e%2e/__init__.py",
            "views//app.js%00.css",
            "vendor/..%5c..%5capp.css",
        ):
            with self.subTest(name):
                self.assertIn(self.client.get(f"/ui/{name}").status, (307, 400, 404))

    def test_what_the_browser_has_is_not_sent_again(self) -> None:
        first = self.client.get("/ui/app.css")
        again = self.client.ask("GET", "/ui/app.css", If_None_Match=first.headers.get("etag", "")).answer
        self.assertEqual(
            (again.status, again.body, again.headers.get("etag", "")), (304, b"", first.headers.get("etag", ""))
        )
        self.assertEqual(first.headers.get("cache-control", ""), "no-cache")
        other = self.client.ask("GET", "/ui/app.css", If_None_Match='"another"').answer
        self.assertEqual(other.status, 200)

    def test_a_vendored_file_is_kept_for_ever(self) -> None:
        (name,) = [name for name in SERVED if name.endswith("marked.esm.js")]
        self.assertIn("immutable", self.client.get(f"/ui/{name}").headers.get("cache-control", ""))

    def test_what_is_worth_it_is_sent_compressed(self) -> None:
        for accepted, is_packed in (("gzip, br", True), ("br", False), ("gzip;q=0", False), ("", False)):
            answer = self.client.ask("GET", "/ui/app.css", Accept_Encoding=accepted).answer
            self.assertEqual(answer.headers.get("content-encoding", "") == "gzip", is_packed, accepted)
            body = gzip.decompress(answer.body) if is_packed else answer.body
            self.assertEqual(body, (FOLDER / "app.css").read_bytes())
            self.assertEqual(answer.headers.get("vary", ""), "Accept-Encoding")


class WithoutToken(SynchronousTestCase):
    def test_the_files_need_no_token_and_nothing_else_goes_with_them(self) -> None:
        client = HttpHarness(kind="tcp", token="t" * 43).client
        self.assertEqual(client.get("/ui/main.js").status, 200)
        self.assertEqual(client.get("/v1/workspaces").status, 401)
        self.assertEqual(client.get("/ui/../v1/workspaces").status, 401)


class Sources(SynchronousTestCase):
    def test_vendored_files_are_those_that_were_taken(self) -> None:
        checked = subprocess.run(
            [sys.executable, FOLDER / "vendor/refresh.py", "--check"], capture_output=True, text=True
        )
        self.assertEqual((checked.returncode, checked.stderr), (0, ""), checked.stdout)

    def test_each_library_comes_with_its_licence(self) -> None:
        for folder in (path for path in (FOLDER / "vendor").iterdir() if path.is_dir() and path.name[0] != "_"):
            self.assertTrue((folder / "LICENSE").is_file(), folder)

    def test_nothing_makes_html_but_the_one_module_that_purifies_it(self) -> None:
        for path in OWN:
            text = path.read_text()
            for word in ("innerHTML =", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
                self.assertNotIn(word, text, path)
            if "dangerouslySetInnerHTML" in text:
                self.assertRegex(text, r"blockHtml|highlighted", path)

    def test_no_module_is_longer_than_400_lines(self) -> None:
        long = [
            path
            for path in FOLDER.rglob("*.js")
            if "vendor" not in path.parts and len(path.read_text().splitlines()) > 400
        ]
        self.assertEqual(long, [])

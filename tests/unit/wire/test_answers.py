"""Answers that have a shape of their own."""

from twisted.trial.unittest import SynchronousTestCase

from txcrush.model.sessions import FileVersion
from txcrush.testing.answer import parse_value
from txcrush.wire.answers import McpAuthUrl, Nothing, history_rows
from txcrush.wire.json import encode


class Answers(SynchronousTestCase):
    def test_file_versions_have_capital_keys_in_lists(self) -> None:
        version = FileVersion(id="f", session_id="s", path="/x", content="c", version=2)
        (row,) = parse_value(encode(history_rows([version])).decode())
        wanted = ["ID", "SessionID", "Path", "Content", "Version", "CreatedAt", "UpdatedAt"]
        self.assertEqual(list(row), wanted)
        self.assertEqual((row["ID"], row["Version"], row["CreatedAt"]), ("f", 2, 0))

    def test_what_has_nothing_to_say_is_the_empty_object(self) -> None:
        self.assertEqual((encode(Nothing()), encode(McpAuthUrl())), (b"{}", b"{}"))

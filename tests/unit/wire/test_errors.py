"""One table from error to status, one shape of body."""

import inspect

from twisted.trial.unittest import SynchronousTestCase

from txcrush.model import errors
from txcrush.model.errors import CrushError, ProviderError
from txcrush.wire.errors import STATUS, error_body, status_of

KINDS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, CrushError) and kind.__module__ == errors.__name__
]


class Statuses(SynchronousTestCase):
    def test_every_error_has_a_code_of_its_own(self) -> None:
        codes = [kind.code for kind in KINDS]
        self.assertEqual(len(set(codes)), len(codes))

    def test_the_table_names_only_codes_that_exist(self) -> None:
        self.assertEqual(set(STATUS) - {kind.code for kind in KINDS}, set())

    def test_the_statuses_that_clients_rely_on(self) -> None:
        wanted = {
            errors.DecodeFailed: 400,
            errors.AgentNotInitialized: 400,
            errors.WorkspaceNotFound: 404,
            errors.SessionBusy: 409,
            errors.RunIdReused: 409,
            errors.HostingLiveWorkspaces: 409,
            errors.BodyTooLarge: 413,
            errors.ShuttingDown: 503,
            errors.SessionNotFound: 500,
            errors.PromptEmpty: 500,
            errors.SessionProcessing: 500,
            errors.RunFailed: 500,
            errors.StorageFailed: 500,
        }
        self.assertEqual({kind: status_of(kind()) for kind in wanted}, wanted)

    def test_an_error_of_a_provider_is_500(self) -> None:
        self.assertEqual(status_of(ProviderError("no", status=404)), 500)

    def test_the_texts_of_the_protocol_are_literal(self) -> None:
        texts = {kind.code: kind.default for kind in KINDS}
        for code, text in {
            "decode_failed": "failed to decode request",
            "workspace_not_found": "workspace not found",
            "session_not_found": "sql: no rows in result set",
            "prompt_empty": "prompt is empty",
            "session_busy": "session is busy",
            "run_id_reused": "run id is already used by another prompt",
            "hosting_live_workspaces": "server is hosting live workspaces",
            "shutting_down": "server is shutting down",
        }.items():
            self.assertEqual(texts[code], text)


class Bodies(SynchronousTestCase):
    def test_a_body_is_a_message_and_a_newline(self) -> None:
        self.assertEqual(error_body("prompt is empty"), b'{"message":"prompt is empty"}\n')

    def test_p58_a_message_breaks_no_line(self) -> None:
        self.assertEqual(error_body("a\r\n<b>\u2028"), b'{"message":"a\\r\\n\\u003cb\\u003e\\u2028"}\n')

"""Media from tools (`agent.md` 4.3): kept where it is base64, else an error."""

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.media import decoded
from txcrush.core.toolbox import BAD_MEDIA, Place, Toolbox
from txcrush.model.ids import MessageId, SessionId
from txcrush.model.messages import ToolCall, ToolResult
from txcrush.model.tools import ToolOutput, ToolSpec, ToolUse
from txcrush.wire.json import parse_object

PLACE = Place(SessionId("s"), MessageId("m"), True, "Model")


class Camera:
    """A tool that gives back what it was handed."""

    spec = ToolSpec(name="camera", description="", properties={})

    def __init__(self, output: ToolOutput) -> None:
        self._output = output

    def run(self, use: ToolUse) -> Deferred[ToolOutput]:
        return succeed(self._output)


class Storing(SynchronousTestCase):
    def stored(self, output: ToolOutput) -> ToolResult:
        box = Toolbox([Camera(output)], parse_object, lambda _: succeed(None))
        running = box.run([ToolCall("c", "camera", "{}", finished=True)], PLACE, lambda _: succeed(None))
        (result,) = self.successResultOf(Deferred.fromCoroutine(running)).results
        return result

    def test_media_keeps_its_data_its_type_and_its_text(self) -> None:
        result = self.stored(ToolOutput(content="a cat", data="QQ==", mime_type="image/png", metadata="{}"))
        self.assertEqual(result, ToolResult("c", "camera", "a cat", "QQ==", "image/png", "{}"))

    def test_media_without_a_text_says_what_it_is(self) -> None:
        result = self.stored(ToolOutput(content="", data="QQ==", mime_type="image/png"))
        self.assertEqual(result.content, "Loaded image/png content")

    def test_media_that_is_no_base64_is_an_error_without_data(self) -> None:
        for bad in ("é", "not base64", "QQ", "QQ==\n", "QR=="):
            result = self.stored(ToolOutput(content="a cat", data=bad, mime_type="image/png"))
            self.assertEqual(result, ToolResult("c", "camera", BAD_MEDIA, is_error=True))

    def test_promise_14_text_that_is_no_unicode_is_stored_with_replacement_characters(self) -> None:
        result = self.stored(ToolOutput(content="a\udcffb", metadata='{"x":"\ud800"}'))
        self.assertEqual((result.content, result.metadata), ("a\ufffdb", '{"x":"\ufffd"}'))


class Decoding(SynchronousTestCase):
    def test_only_what_an_encoder_writes_is_decoded(self) -> None:
        found = [decoded(text) for text in ("QUJD", "QQ==", "", "QQ", "QR==", "Q Q==", "é")]
        self.assertEqual(found, [b"ABC", b"A", b"", None, None, None, None])

"""What the model is told of the past: converted, repaired and cut (R-HIST)."""

import base64

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from txcrush.core import history
from txcrush.core.history import IMAGE_LOST, INTERRUPTED, MEDIA_ATTACHED, MEDIA_UNSUPPORTED
from txcrush.model.ids import MessageId, SessionId
from txcrush.model.messages import (
    Binary,
    Finish,
    FinishReason,
    Message,
    Part,
    Reasoning,
    Role,
    ShellCommand,
    Text,
    ToolCall,
    ToolResult,
)
from txcrush.model.providers import (
    AssistantCall,
    AssistantTurn,
    CallResult,
    FilePart,
    ResultsTurn,
    Turn,
    UserTurn,
)
from txcrush.model.runs import Attachment

PNG = b"\x89PNG fake"
PNG_TEXT = base64.b64encode(PNG).decode()
STOP = Finish(FinishReason.STOP, 0)
SESSION = SessionId("s")


def message(message_id: str, role: Role, *parts: Part) -> Message:
    return Message(MessageId(message_id), SESSION, role, parts)


def user(*parts: Part | str, message_id: str = "u") -> Message:
    made = [Text(part) if isinstance(part, str) else part for part in parts]
    return message(message_id, Role.USER, *made, STOP)


def assistant(*parts: Part | str, message_id: str = "a") -> Message:
    made = [Text(part) if isinstance(part, str) else part for part in parts]
    return message(message_id, Role.ASSISTANT, *made)


def tool(*results: ToolResult) -> Message:
    return message("t", Role.TOOL, *results, STOP)


def call(call_id: str, arguments: str = "{}") -> ToolCall:
    return ToolCall(call_id, "ls", arguments, finished=True)


def result(call_id: str, content: str = "ok", **more: object) -> ToolResult:
    return ToolResult(call_id, "ls", content, **more)


def image(call_id: str, data: str = PNG_TEXT) -> ToolResult:
    return result(call_id, "a picture", data=data, mime_type="image/png")


def past(*messages: Message, summary: str = "", provider: str = "openai", images: bool = False) -> list[Turn]:
    return history.past_turns(messages, summary_id=MessageId(summary), provider=provider, supports_images=images)


def attachment(path: str, mime_type: str, content: bytes) -> Attachment:
    return Attachment(path, path, mime_type, content)


class Users(SynchronousTestCase):
    def test_r_hist_02_a_user_message_is_its_trimmed_text(self) -> None:
        self.assertEqual(past(user("  say:5\n")), [UserTurn("say:5")])

    def test_r_hist_02_other_binaries_are_file_parts_named_by_their_path(self) -> None:
        turns = past(user("see", Binary("/x/p.png", "image/png", PNG)), images=True)
        self.assertEqual(turns, [UserTurn("see", (FilePart("/x/p.png", "image/png", PNG),))])

    def test_r_hist_02_shell_commands_are_command_line_plain_output_and_exit_code(self) -> None:
        output = "\x1b[31mred\x1b[0m \x1b]0;title\x07done"
        (turn,) = past(user(ShellCommand("make test", output, 2)))
        self.assertIsInstance(turn, UserTurn)
        self.assertEqual(turn.text.splitlines(), ["$ make test", "red done", "(exit code 2)"])

    def test_r_hist_03_text_attachments_follow_the_prompt_each_in_an_element(self) -> None:
        (turn,) = past(user("hi", Binary("/x/n.txt", "text/plain", b"one"), Binary("", "text/markdown", b"two")))
        prompt, notice, rest = turn.text.split("\n", 2)
        self.assertEqual(prompt, "hi")
        self.assertIn("attached", notice)
        self.assertEqual(rest, "<file path='/x/n.txt'>\n\none\n</file>\n<file>\n\ntwo\n</file>")
        self.assertEqual(turn.files, ())

    def test_r_hist_03_a_new_prompt_is_inlined_alike(self) -> None:
        files = [attachment("/x/n.txt", "text/plain", b"one")]
        new = history.prompt_turn("hi", files, supports_images=False)
        self.assertEqual([new], past(user("hi", Binary("/x/n.txt", "text/plain", b"one"))))

    def test_r_hist_03_a_text_attachment_that_is_not_utf_8_breaks_nothing(self) -> None:
        (turn,) = past(user("hi", Binary("/x", "text/plain", b"a\xff\xed\xa0\x80b")))
        turn.text.encode()
        self.assertIn("a\ufffd", turn.text)

    def test_r_hist_04_without_image_support_past_files_go_and_text_attachments_stay(self) -> None:
        parts = (Binary("/x/n.txt", "text/plain", b"one"), Binary("/x/p.png", "image/png", PNG))
        (turn,) = past(user("hi", *parts))
        self.assertEqual(turn.files, ())
        self.assertIn("one", turn.text)

    def test_r_hist_04_without_image_support_the_new_prompt_loses_its_files_and_keeps_its_text(self) -> None:
        files = [attachment("/x/n.txt", "text/plain", b"one"), attachment("/x/p.png", "image/png", PNG)]
        blind = history.prompt_turn("hi", files, supports_images=False)
        seeing = history.prompt_turn("hi", files, supports_images=True)
        self.assertEqual((blind.files, seeing.files), ((), (FilePart("/x/p.png", "image/png", PNG),)))
        self.assertEqual(blind.text, seeing.text)
        self.assertIn("one", blind.text)

    def test_a_user_message_of_which_nothing_is_left_is_skipped(self) -> None:
        self.assertEqual(past(user("", Binary("/x/p.png", "image/png", PNG))), [])
        self.assertEqual(past(message("u", Role.USER)), [])


class Assistants(SynchronousTestCase):
    def test_r_hist_05_text_reasoning_with_its_seal_and_calls(self) -> None:
        said = assistant(Reasoning("hm", "seal", 1, 2), " done \n", call("c", '{"a":1}'))
        turns = past(said, tool(result("c")))
        self.assertEqual(turns[0], AssistantTurn("done", "hm", "seal", (AssistantCall("c", "ls", '{"a":1}'),)))

    def test_r_hist_05_a_seal_goes_back_to_who_made_it_and_to_nobody_else(self) -> None:
        said = replace(assistant(Reasoning("hm", "seal")), provider="anthropic")
        self.assertEqual(past(said, provider="anthropic"), [AssistantTurn("", "hm", "seal")])
        self.assertEqual(past(said, provider="openai"), [AssistantTurn("", "hm")])

    def test_r_hist_05_a_call_without_input_has_an_empty_object(self) -> None:
        turns = past(assistant(ToolCall("c", "ls")), tool(result("c")))
        self.assertEqual(turns[0].calls[0].arguments, "{}")

    def test_an_assistant_message_without_content_is_skipped(self) -> None:
        finish = Finish(FinishReason.CANCELED, 1)
        for empty in (assistant(), assistant(finish), assistant(" \n", Reasoning(""), finish)):
            self.assertEqual(past(user("hi"), empty), [UserTurn("hi")])

    def test_reasoning_alone_is_content(self) -> None:
        self.assertEqual(past(assistant(Reasoning("hm"))), [AssistantTurn("", "hm")])


class Results(SynchronousTestCase):
    def answers(self, *results: ToolResult, **how: object) -> tuple[CallResult, ...]:
        calls = [call(one.tool_call_id) for one in results]
        turns = past(assistant(*calls), *map(tool, results), **how)
        self.assertIsInstance(turns[1], ResultsTurn)
        return turns[1].results

    def test_r_hist_06_an_error_is_an_error_and_text_is_text(self) -> None:
        answers = self.answers(result("1", "no", is_error=True), result("2", "yes"))
        self.assertEqual(answers, (CallResult("1", "ls", "no", is_error=True), CallResult("2", "ls", "yes")))

    def test_r_hist_06_an_error_with_data_is_an_error(self) -> None:
        (answer,) = self.answers(result("1", "no", is_error=True, data=PNG_TEXT, mime_type="image/png"))
        self.assertEqual(answer, CallResult("1", "ls", "no", is_error=True))

    def test_r_hist_06_data_that_is_no_base64_is_a_text_that_says_so(self) -> None:
        for bad in ("not base64!", "é", "YWJj=", "YWJ", "YW Jj"):
            for how in ({"provider": "anthropic"}, {"images": True}, {}):
                self.assertEqual(self.answers(image("1", bad), **how), (CallResult("1", "ls", IMAGE_LOST),))

    def test_r_hist_07_a_result_without_a_call_is_dropped_and_so_is_its_empty_message(self) -> None:
        turns = past(user("hi"), tool(result("ghost")), assistant("yes"), tool(result("ghost")))
        self.assertEqual(turns, [UserTurn("hi"), AssistantTurn("yes")])

    def test_r_hist_08_only_the_call_without_a_result_gets_one(self) -> None:
        turns = past(assistant(call("1"), call("2")), tool(result("1", "real")))
        self.assertEqual(
            turns[1:],
            [ResultsTurn((CallResult("1", "ls", "real"), CallResult("2", "ls", INTERRUPTED, is_error=True)))],
        )

    def test_r_hist_08_the_synthetic_result_follows_its_assistant_message(self) -> None:
        turns = past(assistant("a", call("1")), user("go on"))
        self.assertEqual([type(turn) for turn in turns], [AssistantTurn, ResultsTurn, UserTurn])
        for word in ("interrupted", "no result", "again"):
            self.assertIn(word, INTERRUPTED)

    def test_r_hist_08_orphan_calls_and_orphan_results_in_several_turns_are_all_mended(self) -> None:
        turns = past(
            user("one"),
            assistant(call("1"), call("2"), message_id="a1"),
            tool(result("2")),
            tool(result("ghost")),
            user("two"),
            assistant(call("3"), message_id="a2"),
            user("three"),
            assistant("end", message_id="a3"),
            tool(result("3", "too late")),
        )
        self.assertEqual(_problems(turns), [])
        self.assertEqual([type(turn).__name__[0] for turn in turns], list("UARUARUA"))

    def test_r_hist_08_a_call_id_that_comes_again_in_a_later_turn_is_a_call_of_its_own(self) -> None:
        turns = past(
            assistant(call("0"), message_id="a1"),
            tool(result("0", "first")),
            user("again"),
            assistant(call("0"), message_id="a2"),
            user("and again"),
            assistant(call("0"), message_id="a3"),
            tool(result("0", "third")),
        )
        texts = [turn.results[0].text for turn in turns if isinstance(turn, ResultsTurn)]
        self.assertEqual(texts, ["first", INTERRUPTED, "third"])
        self.assertEqual(_problems(turns), [])

    def test_results_stand_together_in_the_order_of_the_calls(self) -> None:
        turns = past(assistant(call("1"), call("2")), tool(result("2", "b")), tool(result("1", "a")))
        self.assertEqual([one.text for one in turns[1].results], ["a", "b"])

    def test_r_hist_09_without_image_support_media_is_a_placeholder(self) -> None:
        turns = past(assistant(call("1")), tool(image("1")))
        self.assertEqual(turns[1:], [ResultsTurn((CallResult("1", "ls", MEDIA_UNSUPPORTED),))])

    def test_r_hist_10_with_image_support_the_media_follows_in_a_user_message(self) -> None:
        turns = past(assistant(call("1")), tool(image("1")), images=True)
        file = FilePart("tool-result-1", "image/png", PNG)
        self.assertEqual(turns[1], ResultsTurn((CallResult("1", "ls", MEDIA_ATTACHED),)))
        self.assertEqual(turns[2:], [UserTurn(history.MEDIA_INTRO, (file,))])

    def test_r_hist_10_the_media_follows_when_every_call_of_the_step_is_answered(self) -> None:
        turns = past(assistant(call("1"), call("2")), tool(image("1")), tool(result("2")), images=True)
        self.assertEqual([type(turn) for turn in turns], [AssistantTurn, ResultsTurn, UserTurn])
        self.assertEqual(_problems(turns), [])

    def test_r_hist_11_anthropic_and_bedrock_keep_the_media_inside_the_result(self) -> None:
        media = FilePart("tool-result-1", "image/png", PNG)
        for provider in ("anthropic", "bedrock", "bedrock-europe"):
            for images in (True, False):
                turns = past(assistant(call("1")), tool(image("1")), provider=provider, images=images)
                self.assertEqual(turns[1:], [ResultsTurn((CallResult("1", "ls", "a picture", media=media),))])

    def test_r_hist_09_a_provider_that_is_only_named_alike_does_not(self) -> None:
        (_, answered) = past(assistant(call("1")), tool(image("1")), provider="anthropic-proxy")
        self.assertEqual(answered.results[0].media, None)

    def test_r_hist_12_undecodable_media_adds_no_user_message(self) -> None:
        turns = past(assistant(call("1")), tool(image("1", "broken!")), images=True)
        self.assertEqual(len(turns), 2)

    def test_the_running_turn_is_told_as_the_past_is(self) -> None:
        said, results = assistant("a", call("1"), call("2")), [image("2"), result("1")]
        running = history.exchange(said, results, provider="openai", supports_images=True)
        self.assertEqual(running, past(said, *map(tool, results), images=True))


class Summaries(SynchronousTestCase):
    def setUp(self) -> None:
        self.summary = Message(
            MessageId("sum"), SESSION, Role.ASSISTANT, (Text("what was"),), "large", "p", is_summary_message=True
        )
        self.all = [user("old"), assistant("older"), self.summary, user("new")]

    def test_what_came_before_the_summary_is_left_out(self) -> None:
        self.assertEqual(history.after_summary(self.all, MessageId("sum")), self.all[2:])

    def test_a_summary_that_is_not_found_cuts_nothing(self) -> None:
        self.assertEqual(history.after_summary(self.all, MessageId("gone")), self.all)
        self.assertEqual(history.after_summary(self.all, MessageId("")), self.all)

    def test_the_summary_is_told_by_the_user(self) -> None:
        kept = history.after_summary(self.all, MessageId("sum"))
        self.assertEqual(past(*kept, summary="sum"), [UserTurn("what was"), UserTurn("new")])

    def test_a_result_whose_call_was_cut_off_is_dropped(self) -> None:
        messages = [assistant(call("1")), self.summary, tool(result("1")), user("new")]
        kept = history.after_summary(messages, MessageId("sum"))
        self.assertEqual(past(*kept, summary="sum"), [UserTurn("what was"), UserTurn("new")])

    def test_r_title_01_only_words_of_the_user_count_as_having_spoken(self) -> None:
        silent = [user(""), user(ShellCommand("ls", "", 0)), assistant("hello")]
        self.assertFalse(history.has_user_text(silent))
        self.assertTrue(history.has_user_text([*silent, user("hi")]))


def _problems(turns: list[Turn]) -> list[str]:
    """What a strict provider would refuse: calls that are not answered next, or answers to nothing."""
    problems = []
    for before, turn in zip([None, *turns], [*turns, None], strict=True):
        asked = [one.id for one in before.calls] if isinstance(before, AssistantTurn) else []
        answered = [one.call_id for one in turn.results] if isinstance(turn, ResultsTurn) else []
        if asked != answered:
            problems.append(f"{asked} was answered by {answered}")
    return problems

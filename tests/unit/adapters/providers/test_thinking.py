"""How the models behind Anthropic Messages are made to think."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from txcrush.adapters.providers._thinking import Ways, thinking_ways
from txcrush.model.config import Model, ProviderConfig
from txcrush.model.providers import ModelRequest
from txcrush.model.tools import ToolSpec

BUDGET = {"type": "enabled", "budget_tokens": 2000}
ADAPTIVE = {"type": "adaptive", "display": "summarized"}
TOOL = ToolSpec(name="ls", description="", properties={})


def ways(model: str = "m", provider_id: str = "acme", can_reason: bool = False, **fields: Any) -> Ways:
    known = Model(
        id=model, name="", cost_per_1m_in=0, cost_per_1m_out=0, cost_per_1m_in_cached=0, cost_per_1m_out_cached=0,
        context_window=1, default_max_tokens=1, can_reason=can_reason, supports_attachments=False,
    )  # fmt: skip
    return thinking_ways(ProviderConfig(id=provider_id, models=(known,)), ModelRequest(model=model, turns=(), **fields))


class ThinkingWaysTests(SynchronousTestCase):
    def test_nothing_is_asked_for_by_itself(self) -> None:
        self.assertEqual(ways(), Ways({}, first=False, replay=True, sampling=True))

    def test_think_without_an_effort_is_a_budget(self) -> None:
        for model in ("m", "claude-sonnet-4-5-20250929", "claude-opus-4-20250514", "claude-3-7-sonnet-20250219"):
            self.assertEqual(ways(model, think=True).options, {"thinking": BUDGET}, model)

    def test_models_that_refuse_a_budget_decide_themselves(self) -> None:
        for model in ("claude-opus-4-6", "claude-opus-4-7", "claude-sonnet-5", "us.anthropic.claude-opus-5-v1:0"):
            self.assertEqual(ways(model, think=True).options, {"thinking": ADAPTIVE}, model)

    def test_an_effort_comes_with_thinking_that_the_model_decides_on(self) -> None:
        for model in ("claude-sonnet-4-6", "claude-opus-5", "qwen3.7-max"):
            wanted = {"output_config": {"effort": "high"}, "thinking": ADAPTIVE}
            self.assertEqual(ways(model, reasoning_effort="high").options, wanted, model)

    def test_opus_4_5_knows_efforts_and_budgets(self) -> None:
        model = "claude-opus-4-5-20251101"
        effort = {"output_config": {"effort": "low"}}
        self.assertEqual(ways(model, reasoning_effort="low").options, effort)
        self.assertEqual(ways(model, reasoning_effort="low", think=True).options, effort | {"thinking": BUDGET})

    def test_the_users_options_win(self) -> None:
        own = {"thinking": {"type": "disabled"}, "output_config": {"effort": "max"}}
        self.assertEqual(ways("claude-opus-5", reasoning_effort="low", options=own).options, own)
        self.assertEqual(
            ways("claude-opus-5", reasoning_effort="low", options={"effort": "max"}).options["output_config"],
            {"effort": "max"},
        )
        budget = ways("m", think=True, options={"thinking": {"budget_tokens": 5000}}).options
        self.assertEqual(budget, {"thinking": {"type": "enabled", "budget_tokens": 5000}})

    def test_options_that_are_no_fields_of_the_body(self) -> None:
        told = ways(options={"send_reasoning": False, "disable_parallel_tool_use": True}, tools=(TOOL,))
        self.assertFalse(told.replay)
        self.assertEqual(told.options, {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}})
        self.assertEqual(ways(options={"disable_parallel_tool_use": True}).options, {})

    def test_alibaba_has_a_switch(self) -> None:
        def options(**fields: Any) -> dict[str, object]:
            return ways(provider_id="alibaba-us", **fields).options

        self.assertEqual(options(reasoning_effort="low"), {"reasoning_effort": "low"})
        self.assertEqual(options(think=True), {"thinking": {"type": "enabled"}})
        self.assertEqual(options(), {"thinking": {"type": "disabled"}})

    def test_thinking_begins_the_messages_of_a_model_that_can(self) -> None:
        self.assertTrue(ways(can_reason=True).first)
        self.assertTrue(ways(think=True).first)
        self.assertFalse(ways().first)

    def test_the_newest_models_take_no_sampling(self) -> None:
        refusing = ("claude-opus-4-7", "claude-fable-5", "claude-sonnet-5", "anthropic/claude-opus-4.8")
        self.assertEqual([ways(model).sampling for model in refusing], [False] * len(refusing))
        taking = ("claude-sonnet-4-6", "claude-3-5-haiku-latest", "claude-opus-4-1-20250805", "MiniMax-M3")
        self.assertEqual([ways(model).sampling for model in taking], [True] * len(taking))

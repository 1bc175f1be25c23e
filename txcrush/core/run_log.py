"""One line of the log for each run, when it has ended: its ids and its figures, never what was said."""

from dataclasses import dataclass, field

from twisted.logger import Logger

from txcrush.core.observations import RunFigures
from txcrush.core.run import Run
from txcrush.model.runs import Outcome, RunEnd
from txcrush.ports import Clock

log = Logger()


@dataclass
class RunLog:
    """Told of every run that a workspace's registry takes, begins and ends. Times are the clock's, in seconds."""

    clock: Clock
    figures: RunFigures = field(default_factory=RunFigures)

    def accepted(self, run: Run, client_id: str) -> None:
        run.account.client_id = client_id
        run.account.accepted_s = self.clock.seconds()
        self.figures.accepted.add()

    def began(self, run: Run) -> None:
        run.account.began_s = self.clock.seconds()
        if run.account.accepted_s:
            self.figures.waited.observe(max(0.0, run.account.began_s - run.account.accepted_s))

    def ended(self, run: Run, end: RunEnd) -> None:
        fields = self._fields(run, end)
        self.figures.ended.add(end.outcome.value)
        self.figures.seconds.observe(float(fields["duration_s"]), end.outcome.value)
        summary = " ".join(f"{name}={_shown(value)}" for name, value in fields.items() if value != "")
        log.info("run ended: {summary}", summary=summary, run=fields)

    def _fields(self, run: Run, end: RunEnd) -> dict[str, str | int | float]:
        account = run.account
        accepted = account.accepted_s or float(run.record.accepted_at)
        now = self.clock.seconds()
        return {
            "run_id": run.id,
            "session_id": run.prompt.session_id,
            "client_id": account.client_id,
            "provider": account.provider,
            "model": account.model,
            "outcome": end.outcome.value,
            "reason": _reason(run, end),
            "source": end.source,
            "steps": run.ledger.steps,
            "tokens": run.ledger.tokens,
            "input_tokens": account.input_tokens,
            "output_tokens": account.output_tokens,
            "cost": round(run.ledger.cost, 6),
            "duration_s": round(max(0.0, now - accepted), 3),
            "queue_wait_s": round(max(0.0, (account.began_s or now) - accepted), 3),
        }


def _reason(run: Run, end: RunEnd) -> str:
    """Why it did not complete. Of a failure only its code: a provider's words may repeat the prompt's."""
    if end.outcome == Outcome.FAILED:
        return run.account.error_code or "storage_failed"
    return end.reason


def _shown(value: str | int | float) -> str:
    text = str(value)
    plain = text.isprintable() and not any(character in text for character in ' ="')
    return text if plain else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

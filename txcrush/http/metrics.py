"""Figures for monitoring, and what is wrong (`docs/operating.md`).

`/v1/health` answers as the reference does, 200 and nothing, as long as no request is harmed. Where one is, it is still
200, since clients poll it to learn whether a server is there, and the body says what is wrong; they do not read it.
"""

from msgspec import Struct

from txcrush.core.observatory import Observatory
from txcrush.http.routing import OK, Call, Reply, json_reply, route
from txcrush.model.vitals import Problem, Severity
from txcrush.wire.metrics import CONTENT_TYPE, encode_metrics


class HealthReport(Struct):
    """`status` is `ok`, or the severity of the worst problem."""

    status: str
    problems: list[Problem]
    uptime_s: float
    event_loop_lag_s: float
    resident_bytes: int
    open_files: int
    file_limit: int


class MetricsRoutes:
    """One route family; `/v1/health` among it."""

    def __init__(self, observatory: Observatory) -> None:
        self._health = observatory.health
        self._metrics = observatory.metrics
        self._lag = observatory.lag

    @route("GET", "/v1/health", answers=HealthReport)
    def health(self, _call: Call) -> Reply:
        """Tell that the server is there. The answer is empty as long as nothing harms requests."""
        errors = self._health.errors()
        return json_reply(self._report(errors)) if errors else OK

    @route("GET", "/v1/health/details", answers=HealthReport)
    async def details(self, _call: Call) -> Reply:
        """Tell how the server is, and what is wrong with it."""
        await self._health.look()
        return json_reply(self._report(self._health.problems()))

    @route("GET", "/metrics", answers=str, media=CONTENT_TYPE.decode())
    async def metrics(self, _call: Call) -> Reply:
        """Read figures for monitoring, as Prometheus reads them."""
        return Reply(body=encode_metrics(await self._metrics.families()), content_type=CONTENT_TYPE)

    def _report(self, problems: list[Problem]) -> HealthReport:
        worst = min((problem.severity for problem in problems), key=lambda one: one != Severity.ERROR, default="ok")
        vitals = self._health.vitals
        return HealthReport(
            status=str(worst),
            problems=problems,
            uptime_s=round(self._metrics.uptime_s, 1),
            event_loop_lag_s=round(self._lag.mean_s, 4),
            resident_bytes=vitals.resident_bytes,
            open_files=vitals.open_files,
            file_limit=vitals.file_limit,
        )

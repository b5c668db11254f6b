"""`/healthz`: is the service at work? For a monitor, which may be anybody's: it names no person and no address.

In: heartbeats and open alerts. Out: JSON, 200 or 503. An open alert is counted, and is no reason for 503: it waits for
a person, while the service does its work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from newsletter.core.liveness import Liveness
from newsletter.core.monitor import ServicePart
from newsletter.store import alert as alerts
from newsletter.store.snapshot import PartState, part_states
from newsletter.web.responses import KIND_HEADERS, ResponseKind
from newsletter.web.site import Busy, Site


class Health:
    """The answer of `/healthz`."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def __call__(self, _request: Request) -> Response:
        """Answer one request."""
        try:
            parts, open_alerts = await self._site.ask(self._look, about="health check")
        except Busy:
            return _answer({"ok": False, "problems": ["the database does not answer"]})
        now = self._site.clock.now()
        problems = health_problems(parts)
        ages = {part: _age_seconds(state, now) for part, state in parts.items()}
        return _answer(
            {
                "ok": not problems,
                "problems": problems,
                **{part.value: state.liveness.value for part, state in parts.items()},
                "seconds_since_scheduler": ages[ServicePart.SCHEDULER],
                "seconds_since_sender": ages[ServicePart.SENDER],
                "open_alerts": open_alerts,
            }
        )

    def _look(self) -> tuple[Mapping[ServicePart, PartState], int]:
        with self._site.unit.read() as tx:
            return part_states(tx, self._site.clock.now()), len(alerts.open_alerts(tx))


def health_problems(parts: Mapping[ServicePart, PartState]) -> Sequence[str]:
    """Return a sentence for each part that does not run."""
    problems = []
    for part, state in parts.items():
        if state.liveness is not Liveness.NOT_RUNNING:
            continue
        if state.seen_at is None:
            problems.append(f"the {part} has never run; start it with `newsletter run`")
        else:
            problems.append(f"the {part} was last alive at {state.seen_at:%Y-%m-%dT%H:%M:%SZ}; see its log")
    return problems


def _age_seconds(state: PartState, now: datetime) -> int | None:
    return None if state.seen_at is None else int((now - state.seen_at).total_seconds())


def _answer(body: Mapping[str, object]) -> Response:
    return JSONResponse(
        dict(body), status_code=200 if body["ok"] else 503, headers=dict(KIND_HEADERS[ResponseKind.SECRET])
    )

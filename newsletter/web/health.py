"""`/healthz`: is the service at work? For a monitor, which may be anybody's: it names no person and no address.

In: heartbeats and open alerts. Out: JSON, 200 or 503. An open alert is counted, and is no reason for 503: it waits for
a person, while the service does its work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from newsletter.core.monitor import ServicePart
from newsletter.store import alert as alerts
from newsletter.store import heartbeat as heartbeats
from newsletter.web.pages import HEADERS
from newsletter.web.site import Busy, Site

HEARTBEAT_AGE_MAX = timedelta(minutes=2)
"""A heartbeat comes every few seconds; a freeze of a million people or a long wait for a lock may take a while."""


class Health:
    """The answer of `/healthz`."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def __call__(self, _request: Request) -> Response:
        """Answer one request."""
        try:
            beats, open_alerts = await self._site.ask(self._look, about="health check")
        except Busy:
            return _answer({"ok": False, "problems": ["the database does not answer"]})
        now = self._site.clock.now()
        ages = {part: int((now - beats[part]).total_seconds()) if part in beats else None for part in ServicePart}
        problems = judge(beats, now)
        return _answer(
            {
                "ok": not problems,
                "problems": problems,
                "seconds_since_scheduler": ages[ServicePart.SCHEDULER],
                "seconds_since_sender": ages[ServicePart.SENDER],
                "open_alerts": open_alerts,
            }
        )

    def _look(self) -> tuple[Mapping[str, datetime], int]:
        with self._site.unit.read() as tx:
            beats = {part.value: beat.at for part, beat in heartbeats.heartbeats(tx).items()}
            return beats, len(alerts.open_alerts(tx))


def judge(beats: Mapping[str, datetime], now: datetime) -> Sequence[str]:
    """Say what is wrong, judged by when each part was last alive."""
    problems = []
    for part in ServicePart:
        if part not in beats:
            problems.append(f"the {part} has never run; start it with `newsletter run`")
        elif (
            abs(now - beats[part]) > HEARTBEAT_AGE_MAX
        ):  # From the future: of a clock that was wrong, and no sign of life.
            problems.append(f"the {part} was last alive at {beats[part]:%Y-%m-%dT%H:%M:%SZ}; see its log")
    return problems


def _answer(body: Mapping[str, object]) -> Response:
    return JSONResponse(dict(body), status_code=200 if body["ok"] else 503, headers=dict(HEADERS))

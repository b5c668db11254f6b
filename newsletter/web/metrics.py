"""`/metrics`: the numbers of the newsletter in the form that Prometheus reads, for whoever bears the token.

In: one look at the database, by `web/figures.py`. Out: text. A look is kept for a while, the longer the more it cost,
so that however often somebody asks, a large edition is not held up. There are no people in it, only numbers of them.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from datetime import datetime

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from newsletter import __version__
from newsletter.core.alert import AlertKind
from newsletter.flows.plan import PlanRules
from newsletter.web.figures import Figures, read_figures
from newsletter.web.responses import KIND_HEADERS, ResponseKind
from newsletter.web.site import Busy, Site

KEPT_SECONDS = 10.0
"""A look is as good as a new one for so long."""
KEPT_FACTOR = 50
"""And for so many times as long as it took: looking costs at most a fiftieth of the time, on any database."""
METRIC_PREFIX = "newsletter_"


class Metrics:
    """The answer of `/metrics`."""

    def __init__(self, site: Site, rules: PlanRules, token: str) -> None:
        self._site = site
        self._rules = rules
        self._token = token.encode()
        self._looking = threading.Lock()
        self._kept: Figures | None = None
        self._kept_until = float("-inf")

    async def __call__(self, request: Request) -> Response:
        """Answer one request; without the token it learns nothing."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not secrets.compare_digest(token.strip().encode(), self._token):
            refused = {**KIND_HEADERS[ResponseKind.ADMIN], "WWW-Authenticate": "Bearer"}
            return PlainTextResponse("NEWSLETTER_METRICS_TOKEN opens this.\n", status_code=401, headers=refused)
        try:
            figures = await self._site.ask(self._look, about="metrics")
        except Busy:
            return PlainTextResponse(
                "the database does not answer\n", status_code=503, headers=dict(KIND_HEADERS[ResponseKind.ADMIN])
            )
        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        registry.register(FiguresCollector(figures, self._site.clock.now()))
        encode, kind = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), headers={**KIND_HEADERS[ResponseKind.ADMIN], "Content-Type": kind})

    def _look(self) -> Figures:
        """Look, or return what was seen a moment ago; while somebody else looks, too."""
        clock = self._site.clock
        if self._kept is not None and clock.monotonic() < self._kept_until:
            return self._kept
        if not self._looking.acquire(blocking=self._kept is None) and self._kept is not None:
            return self._kept
        try:
            began = clock.monotonic()
            self._kept = read_figures(self._site.unit, self._rules, now=clock.now())
            ended = clock.monotonic()
            self._kept_until = ended + max(KEPT_SECONDS, KEPT_FACTOR * (ended - began))
            return self._kept
        finally:
            self._looking.release()


class FiguresCollector(Collector):
    """What was seen, as families of metrics."""

    def __init__(self, figures: Figures, now: datetime) -> None:
        """Take what was seen, and the present, by which ages are told."""
        self._figures = figures
        self._now = now

    def collect(self) -> Iterator[Metric]:
        """Give every family."""
        seen = self._figures
        yield InfoMetricFamily(f"{METRIC_PREFIX}build", "The version of the program.", {"version": __version__})
        if seen.next_slot is not None:
            yield _one("next_slot_timestamp_seconds", "When the next mail goes out.", seen.next_slot.timestamp())
        yield _one("stock_weeks", "Weeks in a row that have a fresh tip.", seen.fresh)
        yield _one("stock_evergreen_weeks", "Weeks in a row that have an evergreen.", seen.evergreen)
        yield _one("low_stock_weeks", "NEWSLETTER_LOW_STOCK_WEEKS.", seen.low_stock)
        yield _one("active_subscribers", "People who would get an edition frozen now.", seen.audience)
        ages = _family("heartbeat_age_seconds", "Since the last heartbeat of a part.", "part")
        for part, at in sorted(seen.beats.items()):
            ages.add_metric([part], max(0.0, (self._now - at).total_seconds()))
        yield ages
        senders = _family("senders", "Processes that send, by whether they are heard of.", "state")
        for state, count in seen.senders.items():
            senders.add_metric([state], count)
        yield senders
        alerts = _family("open_alerts", "What needs a person, by kind.", "kind")
        for kind in AlertKind:
            alerts.add_metric([kind.value], seen.alerts.get(kind, 0))
        yield alerts
        yield from self._editions()

    def _editions(self) -> Iterator[Metric]:
        """Give the editions that are not closed, and the last one."""
        running = _family("edition_running", "1 while it is not closed, 0 afterwards.", "edition")
        audience = _family("edition_audience", "People it was frozen for.", "edition")
        states = _family(
            "edition_deliveries", "Its deliveries by state; they add up to its audience.", "edition", "state"
        )
        speed = _family("edition_messages_per_second", "Decided messages a second since its start.", "edition")
        start = _family("edition_start_timestamp_seconds", "When it began.", "edition")
        for receipt in self._figures.editions:
            edition = receipt.edition
            running.add_metric([edition.name], float(edition.finished_at is None))
            audience.add_metric([edition.name], edition.audience)
            for state, count in receipt.counts.items():
                states.add_metric([edition.name, state.value], count)
            speed.add_metric([edition.name], receipt.per_second(self._figures.at))
            start.add_metric([edition.name], edition.started_at.timestamp())
        yield from (running, audience, states, speed, start)


def _one(name: str, help_text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{METRIC_PREFIX}{name}", help_text, value=value)


def _family(name: str, help_text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{METRIC_PREFIX}{name}", help_text, labels=labels)

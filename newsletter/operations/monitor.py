"""The monitor: compares the state of the service with the open alerts once a tick, raises new ones and clears old ones.

In: the database, the disk beside it, and the time. Out: rows of alerts; the notice writer makes mails of them. The
heartbeats and the disk are read at every tick; the coming weeks after a change by a person, after a freeze, and once a
minute.
It never sends, and it must not end the tick: it remembers trouble with the database itself and reports it later.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from newsletter.core.alert import COMMAND_AFTER, AlertKind
from newsletter.core.cadence import describe_instant
from newsletter.core.monitor import WATCHED, ServicePart, Space, Trouble, View, troubles
from newsletter.flows.alert import report, settle_alert
from newsletter.flows.plan import Outlook, look_ahead
from newsletter.operations.notice_writer import NoticeWriter
from newsletter.store import alert as alerts
from newsletter.store import heartbeat as heartbeats
from newsletter.store import installation as installations
from newsletter.store import log as logs
from newsletter.store.alert import Alert
from newsletter.store.unit import Tx

logger = logging.getLogger(__name__)

DATABASE = "database"
SENDING_COST_FACTOR = 20
"""A look takes a twentieth of the time at most: among a million people, counting them takes a good part of a second."""
BREAK = timedelta(minutes=5)
"""Between two looks lie seconds; after so long a break this part itself was away."""
FORECAST_REFRESH = timedelta(minutes=1)
"""The coming weeks are worked out again after this time, since time passes and not every change is in the log: a tick
without it costs a fifth of the CPU time."""
WATCHED_PARTS = {
    AlertKind.SENDER_SILENT: ServicePart.SENDER,
    AlertKind.SCHEDULER_SILENT: ServicePart.SCHEDULER,
}


@dataclass(kw_only=True)
class Monitor:
    """One per process that ticks or sends."""

    notice_writer: NoticeWriter
    space: Callable[[], Space | None] = lambda: None
    well: Callable[[], None] = lambda: None
    """Called after each good tick: the ping."""
    monotonic: Callable[[], float] = lambda: 0.0
    _rest_until: float = 0.0
    _since: datetime | None = None
    _looked: datetime | None = None
    _forecast: _Forecast | None = None
    _trouble: _Lasting | None = field(default=None)

    def look(self, now: datetime) -> None:
        """Look at everything, as the scheduler does after each tick."""
        since = self._watching_since(now)
        began = self.monotonic()
        if began < self._rest_until:
            self.notice_writer.tell(now)
            return
        self._look(since, now)
        self._rest_until = self.monotonic() + (self.monotonic() - began) * SENDING_COST_FACTOR

    def _look(self, since: datetime, now: datetime) -> None:
        rules = self.notice_writer.notice_context.plan
        with self.notice_writer.unit.read() as tx:
            begun = installations.get(tx).first_tick_at
            forecast = self._fresh_forecast(tx, now)
            known = [alert for alert in alerts.open_alerts(tx) if alert.kind in WATCHED]
            sender = _heard(tx, AlertKind.SENDER_SILENT)
        renewed, self._forecast = forecast is not self._forecast, forecast
        outlook = forecast.outlook
        view = View(
            now=now,
            zone=rules.cadence.zone,
            first_tick_at=begun or now,
            watching_since=since,
            choices=outlook.choices,
            stock=outlook.stock,
            low_stock_weeks=rules.lineup.low_stock_weeks,
            stock_is_low=any(item.kind is AlertKind.LOW_STOCK for item in known),
            audience=outlook.audience,
            beats=sender,
            space=self.space(),
        )
        self._compare(known, troubles(view), outlook, now)
        self.notice_writer.tell(now)
        self.notice_writer.lay_aside(outlook, now)
        if renewed:
            self.notice_writer.prove(outlook, now)

    def _fresh_forecast(self, tx: Tx, now: datetime) -> _Forecast:
        """Return the known forecast while it holds, else a new one."""
        mark = logs.change_mark(tx)
        known = self._forecast
        if known is not None and known.mark == mark and timedelta() <= now - known.at < FORECAST_REFRESH:
            return known
        rules = self.notice_writer.notice_context.plan
        outlook = look_ahead(tx, rules, weeks=rules.lineup.low_stock_weeks + 2, now=now)
        return _Forecast(at=now, mark=mark, outlook=outlook)

    def listen(self, now: datetime) -> None:
        """Check the heartbeat of the scheduler from the sender: a dead scheduler raises no alert itself."""
        since = self._watching_since(now)
        with self.notice_writer.unit.read() as tx:
            begun = installations.get(tx).first_tick_at
            if begun is None:
                return
            ticker = _heard(tx, AlertKind.SCHEDULER_SILENT)
        zone = self.notice_writer.notice_context.plan.cadence.zone
        current = troubles(View(now=now, zone=zone, first_tick_at=now, watching_since=since, beats=ticker))
        if not current:
            return
        with self.notice_writer.unit.write() as tx:
            for trouble in current:
                report(tx, Alert(kind=trouble.kind, about=trouble.about, message=trouble.message, raised_at=now))
        self.notice_writer.tell(now)

    def _watching_since(self, now: datetime) -> datetime:
        """Return since when this part has looked without a break.

        A machine that slept wakes its parts one after the other: the first to look must not call the others dead.
        """
        if self._looked is None or self._since is None or not timedelta() <= now - self._looked <= BREAK:
            self._since = now
        self._looked = now
        return self._since

    def failed(self, error: Exception, now: datetime) -> None:
        """Remember that a tick failed; when ticks keep failing, run the command, since no row can be written."""
        if self._trouble is None:
            self._trouble = _Lasting(since=now)
        # A database that this part cannot reach takes no heartbeat of the other part either.
        self._since = None
        lasting = self._trouble
        lasting.words = str(error) or type(error).__name__
        if lasting.reported or now - lasting.since < COMMAND_AFTER or self.notice_writer.command is None:
            return
        lasting.reported = True
        name = self.notice_writer.notice_context.render_context.publication.name
        self.notice_writer.command(f"{name}: {self._words(lasting)}\n")

    def succeeded(self, now: datetime) -> None:
        """Report trouble that has passed and that could not be reported while it lasted."""
        lasting, self._trouble = self._trouble, None
        if lasting is not None and now - lasting.since >= COMMAND_AFTER:
            with self.notice_writer.unit.write() as tx:
                message = self._words(lasting)
                past = Alert(kind=AlertKind.DATABASE, about=DATABASE, message=message, raised_at=lasting.since)
                report(tx, past, over=True)
                if lasting.reported:
                    stands = [alert for alert in alerts.open_alerts(tx) if alert.kind is AlertKind.DATABASE]
                    for alert in stands:
                        alerts.ran_command(tx, alert.id, now=now)
                settle_alert(tx, AlertKind.DATABASE, DATABASE, now=now)
        self.well()

    def _words(self, lasting: _Lasting) -> str:
        since = describe_instant(lasting.since, self.notice_writer.notice_context.plan.cadence.zone)
        return f"Nothing has become due since {since}, as every look at the database fails: {lasting.words}"

    def _compare(self, known: list[Alert], current: list[Trouble], outlook: Outlook, now: datetime) -> None:
        alerted = {(item.kind, item.about) for item in known}
        wrong = {(item.kind, item.about) for item in current}
        fresh = [item for item in current if (item.kind, item.about) not in alerted]
        gone = [item for item in known if (item.kind, item.about) not in wrong]
        if not fresh and not gone:
            return
        ahead = {choice.slot.date.isoformat() for choice in outlook.choices if choice.slot.sends_at > now}
        with self.notice_writer.unit.write() as tx:
            for new in fresh:
                report(tx, Alert(kind=new.kind, about=new.about, message=new.message, raised_at=now))
            for old in gone:
                # Once its time has come, another alert speaks of an empty date.
                quietly = old.kind is AlertKind.EMPTY_AHEAD and old.about not in ahead
                settle_alert(tx, old.kind, old.about, now=now, quietly=quietly)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Forecast:
    """The coming weeks as they were worked out last."""

    at: datetime
    mark: tuple[int, int]
    """`change_mark` at that time."""
    outlook: Outlook


@dataclass(slots=True)
class _Lasting:
    """Ticks that fail one after the other."""

    since: datetime
    words: str = ""
    reported: bool = False


def _heard(tx: Tx, kind: AlertKind) -> Mapping[AlertKind, datetime | None]:
    """Return the last sign of life of a part, by what its silence is called."""
    beat = heartbeats.heartbeats(tx).get(WATCHED_PARTS[kind])
    return {kind: None if beat is None else beat.at}

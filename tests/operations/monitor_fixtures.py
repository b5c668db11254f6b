"""A newsletter with people who look after it: a bell that watches, a sender of notices, and a real SMTP server."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage

from newsletter.core.alert import AlertKind
from newsletter.core.cadence import describe_instant
from newsletter.core.lineup import LineupRules
from newsletter.core.monitor import ServicePart, Space
from newsletter.core.token import Keyring
from newsletter.flows.freeze import RenderContext
from newsletter.flows.plan import PlanRules
from newsletter.flows.proof import NoticeContext
from newsletter.flows.queue_tip import TipValidation
from newsletter.operations.monitor import Monitor
from newsletter.operations.notice_writer import NoticeWriter
from newsletter.operations.ticker import Ticker
from newsletter.render.environment import make_environment
from newsletter.sending.notice_sender import NoticeSender
from newsletter.sending.sender import Sender
from newsletter.store import alert as alerts
from newsletter.store import heartbeat as heartbeats
from newsletter.store import log as logs
from newsletter.store import tip as tips
from newsletter.store.log import LogEntry
from newsletter.store.unit import Unit
from newsletter.testing.catcher import Catcher, Caught
from newsletter.testing.clocks import FixedClock
from tests.conftest import SECRET
from tests.edition_fixtures import CADENCE, PUBLICATION, make_sender

ADMINS = ("admin@example.org", "second@example.net")
GRACE = timedelta(hours=36)
LAST_HOUR = timedelta(hours=1)
RARELY = timedelta(hours=2)


def read(caught_mail: Caught) -> EmailMessage:
    """Return a caught message, parsed."""
    return message_from_bytes(caught_mail.content, policy=policy.SMTP)  # type: ignore[return-value]


def text_of(message: EmailMessage, kind: str = "plain") -> str:
    """Return one part of a message."""
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content())


@dataclass(kw_only=True)
class World:
    """Everything a service has, turned by hand."""

    unit: Unit
    clock: FixedClock
    catcher: Catcher
    admins: tuple[str, ...] = ADMINS
    editors: tuple[str, ...] = ADMINS
    command: list[str] | None = None
    """What the operator's command was handed; None when there is no command."""
    space: Space | None = None
    rules: LineupRules = field(default_factory=lambda: LineupRules(low_stock_weeks=0))
    relay_up: bool = True
    sender_lives: bool = True
    pings: int = 0
    _read: int = 0
    _sender: Sender | None = None
    """Kept from step to step: a sender a step would leave hundreds of journals for the next one to read."""
    _sender_port: int = 0

    def __post_init__(self) -> None:
        """Build the bell and the senders."""
        render_context = RenderContext(publication=PUBLICATION, templates=make_environment(None), rules=self.rules)
        plan = PlanRules(cadence=CADENCE, lineup=self.rules, grace=GRACE)
        self.notice_context = NoticeContext(
            render_context=render_context,
            keyring=Keyring(current=SECRET),
            plan=plan,
            admins=self.admins,
            editors=self.editors,
        )
        self.notice_writer = NoticeWriter(
            unit=self.unit,
            notice_context=self.notice_context,
            command=None if self.command is None else self.command.append,
        )
        self.monitor = Monitor(notice_writer=self.notice_writer, space=lambda: self.space, well=self._well)
        self.ticker = Ticker(
            unit=self.unit,
            clock=self.clock,
            cadence=CADENCE,
            grace=GRACE,
            render_context=render_context,
            process="test 1",
            monitor=self.monitor,
        )

    def _well(self) -> None:
        self.pings += 1

    @property
    def sender(self) -> Sender:
        """Return the sender of editions; a relay that is down is a port without a listener."""
        port = self.catcher.port if self.relay_up else 1
        if self._sender is None or self._sender_port != port:
            if self._sender is not None:
                self._sender.retire()
            self._sender, self._sender_port = make_sender(self.unit, self.clock, port), port
        return self._sender

    @property
    def notices(self) -> NoticeSender:
        """Return the sender of notices."""
        return NoticeSender.beside(self.sender)

    def step(self) -> None:
        """Tick once, and send what is due."""
        self.ticker.tick()
        if self.sender_lives:
            self.notices.work(threading.Event())
            self.sender.work(threading.Event())
            with self.unit.write() as tx:
                heartbeats.record(tx, ServicePart.SENDER, now=self.clock.now(), process="test 1")

    def go(self, until: datetime, *, every: timedelta = timedelta(minutes=5)) -> None:
        """Let time pass with a step every few minutes in the last hour, and every two hours before it."""
        while self.clock.now() < until:
            self.step()
            left = until - self.clock.now()
            pause = min(max(every, RARELY), left - LAST_HOUR) if left > LAST_HOUR else min(every, left)
            self.clock.turn(seconds=pause.total_seconds())
        self.step()
        self.step()

    def diary(self, recipient: str = ADMINS[0]) -> list[str]:
        """Return the subjects of the notices that one person got since the last look."""
        new = self.letters(recipient)
        return [re.sub(r"^\[Tip of the Week\] ", "", str(one["Subject"])) for one in new]

    def letters(self, recipient: str = ADMINS[0]) -> list[EmailMessage]:
        """Return the notices that one person got since the last look."""
        caught = self.catcher.caught
        new, self._read = caught[self._read :], len(caught)
        return [
            read(one) for one in new if one.accepted and one.rcpt_to == recipient and b"Auto-Submitted" in one.content
        ]

    def editions(self) -> Counter[str]:
        """Return how many editions each person got."""
        return Counter(
            one.rcpt_to for one in self.catcher.caught if one.accepted and b"Auto-Submitted" not in one.content
        )

    def open(self) -> set[tuple[AlertKind, str]]:
        """Return what needs a person now."""
        with self.unit.read() as tx:
            return {(one.kind, one.about) for one in alerts.open_alerts(tx)}

    def local(self) -> str:
        """Return the time, to be read in a failure."""
        return describe_instant(self.clock.now(), CADENCE.zone)


Make = Callable[..., World]


def review(world: World) -> TipValidation:
    """Return what a change of the queue is judged by."""
    return TipValidation(render_context=world.notice_context.render_context, cadence=CADENCE, now=world.clock.now())


def edit(world: World, slug: str, **changes: object) -> None:
    """Change a tip as its editor would."""
    with world.unit.write() as tx:
        known = tips.by_slug(tx, slug)
        assert known is not None
        now = world.clock.now()
        tips.save(tx, known, replace(known, **changes), now=now)  # type: ignore[arg-type]
        logs.add(tx, LogEntry(at=now, who="ann", what="tip update", about=slug))

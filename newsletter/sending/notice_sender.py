"""The sender of notices: a thread and a connection of its own, so that a confirmation overtakes a large edition.

In: notices that wait. Out: one outcome each. It works beside the connections of editions under the same sender lock,
and takes the share of the quota that editions leave. A notice that may have gone out is sent again with its Message-ID.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from datetime import timedelta

from newsletter.clock import Clock
from newsletter.core.delivery import Delivery, DeliveryId, DeliveryState, Outcome, UncertainPolicy
from newsletter.core.edition import EditionId
from newsletter.core.notice import NoticeId, NoticeKind, NoticeState
from newsletter.core.pace import Limits
from newsletter.core.reply import Effect, RelayAction, Reply, Verdict, judge
from newsletter.errors import NewsletterError, NotNow, Stop
from newsletter.flows.alert import settle_alert
from newsletter.sending.attempt import AttemptSettler
from newsletter.sending.housekeeping import RELAY, report_relay_trouble
from newsletter.sending.quota import reserve_quota
from newsletter.sending.sender import Sender
from newsletter.store import alert as alerts
from newsletter.store import notice as notices
from newsletter.store.alert import AlertKind
from newsletter.store.notice import Notice
from newsletter.store.unit import Tx, Unit
from newsletter.transport.base import ConnectFailure, Connection, Envelope

logger = logging.getLogger(__name__)

NOTICE_POLL_SECONDS = 1.0
"""Between two looks for a notice: a confirmation is handed over within two seconds."""
NOTICE_BACK_OFF_SECONDS = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds before a relay that cannot be reached is tried again."""
STALE_AFTER = timedelta(minutes=1)
"""A notice goes out within seconds of its writing while the relay takes mail, and half a minute after its return."""
NOTICE_STATES_OPEN = (NoticeState.QUEUED, NoticeState.DEFERRED)
CALLBACK_EVERY_SECONDS = 30.0
NOTICE_DRAIN_SECONDS = 10.0
"""How long the end of a run waits for a notice that is on its way."""
NOTICES_PER_PASS_MAX = 50
NOTICE_ORPHAN_AGE = timedelta(minutes=15)
"""Longer than any wait for a reply: by then the sender that claimed a notice is dead."""


@dataclass(kw_only=True)
class NoticeSender:
    """Sends notices that wait, one after the other; needs the sender lock."""

    unit: Unit
    clock: Clock
    connect: Callable[[], Connection | ConnectFailure]
    mail_from: str
    limits: Limits
    expire_after: timedelta
    jitter: Callable[[], float]
    held: Callable[[], str] = lambda: ""
    """Why nothing may be sent, in words; empty when all is well."""
    sole: bool = True
    """Whether no other sender can be alive."""
    sign: Callable[[bytes], bytes] | None = None
    """Puts a DKIM signature in front of a message."""
    _settler: AttemptSettler = field(init=False)
    _connection: Connection | None = None

    def __post_init__(self) -> None:
        """Settle attempts by the same rules as an edition's, but try again whatever is uncertain."""
        self._settler = AttemptSettler(
            now=self.clock.now,
            jitter=self.jitter,
            expire_after=self.expire_after,
            uncertain_policy=UncertainPolicy.RETRY,
        )

    @classmethod
    def beside(cls, sender: Sender) -> NoticeSender:
        """Return a notice sender with the pool, the database and the options of the sender of editions."""
        return cls(
            unit=sender.unit,
            clock=sender.clock,
            connect=sender.connect,
            mail_from=sender.publication.from_email,
            limits=sender.rules.limits,
            expire_after=sender.rules.expire_after,
            jitter=sender.rules.jitter,
            held=sender.held,
            sole=sender.host.sole,
            sign=sender.sign,
        )

    def recover(self) -> None:
        """Queue again the notices that a dead sender had under way."""
        before = None if self.sole else self.clock.now() - NOTICE_ORPHAN_AGE
        with self.unit.write() as tx:
            notices.requeue_orphans(tx, marked_before=before)

    def work(self, stop: threading.Event) -> str:
        """Send every notice that is due; return the trouble of the relay, empty when there is none."""
        with self.unit.read() as tx:
            waiting = notices.due(tx, now=self.clock.now(), limit=NOTICES_PER_PASS_MAX)
        # A copy of a database sends nothing before a person adopts it.
        if not waiting or self.held():
            return ""
        opened = self.connect()
        if isinstance(opened, ConnectFailure):
            if stop.is_set():
                return ""
            report_relay_trouble(self.unit, opened.plain, now=self.clock.now())
            return opened.plain
        self._connection = opened
        try:
            self._drop_stale()
            return self._send_all(opened, list(waiting), stop)
        finally:
            self._connection = None
            opened.close()

    def abort(self) -> None:
        """Hang up from another thread; a notice that was on its way is tried again."""
        connection = self._connection
        if connection is not None:
            connection.abort()

    def _drop_stale(self) -> None:
        """Withdraw the mail that no mail can be sent, when it could not be sent itself: to arrive would prove it wrong.

        The end of the trouble is reported once, by a mail of its own, unless the trouble comes back before.
        """
        now = self.clock.now()
        with self.unit.read() as tx:
            # One that the sender of editions has found to be over is looked at too.
            stands = next((item for item in alerts.unclosed(tx) if item.kind is AlertKind.RELAY), None)
            mail = notices.last(tx, [NoticeKind.ALERT], str(stands.id)) if stands else None
        if (
            stands is None
            or mail is None
            or mail.state not in NOTICE_STATES_OPEN
            or now - mail.created_at < STALE_AFTER
        ):
            return
        with self.unit.write() as tx:
            notices.withdraw(tx, NoticeKind.ALERT, str(stands.id), reason="mail goes out again")
            settle_alert(tx, AlertKind.RELAY, RELAY, now=now)

    def hand_over_now(self, message: str, recipient: str) -> str:
        """Send one message at once and without a row, for a person who waits; return the server's words.

        Raises `NotNow` or `Stop` with the reason when it is not taken.
        """
        with self.unit.write() as tx:
            if not self._granted(tx):
                raise NotNow("the quota of this hour or day is used up, that of notices too; try again later")
        opened = self.connect()
        if isinstance(opened, ConnectFailure):
            raise Stop(opened.plain)
        try:
            reply = opened.send(self._envelope(message, recipient))
        finally:
            opened.close()
        verdict = judge(reply)
        if verdict.effect is not Effect.ACCEPT:
            words = " ".join(part for part in (str(reply.code or ""), reply.enhanced, reply.text) if part)
            raise Stop(f"{recipient} did not get it: {verdict.plain} ({words})")
        return reply.text

    def _send_all(self, connection: Connection, waiting: list[NoticeId], stop: threading.Event) -> str:
        for notice in waiting:
            if stop.is_set() or connection.needs_recycling:
                return ""
            marked = self._mark(notice)
            if marked is None:
                continue
            reply = self._hand_over(connection, marked)
            verdict = judge(reply)
            self._record(marked, reply, verdict)
            if verdict.relay in {RelayAction.BACK_OFF, RelayAction.STOP}:
                report_relay_trouble(self.unit, verdict.plain, now=self.clock.now())
                return verdict.plain
            if verdict.relay is RelayAction.RECONNECT:
                return ""
        return ""

    def _mark(self, notice_id: NoticeId) -> Notice | None:
        now = self.clock.now()
        with self.unit.write() as tx:
            return notices.mark(tx, notice_id, now=now) if self._granted(tx) else None

    def _granted(self, tx: Tx) -> bool:
        granted, _ = reserve_quota(tx, 1, limits=self.limits, now=self.clock.now(), notice=True)
        return granted == 1

    def _hand_over(self, connection: Connection, notice: Notice) -> Reply:
        return connection.send(self._envelope(notice.message, notice.recipient))

    def _envelope(self, message: str, recipient: str) -> Envelope:
        content = message.encode("ascii")
        signed = content if self.sign is None else self.sign(content)
        return Envelope(mail_from=self.mail_from, rcpt_to=recipient, content=signed)

    def _record(self, notice: Notice, reply: Reply, verdict: Verdict) -> None:
        now = self.clock.now()
        outcome = self._outcome(notice, reply, verdict)
        with self.unit.write() as tx:
            notices.record(tx, notice.id, outcome)
            if outcome.state is DeliveryState.ACCEPTED and any(
                alert.kind is AlertKind.RELAY for alert in alerts.open_alerts(tx)
            ):
                settle_alert(tx, AlertKind.RELAY, RELAY, now=now)
        if outcome.state is not DeliveryState.ACCEPTED:
            logger.warning("notice %s (%s) is %s: %s", notice.id, notice.key.kind, outcome.state, outcome.reason)

    def _outcome(self, notice: Notice, reply: Reply, verdict: Verdict) -> Outcome:
        if verdict.effect is Effect.REQUEUE and verdict.relay is not RelayAction.RECONNECT:
            verdict = replace(verdict, effect=Effect.DEFER)
        delivery = Delivery(
            id=DeliveryId(notice.id),
            edition_id=EditionId(0),
            subscriber_id=None,
            state=DeliveryState.SENDING,
            attempts=notice.attempts,
            first_attempt_at=notice.first_attempt_at,
        )
        outcome, _ = self._settler.settle(delivery, reply, verdict)
        # No person decides about a notice: after its last try it may have arrived, and is not tried again.
        return replace(outcome, state=DeliveryState.EXPIRED) if outcome.state is DeliveryState.UNCERTAIN else outcome


@contextmanager
def posting(sender: NoticeSender, stop: threading.Event, *, also: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Send notices in a thread while the block runs, and the rest after it unless a stop was requested.

    `also` is called now and then. The thread looks at real time: a clock that a test turns by hand must not be turned
    by a thread that waits. One that does not come back in time is cut off: what it was sending is sent again later.
    """
    round_ = _Round(sender=sender, stop=stop, also=also)
    thread = threading.Thread(target=copy_context().run, args=(round_.run,), name="notices", daemon=True)
    sender.recover()
    thread.start()
    try:
        yield
    finally:
        round_.over.set()
        thread.join(NOTICE_DRAIN_SECONDS)
        if thread.is_alive():
            round_.gone.set()
            sender.abort()
            thread.join(NOTICE_DRAIN_SECONDS / 2)


@dataclass(kw_only=True)
class _Round:
    """The thread of `posting`."""

    sender: NoticeSender
    stop: threading.Event
    also: Callable[[], None]
    over: threading.Event = field(default_factory=threading.Event)
    """The block has ended: send the rest and return."""
    gone: threading.Event = field(default_factory=threading.Event)
    """The caller waits no longer."""

    def run(self) -> None:
        troubled = 0
        waited = 0.0
        while not self.over.is_set() and not self.stop.is_set():
            trouble = _try(lambda: self.sender.work(self.stop))
            troubled = troubled + 1 if trouble else 0
            pause = (
                NOTICE_BACK_OFF_SECONDS[min(troubled, len(NOTICE_BACK_OFF_SECONDS)) - 1]
                if trouble
                else NOTICE_POLL_SECONDS
            )
            waited += pause
            if waited >= CALLBACK_EVERY_SECONDS:
                waited = 0.0
                # At the start the dead may not have been silent for long enough, and a database may have failed since.
                _try(lambda: _without_word(self.sender.recover))
                _try(lambda: _without_word(self.also))
            self.over.wait(pause)
        if not self.stop.is_set():
            _try(lambda: self.sender.work(self.gone))


def _without_word(act: Callable[[], object]) -> str:
    act()
    return ""


def _try(act: Callable[[], str]) -> str:
    """Act; an error is logged and returned as trouble, since the sender of editions must go on."""
    try:
        return act()
    except NewsletterError as error:
        logger.error("notices: %s", error)  # noqa: TRY400 - our own errors say all in one line
        return str(error)
    except Exception:
        logger.exception("notices: a bug")
        return "a fault in this program"

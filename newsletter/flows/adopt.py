"""Adopting: a database that lags behind its ledger, or wakes on another machine, sends nothing until a person says so.

In: the database, the ledger beside it, the machine. Out: why sending is held, in words; and, at a person's word, a
database that knows who left and what went out since its copy was made (promise 12).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from newsletter.core.alert import AlertKind
from newsletter.core.cadence import Slot, SlotState, describe_instant
from newsletter.core.edition import EditionStatus
from newsletter.core.subscriber import SubscriberId, unsubscribe
from newsletter.core.tip import TipStatus
from newsletter.core.token import Keyring
from newsletter.flows.alert import report, settle_alert
from newsletter.flows.change_subscriber import move_on
from newsletter.flows.erase_subscriber import forget
from newsletter.store import edition as editions
from newsletter.store import installation as installations
from newsletter.store import log as logs
from newsletter.store import slot as slots
from newsletter.store import subscriber as subscribers
from newsletter.store import tip as tips
from newsletter.store.alert import Alert
from newsletter.store.ledger import Ledger, LedgerEntry, LedgerKind
from newsletter.store.subscriber import Consent
from newsletter.store.unit import Tx, Unit

HELD = "database"


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """Where a database lives, as far as that can be told."""

    ledger: Ledger
    machine: str
    bound: bool
    """True when the database is one file of this machine; a server's database may be used from many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """What stands between a database and sending."""

    last_seen: datetime
    """When this copy was last in use."""
    unknown: Sequence[LedgerEntry]
    """What the ledger knows and the database does not."""
    elsewhere: bool
    """True when it was last used on another machine."""

    def words(self, zone: str) -> str:
        """Say in plain words what is the matter and what to do."""
        when = describe_instant(self.last_seen, zone)
        known = _counted(self.unknown)
        since = f" Since then the ledger knows of {known}." if known else ""
        other = " It was last used on another machine, which must not send any more." if self.elsewhere else ""
        return f"This database is from {when}.{since}{other} Nothing is sent until you say: `newsletter db adopt`."


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopted:
    """What adopting did."""

    editions: Sequence[str]
    """Dates that the ledger says went out; they are not sent again."""
    left: int
    erased: int
    paused: Sequence[str]
    """Editions that were under way in this copy, and are paused now."""


def hold(unit: Unit, home: Home, zone: str, *, now: datetime) -> str:
    """Return why nothing may be sent, in words, and tell the people who run this; empty when all is well.

    A database that never sent anything settles in on this machine without a question.
    """
    with unit.read() as tx:
        gap = find_gap(tx, home)
        settled = installations.get(tx).machine is not None
    if gap is None:
        if not settled:
            with unit.write() as tx:
                known = installations.lock(tx)
                installations.settle_in(tx, machine=home.machine, ledger_seq=known.ledger_seq)
        return ""
    words = gap.words(zone)
    with unit.write() as tx:
        report(tx, Alert(kind=AlertKind.HELD, about=HELD, message=words, raised_at=now))
    return words


def find_gap(tx: Tx, home: Home) -> Gap | None:
    """Return what holds sending; None when nothing does."""
    known = installations.get(tx)
    unknown = home.ledger.after(known.identity, known.ledger_seq)
    elsewhere = home.bound and known.machine is not None and known.machine != home.machine
    if not unknown and not elsewhere:
        return None
    return Gap(last_seen=installations.last_seen(tx), unknown=unknown, elsewhere=elsewhere)


def adopt(unit: Unit, home: Home, keyring: Keyring, *, who: str, now: datetime) -> Adopted | None:
    """Let this copy of the database be the one that counts; None when nothing held it.

    Who left or was erased since stays away, what went out since is not sent again, and what was under way in the copy
    is paused: some of it may have gone out after the copy was made.
    """
    with unit.write() as tx:
        gap = find_gap(tx, home)
        if gap is None:
            return None
        last = max((e.seq for e in gap.unknown), default=installations.get(tx).ledger_seq)
        # First, so that what the steps below note themselves is counted on from here.
        installations.settle_in(tx, machine=home.machine, ledger_seq=last)
        paused = pause_unfinished(tx, why="this database is a copy; some may have gone out since it was made")
        sent = [e.about for e in gap.unknown if e.kind is LedgerKind.EDITION and _was_sent(tx, e, now=now)]
        left = sum(_let_go(tx, e, now=now) for e in gap.unknown if e.kind is LedgerKind.LEFT)
        erased = sum(_erase(tx, keyring, e, now=now) for e in gap.unknown if e.kind is LedgerKind.ERASED)
        settle_alert(tx, AlertKind.HELD, HELD, now=now)
        why = f"{_counted(gap.unknown) or 'nothing'} from the ledger; {len(paused)} editions paused"
        logs.add(tx, logs.Entry(at=now, who=who, what="db adopt", about=home.machine, why=why))
        return Adopted(editions=sent, left=left, erased=erased, paused=paused)


def pause_unfinished(tx: Tx, *, why: str) -> Sequence[str]:
    """Pause every edition that is under way; return their names."""
    under_way = [one for one in editions.unfinished(tx) if one.status is EditionStatus.SENDING]
    for one in under_way:
        editions.move(tx, one.id, was=[EditionStatus.SENDING], to=EditionStatus.PAUSED, why=why)
    return [one.name for one in under_way]


def _was_sent(tx: Tx, entry: LedgerEntry, *, now: datetime) -> bool:
    """Close the slot of an edition that this database has no rows of, and use its tip up."""
    on = date.fromisoformat(entry.about.partition(".")[0])
    reason = f"sent on {entry.at:%Y-%m-%d}, as the ledger says; who got it is not known here"
    known = slots.get(tx, on)
    if known is None:
        # The instant is only for the order of the list: the date is the key.
        slots.add(tx, Slot(date=on, sends_at=entry.at, state=SlotState.FROZEN, reason=reason), now=now)
    elif not slots.move(tx, on, was=known.state, to=SlotState.FROZEN, reason=reason, now=now):
        return False
    tip = tips.by_slug(tx, entry.detail.get("tip", ""))
    if tip is not None and not tip.evergreen:
        tips.set_status(tx, tip, TipStatus.SENT, now=now)
    return True


def _let_go(tx: Tx, entry: LedgerEntry, *, now: datetime) -> bool:
    person = subscribers.locked(tx, SubscriberId(int(entry.about)))
    if person is None:
        # They came after the copy was made and left again: an old file must not bring them back.
        _keep_away(tx, entry, reason="left", now=now)
        return True
    why = f"left on {entry.at:%Y-%m-%d}, as the ledger says"
    after = unsubscribe(person, now=now, why=why)
    move_on(tx, person, after, Consent(at=now, action="unsubscribed", channel="ledger", source=why), reason="left")
    return after != person


def _erase(tx: Tx, keyring: Keyring, entry: LedgerEntry, *, now: datetime) -> bool:
    person = subscribers.locked(tx, SubscriberId(int(entry.about)))
    _keep_away(tx, entry, reason="erased", now=now)
    if person is None:
        return False
    forget(tx, keyring, person, now=now)
    return True


def _keep_away(tx: Tx, entry: LedgerEntry, *, reason: str, now: datetime) -> None:
    hashed = entry.detail.get("hash")
    if hashed:
        subscribers.suppress_hash(tx, hashed, reason=reason, now=now)


def _counted(entries: Sequence[LedgerEntry]) -> str:
    names = {
        LedgerKind.EDITION: ("edition", "editions"),
        LedgerKind.LEFT: ("opt-out", "opt-outs"),
        LedgerKind.ERASED: ("erasure", "erasures"),
    }
    parts = []
    for kind, (one, many) in names.items():
        count = sum(entry.kind is kind for entry in entries)
        if count:
            parts.append(f"{count} {one if count == 1 else many}")
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)

"""Adopting: a copy of a database sends nothing until a person says so, whatever tells that it is one.

A database that lags behind its ledger is one, one that wakes on another machine, and one beside its original.

In: the database, the ledger beside it, the machine. Out: why sending is held, in words; and, at a person's word, a
database that knows who left and what went out since its copy was made (promise 12).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from newsletter.core.alert import AlertKind
from newsletter.core.cadence import describe_instant
from newsletter.core.token import Keyring
from newsletter.errors import NewsletterError, NotNow
from newsletter.flows.alert import report, settle_alert
from newsletter.store import alert as alerts
from newsletter.store import erasure
from newsletter.store import installation as installations
from newsletter.store import ledger as ledgers
from newsletter.store import log as logs
from newsletter.store import session as sessions
from newsletter.store.alert import Alert
from newsletter.store.anchor import OriginalInstallation
from newsletter.store.installation import Installation
from newsletter.store.ledger import Ledger, LedgerEntry, LedgerKind, Seen
from newsletter.store.unit import Tx, Unit
from newsletter.wording import listed, plural

if TYPE_CHECKING:
    from newsletter.flows.catch_up import CaughtUp

HELD = "database"
LEDGER = "ledger"
LOST = "lost ledger"
LOST_ALERT_AGE = timedelta(days=1)
"""How long the alert of a ledger that was written again stays open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """Where a database lives, as far as that can be told."""

    ledger: Ledger
    machine: str
    bound: bool
    """True when the database is one file of this machine; a server's database may be used from many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerGap:
    """What stands between a database and sending."""

    last_seen: datetime
    """When this copy was last in use."""
    unknown: Sequence[LedgerEntry]
    """What the ledger knows and the database does not."""
    elsewhere: bool
    """True when it was last used on another machine."""
    copied: bool
    """True when `db copy` made it, or a restore was cut short."""
    outrun: bool
    """True when a later state of it, or another copy, has sent mail on this machine."""
    original: OriginalInstallation | None = None
    """The installation on this machine of which it is a copy."""

    @property
    def beside(self) -> bool:
        """Whether the original is running."""
        return self.original is not None and self.original.running

    def words(self, zone: str) -> str:
        """Say in plain words what is the matter and what to do."""
        if self.original is not None and self.original.running:
            return (
                f"This is a copy of the installation at {self.original.path}, which is running: nothing is decided or "
                "sent from here. To use this copy instead, stop and disable that service, then type "
                "`newsletter db adopt` here."
            )
        return f"{self.matter(zone)} Nothing is sent until you say: `newsletter db adopt`."

    def matter(self, zone: str, *, restored: bool = False) -> str:
        """Say in plain words what is the matter."""
        known = counted(self.unknown)
        parts = [f"This database is from {describe_instant(self.last_seen, zone)}."]
        if known:
            parts.append(f"Since then the ledger knows of {known}.")
        if any(item.kind is LedgerKind.ADOPTED for item in self.unknown):
            parts.append("Another copy of it was made the one that counts since; that one must not send any more.")
        if restored:
            return " ".join(parts)
        if self.original is not None:
            parts.append(f"It is a copy of the installation at {self.original.path}, of which no process is running.")
        if self.outrun:
            parts.append("A later state of it, or another copy, has sent mail on this machine since.")
        if self.copied:
            parts.append("It is a copy that was not adopted yet; the database it came from must not send any more.")
        elif self.elsewhere:
            parts.append("It was last used on another machine, which must not send any more.")
        return " ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Nothing may be sent from this database."""

    words: str
    """Why, and what to do."""
    beside: bool
    """True for a copy of an installation that is running: it writes nothing at all by itself."""


def hold(unit: Unit, home: Home, zone: str, *, now: datetime) -> Hold | None:
    """Return what holds a database, and tell the people who run this; None when all is well.

    A database that never sent anything settles in on this machine without a question. It is asked at every tick: when
    all is well it looks at the size of the ledger and reads one row.
    """
    fault = home.ledger.fault()
    seen = home.ledger.look()
    with unit.read() as tx:
        gap = find_gap(tx, home, seen)
        known = installations.get(tx)
        opened = {(alert.kind, alert.about): alert.raised_at for alert in alerts.open_alerts(tx)}
    if gap is None and not home.ledger.occupy(known.identity):
        # Another copy was faster.
        gap = ledger_gap(unit, home)
    words = gap.words(zone) if gap is not None else ""
    if gap is not None and gap.beside:
        return Hold(words=words, beside=True)
    home.ledger.even_out(seen, known.identity)
    if gap is None:
        _care_for_lost_lines(unit, home, seen, known, lost_at=opened.get((AlertKind.DATABASE, LOST)), now=now)
    held, kept = (AlertKind.HELD, HELD) in opened, (AlertKind.DATABASE, LEDGER) in opened
    if bool(words) != held or bool(fault) != kept or (known.machine is None and not words):
        with unit.write() as tx:
            _record_hold(tx, home, words, begins=bool(words) and not held, now=now)
            _record_fault(tx, fault, now=now)
    return Hold(words=words, beside=False) if words else None


def _record_hold(tx: Tx, home: Home, words: str, *, begins: bool, now: datetime) -> None:
    known = installations.lock(tx)
    if begins:
        installations.begin_hold(tx)
        report(tx, Alert(kind=AlertKind.HELD, about=HELD, message=words, raised_at=now))
    elif not words:
        # The ledger may have been put right by hand.
        installations.end_hold(tx)
        settle_alert(tx, AlertKind.HELD, HELD, now=now)
        if known.machine is None:
            installations.settle_in(tx, machine=home.machine, ledger_seq=known.ledger_seq)


def _record_fault(tx: Tx, fault: str, *, now: datetime) -> None:
    if fault:
        report(tx, Alert(kind=AlertKind.DATABASE, about=LEDGER, message=fault, raised_at=now))
    else:
        settle_alert(tx, AlertKind.DATABASE, LEDGER, now=now)


def _care_for_lost_lines(
    unit: Unit, home: Home, seen: Seen, known: Installation, *, lost_at: datetime | None, now: datetime
) -> None:
    """Write a ledger again that lost lines, with an alert that stays open for a day."""
    if home.ledger.is_lost(seen, known.identity, known.ledger_seq):
        # It brings all of the rendering along, which `status` does without.
        from newsletter.flows.rewrite_ledger import rewrite_ledger  # noqa: PLC0415

        with unit.write() as tx:
            count = rewrite_ledger(tx, now=now)
            message = (
                f"The ledger {home.ledger.path} was lost or put back: it ended at number {seen.top(known.identity)}, "
                f"the database counted to {known.ledger_seq}. It was written again from the database ({count:,} lines) "
                "for backups that are restored: they learn from it who left and what went out. Find out what happened "
                "to the file."
            )
            report(tx, Alert(kind=AlertKind.DATABASE, about=LOST, message=message, raised_at=now))
    elif lost_at is not None and now - lost_at > LOST_ALERT_AGE:
        with unit.write() as tx:
            settle_alert(tx, AlertKind.DATABASE, LOST, now=now)


def ledger_gap(unit: Unit, home: Home) -> LedgerGap | None:
    """Return what holds sending; None when nothing does."""
    seen = home.ledger.look()
    with unit.read() as tx:
        return find_gap(tx, home, seen)


def find_gap(tx: Tx, home: Home, seen: Seen) -> LedgerGap | None:
    """Return what holds sending, by a look at the ledger that is older than this transaction; None when nothing does.

    The other way round, an opt-out between the two looks would seem to be one that the database does not know.
    """
    known = installations.get(tx)
    copied = known.copied
    elsewhere = home.bound and known.machine is not None and known.machine != home.machine
    lags = seen.lags(known.identity, known.ledger_seq)
    outrun = home.bound and seen.claim_counts.get(known.identity, 0) > known.claim_count
    original = home.ledger.original(known.identity)
    if not (lags or elsewhere or copied or outrun or original):
        return None
    return LedgerGap(
        last_seen=installations.last_used_at(tx),
        unknown=seen.unknown(known.identity, known.ledger_seq),
        elsewhere=elsewhere,
        copied=copied,
        outrun=outrun,
        original=original,
    )


def adopt_database(unit: Unit, home: Home, keyring: Keyring, *, who: str, now: datetime) -> CaughtUp | None:
    """Let this copy of the database be the one that counts; None when nothing held it.

    Who left or was erased since stays away, what went out since is not sent again, and what was under way in the copy
    is paused: some of it may have gone out after the copy was made. Raises `NotNow` while the original is running.
    """
    with unit.write() as tx:
        # The lock first: who counted on in the ledger meanwhile is waited for, and known then.
        installations.lock(tx)
        seen = home.ledger.look()
        gap = find_gap(tx, home, seen)
        if gap is None:
            return None
        result = take_over(tx, home, keyring, gap, seen, who=who, action="db adopt", now=now)
    _keep(home)
    unit.flush()
    return result


def take_over(
    tx: Tx, home: Home, keyring: Keyring, gap: LedgerGap, seen: Seen, *, who: str, action: str, now: datetime
) -> CaughtUp:
    """Catch up with the ledger, settle in on this machine, and let every other copy lag from here on."""
    # It can replace an edition, so it brings all of the rendering along; `status` only asks whether sending is held.
    from newsletter.flows.catch_up import catch_up  # noqa: PLC0415

    known = installations.get(tx)
    if gap.original is not None and gap.original.running:
        raise NotNow(
            f"The installation at {gap.original.path} is running. Stop and disable its service first, then try again: "
            "from then on that installation is held, and this one counts. Nothing was changed."
        )
    home.ledger.take_over(known.identity)
    # First, so that what the steps below note themselves is counted on from here.
    top = max(known.ledger_seq, seen.top(known.identity))
    installations.settle_in(tx, machine=home.machine, ledger_seq=top)
    # A copy does not hold which of its sessions ended since it was made.
    sessions.end_others(tx, (), now=now)
    ledgers.count_claim(tx, at_least=seen.claim_counts.get(known.identity, 0))
    result = catch_up(tx, keyring, gap.unknown, now=now)
    ledgers.note(tx, LedgerKind.ADOPTED, home.machine, now=now)
    installations.end_hold(tx)
    settle_alert(tx, AlertKind.HELD, HELD, now=now)
    why = f"{counted(gap.unknown) or 'nothing'} from the ledger; editions paused: {', '.join(result.paused) or 'none'}"
    logs.add(tx, logs.LogEntry(at=now, who=who, what=action, about="database", why=why))
    if result.spellings:
        # Last, so that no word written above is missed.
        erasure.scrub_words(tx, result.spellings)
    return result


def _keep(home: Home) -> None:
    fault = home.ledger.fault()
    if fault:
        raise NewsletterError(f"The database is adopted, but {fault[0].lower()}{fault[1:]}")


def counted(entries: Sequence[LedgerEntry]) -> str:
    """Return `1 edition and 2 opt-outs` and the like."""
    names = {
        LedgerKind.EDITION: ("edition", "editions"),
        LedgerKind.LEFT: ("opt-out", "opt-outs"),
        LedgerKind.ERASED: ("erasure", "erasures"),
    }
    parts = []
    for kind, (singular, many) in names.items():
        count = sum(entry.kind is kind for entry in entries)
        if count:
            parts.append(plural(count, singular, many))
    return listed(parts)

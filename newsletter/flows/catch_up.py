"""Catching up: what the ledger knows and a copy of the database does not is done to the copy, too.

In: the lines of the ledger, inside a transaction. Out: what was done, as numbers and names. People are known again by
the keyed hash of their address: an id of the copy may have become somebody else's since it was made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from newsletter.core.alert import AlertKind
from newsletter.core.cadence import Slot, SlotState
from newsletter.core.edition import EditionKind, EditionStatus
from newsletter.core.subscriber import Subscriber, SubscriberId, unsubscribe
from newsletter.core.tip import TipStatus
from newsletter.core.token import Keyring, suppression_hashes
from newsletter.flows.alert import report
from newsletter.flows.change_subscriber import move_on
from newsletter.flows.erase_subscriber import forget
from newsletter.flows.follow_up import WORDS
from newsletter.flows.hold import stop
from newsletter.store import edition as editions
from newsletter.store import slot as slots
from newsletter.store import subscriber as subscribers
from newsletter.store import tip as tips
from newsletter.store.alert import Alert
from newsletter.store.ledger import LedgerEntry, LedgerKind
from newsletter.store.subscriber import Consent
from newsletter.store.unit import Tx

_COPY = "this database is a copy, and some of it may have gone out since the copy was made."


@dataclass(frozen=True, slots=True, kw_only=True)
class CaughtUp:
    """What was done."""

    editions: Sequence[str]
    """Names of editions that the ledger says went out; they are not sent again."""
    lost_tips: Sequence[str]
    """Tips of these editions that the copy does not hold: added again, they would go out again."""
    left: int
    """People who left, and get nothing more."""
    erased: int
    kept_away: int
    """People who came after the copy was made and left or were erased: an old file must not bring them back."""
    paused: Sequence[str]
    """Editions that were under way in this copy, and are paused now."""
    spellings: set[str] = field(default_factory=set, repr=False)
    """Every form of the erased addresses, to be looked for in what people wrote."""


@dataclass(slots=True)
class _Tally:
    editions: list[str] = field(default_factory=list)
    lost_tips: list[str] = field(default_factory=list)
    left: int = 0
    erased: int = 0
    kept_away: int = 0
    spellings: set[str] = field(default_factory=set)


def catch_up(tx: Tx, keyring: Keyring, entries: Sequence[LedgerEntry], *, now: datetime) -> CaughtUp:
    """Do it; the caller looks for the spellings once all words are written."""
    # First, so that no command asks to resume what was found to be wrong.
    _stop_replaced(tx, entries, now=now)
    paused = pause_unfinished(tx, why=_COPY, now=now)
    tally = _Tally()
    for entry in entries:
        if entry.kind is LedgerKind.EDITION:
            _count_as_sent(tx, entry, tally, now=now)
    gone = [entry for entry in entries if entry.kind in {LedgerKind.LEFT, LedgerKind.ERASED}]
    present = _found(tx, keyring, gone)
    for entry in gone:
        _send_away(tx, keyring, entry, present.get(entry.detail.get("hash", "")), tally, now=now)
    return CaughtUp(
        editions=tally.editions,
        lost_tips=tally.lost_tips,
        left=tally.left,
        erased=tally.erased,
        kept_away=tally.kept_away,
        paused=paused,
        spellings=tally.spellings,
    )


def pause_unfinished(tx: Tx, *, why: str, now: datetime) -> Sequence[str]:
    """Pause every edition that is under way, and tell a person; return their names."""
    paused = []
    for edition in editions.unfinished(tx):
        if editions.move(tx, edition.id, was=[EditionStatus.SENDING], to=EditionStatus.PAUSED, why=why):
            message = (
                f"The edition of {edition.name} is paused: {why} Look at `newsletter edition show {edition.name}`; "
                f"`newsletter edition resume {edition.name}` goes on with those whom it shows as waiting, "
                f"`newsletter edition cancel {edition.name}` leaves them out."
            )
            report(tx, Alert(kind=AlertKind.EDITION_PAUSED, about=edition.name, message=message, raised_at=now))
            paused.append(edition.name)
    return paused


def _stop_replaced(tx: Tx, entries: Sequence[LedgerEntry], *, now: datetime) -> None:
    """Stop the editions whose tip turned out to be wrong after the copy was made; others got the right one since."""
    for entry in entries:
        name = entry.detail.get(WORDS[EditionKind.REPLACEMENT], "")
        if entry.kind is not LedgerKind.EDITION or not name:
            continue
        wrong = editions.by_date(tx, entry.on, int(name.partition(".")[2] or 1))
        if wrong is not None and wrong.finished_at is None and wrong.status is not EditionStatus.CANCELLED:
            stop(tx, wrong, why=f"replaced by {entry.about}, as the ledger says", now=now)


def _count_as_sent(tx: Tx, entry: LedgerEntry, tally: _Tally, *, now: datetime) -> None:
    """Close the slot of an edition that this database has no rows of, and use its tip up."""
    if editions.by_date(tx, entry.on, int(entry.about.partition(".")[2] or 1)) is not None:
        return
    tally.editions.append(entry.about)
    reason = f"sent on {entry.at:%Y-%m-%d}, as the ledger says; who got it is not known here"
    known = slots.get(tx, entry.on)
    if known is None:
        # The instant is only for the order of the list: the date is the key.
        slots.add(tx, Slot(date=entry.on, sends_at=entry.at, state=SlotState.FROZEN, reason=reason), now=now)
    elif known.state is not SlotState.FROZEN:
        slots.move(tx, entry.on, was=known.state, to=SlotState.FROZEN, reason=reason, now=now)
    slug = entry.detail.get("tip", "")
    tip = tips.by_slug(tx, slug)
    if tip is None:
        tally.lost_tips.append(slug)
    elif not tip.evergreen:
        tips.set_status(tx, tip, TipStatus.SENT, now=now)
    else:
        # It rests from that date on; with its pin it would never come again.
        pin = None if tip.pin == entry.on else tip.pin
        tips.save(tx, tip, replace(tip, first_published=entry.on, pin=pin), now=now)


def _found(tx: Tx, keyring: Keyring, entries: Sequence[LedgerEntry]) -> Mapping[str, SubscriberId]:
    """Return who is here of those who left, by the hash that the ledger bears."""
    hashes = {entry.detail["hash"] for entry in entries if "hash" in entry.detail}
    if not hashes:
        return {}
    return {
        hashed: who
        for who, canonical in subscribers.every_canonical(tx)
        for hashed in suppression_hashes(keyring, canonical)
        if hashed in hashes
    }


def _send_away(
    tx: Tx, keyring: Keyring, entry: LedgerEntry, subscriber_id: SubscriberId | None, tally: _Tally, *, now: datetime
) -> None:
    person = _person(tx, entry, subscriber_id)
    if entry.kind is LedgerKind.ERASED:
        _keep_away(tx, entry, reason="erased", now=now)
        if person is not None:
            tally.spellings |= forget(tx, keyring, person, now=now).spellings
            tally.erased += 1
    elif person is not None:
        tally.left += _let_go(tx, person, entry, now=now)
    else:
        _keep_away(tx, entry, reason="left", now=now)
    tally.kept_away += person is None


def _person(tx: Tx, entry: LedgerEntry, subscriber_id: SubscriberId | None) -> Subscriber | None:
    """Return whom an entry is about, if they are in this copy."""
    if subscriber_id is not None:
        return subscribers.locked(tx, subscriber_id)
    # A person who changed the address before leaving is known by the id, unless it was given again since: then it is
    # somebody's who came after that.
    person = subscribers.locked(tx, entry.person)
    return person if person is not None and person.created_at <= entry.at else None


def _let_go(tx: Tx, person: Subscriber, entry: LedgerEntry, *, now: datetime) -> bool:
    why = f"left on {entry.at:%Y-%m-%d}, as the ledger says"
    after = unsubscribe(person, now=now, why=why)
    move_on(tx, person, after, Consent(at=now, action="unsubscribed", channel="ledger", source=why), reason="left")
    return after != person


def _keep_away(tx: Tx, entry: LedgerEntry, *, reason: str, now: datetime) -> None:
    hashed = entry.detail.get("hash")
    if hashed:
        subscribers.suppress_hash(tx, hashed, reason=reason, now=now)

"""Changing a tip: approve, retire, move, pin, unpin. Its words are changed in `flows/queue_tip.py`.

In: the tip as a person saw it. Out: the tip as it is stored now. Nothing here changes what was frozen, and a tip that
could not be frozen is never approved.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from newsletter.core.cadence import describe_date
from newsletter.core.tip import Tip, TipStatus, approve, retire
from newsletter.core.tip_body import placeholder_faults
from newsletter.errors import InputError, NotNow
from newsletter.flows.alert import settle_alert
from newsletter.flows.pin_date import pin_faults
from newsletter.flows.preview import compile_tip
from newsletter.flows.queue_tip import CHANGED_MEANWHILE, TipValidation
from newsletter.store import edition as editions
from newsletter.store import installation as installations
from newsletter.store import log as logs
from newsletter.store import tip as tips
from newsletter.store.alert import AlertKind
from newsletter.store.unit import Tx, Unit


def approve_tips(unit: Unit, chosen: Sequence[Tip], review: TipValidation, *, who: str) -> list[Tip]:
    """Let tips go out, all of them or none; return those that were not approved already."""
    with unit.read() as tx:
        sent = {sending.tip for sending in editions.history_of(tx, [tip.id for tip in chosen])}
    approved = {tip: approve(tip, was_sent=tip.id in sent) for tip in chosen}
    fresh = [tip for tip, after in approved.items() if after != tip]
    _check_gates(fresh, review)
    with unit.write() as tx:
        installations.lock(tx)
        for tip in fresh:
            _refuse_changed(tx, tip)
            tips.set_status(tx, tip, TipStatus.APPROVED, now=review.now)
            logs.add(tx, logs.LogEntry(at=review.now, who=who, what="tip approve", about=tip.slug))
    return [approved[tip] for tip in fresh]


def retire_tip(unit: Unit, tip: Tip, *, who: str, why: str, now: datetime) -> Tip:
    """Take a tip out of the queue and free its date; the tip itself is kept."""
    after = retire(tip)
    if after == tip:
        return tip
    with unit.write() as tx:
        installations.lock(tx)
        _refuse_changed(tx, tip)
        saved = tips.save(tx, tip, after, now=now)
        settle_alert(tx, AlertKind.STRANDED_PIN, tip.slug, now=now)
        logs.add(tx, logs.LogEntry(at=now, who=who, what="tip retire", about=tip.slug, why=why))
        return saved


def refuse_used(unit: Unit, tip: Tip) -> None:
    """Raise `InputError` for a tip that an edition was made of: its report and its archive page name it."""
    with unit.read() as tx:
        _refuse_used(tx, tip)


def delete_tip(unit: Unit, tip: Tip, *, who: str, now: datetime) -> None:
    """Delete a tip of which no edition was ever made."""
    with unit.write() as tx:
        installations.lock(tx)
        _refuse_changed(tx, tip)
        _refuse_used(tx, tip)
        settle_alert(tx, AlertKind.STRANDED_PIN, tip.slug, now=now)
        tips.delete(tx, tip.id)
        logs.add(tx, logs.LogEntry(at=now, who=who, what="tip delete", about=tip.slug, why=tip.title))


def move_tip(unit: Unit, tip: Tip, *, before: Tip | None, first: bool = False, who: str, now: datetime) -> Tip:
    """Put a tip before another one, first, or (with neither) last in the queue."""
    _refuse_unqueued(tip)
    if before is not None:
        if before.id == tip.id:
            raise InputError(f"{tip.slug!r} cannot go before itself; name another tip")
        _refuse_unqueued(before)
    with unit.write() as tx:
        installations.lock(tx)
        _refuse_changed(tx, tip)
        if first:
            before = tips.first_in_order(tx, other_than=tip.id)
        tips.place(tx, tip, before=before, now=now)
        place = f"before {before.slug}" if before is not None and not first else "first" if first else "last"
        logs.add(tx, logs.LogEntry(at=now, who=who, what="tip move", about=tip.slug, why=place))
        return tips.by_id(tx, tip.id) or tip


def pin_tip(unit: Unit, tip: Tip, day: date, review: TipValidation, *, who: str) -> Tip:
    """Pin a tip to a date; pinning it to its own date changes nothing."""
    if tip.status is TipStatus.SENT and not tip.evergreen:
        raise InputError(f"{tip.slug!r} was sent already and will not be sent again; copy it to a new tip")
    if tip.status is TipStatus.RETIRED:
        raise InputError(f"{tip.slug!r} is retired; `newsletter tip approve {tip.slug}` brings it back first")
    with unit.write() as tx:
        installations.lock(tx)
        _refuse_changed(tx, tip)
        if tip.pin == day:
            return tip
        pin_in(tx, tip, day, review)
        logs.add(tx, logs.LogEntry(at=review.now, who=who, what="tip pin", about=tip.slug, why=f"to {day}"))
        return tips.by_id(tx, tip.id) or tip


def pin_in(tx: Tx, tip: Tip, day: date, review: TipValidation) -> None:
    """Pin a tip within a transaction that is open already; raise `InputError` when the date cannot be had."""
    faults = pin_faults(tx, day, cadence=review.cadence, now=review.now)
    if faults:
        raise InputError(faults[0].removeprefix("pin: "))
    holder = tips.pinned_to(tx, day)
    if holder is not None and holder.id != tip.id:
        message = (
            f"{holder.slug} is pinned to {describe_date(day)} already; `newsletter tip unpin {holder.slug}` frees it"
        )
        raise InputError(message)
    tips.set_pin(tx, tip, day, now=review.now)
    settle_alert(tx, AlertKind.STRANDED_PIN, tip.slug, now=review.now)


def unpin_tip(unit: Unit, tip: Tip, *, who: str, now: datetime) -> Tip:
    """Give a tip back to the queue, at the place that it has there."""
    if tip.pin is None:
        return tip
    with unit.write() as tx:
        installations.lock(tx)
        _refuse_changed(tx, tip)
        freed = tips.set_pin(tx, tip, None, now=now)
        settle_alert(tx, AlertKind.STRANDED_PIN, tip.slug, now=now)
        logs.add(tx, logs.LogEntry(at=now, who=who, what="tip unpin", about=tip.slug, why=f"from {tip.pin}"))
        return freed


def _check_gates(chosen: Sequence[Tip], review: TipValidation) -> None:
    faults = []
    for tip in chosen:
        left = placeholder_faults(tip.body, 1)
        if left:
            faults.append(f"{tip.slug}: {left[0].text}: `newsletter tip edit {tip.slug}`")
            continue
        try:
            compile_tip(review.render_context, tip, on=review.on)
        except InputError as error:
            faults.append(f"{tip.slug}: {error}")
    if faults:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise InputError(f"not approved: {faults[0]}{more}", details=tuple(faults[1:]))


def _refuse_used(tx: Tx, tip: Tip) -> None:
    if tip.status is TipStatus.SENT or tips.has_edition(tx, tip.id):
        raise InputError(f"“{tip.title}” ({tip.slug}) went out, and the report of its edition names it, so it is kept")


def _refuse_changed(tx: Tx, tip: Tip) -> None:
    if tips.by_id(tx, tip.id) != tip:
        raise NotNow(CHANGED_MEANWHILE)


def _refuse_unqueued(tip: Tip) -> None:
    if tip.status in {TipStatus.SENT, TipStatus.RETIRED}:
        raise InputError(f"{tip.slug!r} is not in the queue: it was {tip.status}")

"""Answering the link of a notice: what it would do, and doing it.

In: a token that is genuine. Out: words for the page. Looking changes nothing; doing goes through the same flows as the
commands, which say why when it is too late. A link does one thing, to one date or edition, until it expires.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from newsletter.core.cadence import describe_date, describe_slot
from newsletter.core.edition import Edition, EditionId, EditionStatus
from newsletter.core.proof import needs_proof
from newsletter.core.tip import TipId
from newsletter.core.token import ActionKind, ActionToken
from newsletter.errors import InputError
from newsletter.flows import hold
from newsletter.flows.change_slot import skip_slot
from newsletter.flows.plan import PlanRules, judged
from newsletter.flows.queue_tip import TipValidation
from newsletter.flows.swap_tip import plan_swap, swap_tip
from newsletter.store import delivery as deliveries
from newsletter.store import edition as editions
from newsletter.store import slot as slots
from newsletter.store.unit import Tx, Unit
from newsletter.wording import plural

LINK_ACTOR = "a link in a notice"
"""How the log names a person who pressed a button: everybody who has the mail has the link."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkWords:
    """What the page says."""

    title: str
    text: str
    button: str = ""
    """Empty when there is nothing to press."""


def ask_link(unit: Unit, action: ActionToken, rules: PlanRules, review: TipValidation) -> LinkWords:
    """Say what the button will do; raise `InputError` when it can do nothing any more."""
    if action.kind in {ActionKind.PAUSE, ActionKind.CANCEL}:
        return _ask_hold(unit, action)
    day = date.fromordinal(action.target)
    if action.kind is ActionKind.SWAP:
        swap = plan_swap(unit, day, TipId(action.guard), review)
        when = describe_slot(swap.slot, rules.cadence.zone)
        return LinkWords(
            title="Send another tip instead?",
            text=f"On {when}, “{swap.instead.title}” goes out instead of “{swap.out.title}”, which waits for the "
            "next date.",
            button=f"Send “{swap.instead.title}”",
        )
    with unit.read() as tx:
        slot = slots.get(tx, day)
        if slot is not None and not judged(tx, rules, slot, now=review.now):
            why = f": {slot.reason}" if slot.reason else ""
            raise InputError(f"{describe_date(day)} is {slot.state.value} already{why}")
    return LinkWords(
        title=f"Skip {describe_date(day)}?",
        text="No mail goes out on that date. The tip waits for the next one, unless it is pinned to this date. "
        f"`newsletter slot unskip {day}` takes it back, as long as the time has not come.",
        button="Skip this date",
    )


def _ask_hold(unit: Unit, action: ActionToken) -> LinkWords:
    with unit.read() as tx:
        edition = _edition(tx, action)
        waiting = deliveries.counts(tx, edition.id) if edition.status is EditionStatus.SENDING else None
    if edition.status in {EditionStatus.FINISHED, EditionStatus.CANCELLED}:
        raise InputError(f"the edition of {edition.name} is {edition.status.value} already")
    people = "" if waiting is None else f" It has reached {edition.audience - waiting.open:,} of {edition.audience:,}."
    if action.kind is ActionKind.PAUSE:
        if edition.status is EditionStatus.PAUSED:
            raise InputError(f"the edition of {edition.name} is paused already")
        return LinkWords(
            title=f"Pause the edition of {edition.name}?",
            text=f"“{edition.title}” stops here until `newsletter edition resume {edition.name}`.{people}",
            button="Pause it",
        )
    return LinkWords(
        title=f"Cancel the edition of {edition.name}?",
        text=f"“{edition.title}” stops here, for good.{people} To stop for now, pause it instead.",
        button="Cancel it for good",
    )


def follow_link(unit: Unit, action: ActionToken, rules: PlanRules, review: TipValidation) -> LinkWords:
    """Do what the button says; raise `InputError` when it is too late, with nothing changed."""
    now = review.now
    if action.kind is ActionKind.SWAP:
        swap = swap_tip(unit, date.fromordinal(action.target), TipId(action.guard), review, who=LINK_ACTOR)
        when = describe_slot(swap.slot, rules.cadence.zone)
        proof = " A new proof follows." if needs_proof(swap.slot, now=now) else ""
        return LinkWords(title="Done", text=f"“{swap.instead.title}” goes out on {when}.{proof}")
    if action.kind is ActionKind.SKIP:
        day = date.fromordinal(action.target)
        result = skip_slot(unit, day, rules, who=LINK_ACTOR, because="skipped by the link in the proof", now=now)
        pinned = (
            f" “{result.tip.title}” is pinned to this date, which is skipped: `newsletter slot unskip {day}` takes the "
            f"skip back, `newsletter tip unpin {result.tip.slug}` returns the tip to the queue."
            if result.tip
            else ""
        )
        return LinkWords(title="Done", text=f"{describe_date(day)} is skipped: no mail goes out.{pinned}")
    with unit.read() as tx:
        edition = _edition(tx, action)
    if action.kind is ActionKind.PAUSE:
        hold.pause_edition(unit, edition, who=LINK_ACTOR, why="by the link in a notice", now=now)
        return LinkWords(
            title="Paused", text=f"No further reader gets it until `newsletter edition resume {edition.name}`."
        )
    skipped = hold.cancel_edition(unit, edition, who=LINK_ACTOR, why="by the link in a notice", now=now)
    people = plural(skipped, "person does", "people do")
    return LinkWords(title="Cancelled", text=f"{people} not get the edition of {edition.name}.")


def _edition(tx: Tx, action: ActionToken) -> Edition:
    edition = editions.find(tx, EditionId(action.target))
    if edition is None:
        raise InputError("this database has no such edition; it may have been restored from an older backup")
    return edition

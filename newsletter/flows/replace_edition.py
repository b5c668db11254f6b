"""Replacing: a wrong tip is stopped on its way, and another one goes to whom it did not reach.

In: the edition and the right tip. Out: the wrong edition cancelled and `DATE.2` opened, in one transaction: killed
before it, nothing was done; killed after it, `DATE.2` is sent like any other edition. What is in flight at that moment
is let finish; those people have a row in `DATE.2` that waits until it is known whether the wrong tip reached them.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime

from newsletter.core.cadence import SlotState
from newsletter.core.edition import Edition, EditionId, EditionKind, EditionStatus
from newsletter.core.tip import Tip, TipStatus
from newsletter.errors import InputError
from newsletter.flows.follow_up import (
    FollowUp,
    FollowUpDraft,
    FollowUpPlan,
    open_once,
    opened_before,
    plan_follow_up,
    refuse_unfit,
    write,
)
from newsletter.flows.freeze import RenderContext, waves_again
from newsletter.flows.hold import REPLACED, stop
from newsletter.flows.publish_page import withdraw_page
from newsletter.store import edition as editions
from newsletter.store import log as logs
from newsletter.store import slot as slots
from newsletter.store import tip as tips
from newsletter.store.unit import Tx, Unit
from newsletter.wording import people_words

REPLACEMENT_KIND = EditionKind.REPLACEMENT


def plan_replacement(tx: Tx, wrong: EditionId, tip: Tip, *, now: datetime) -> FollowUpPlan:
    """Tell what replacing would do; raise `InputError` when it cannot be done."""
    edition = editions.by_id(tx, wrong)
    if (known := opened_before(tx, REPLACEMENT_KIND, edition, tip)) is not None:
        return FollowUpPlan(wrong=edition, known=known)
    _refuse(tx, edition)
    refuse_unfit(tx, edition, tip)
    outlook = plan_follow_up(tx, REPLACEMENT_KIND, edition, now=now)
    if not outlook.people:
        raise InputError(
            f"the edition of {edition.name} has reached every reader; "
            f"`newsletter edition correct {edition.name} --tip {tip.slug}` mails a correction to those who have it"
        )
    return outlook


def replace_edition(
    unit: Unit, render_context: RenderContext, wrong: Edition, tip: Tip, *, who: str, why: str, now: datetime
) -> FollowUp:
    """Stop the wrong edition and open the right one; done before, it changes nothing and returns what was opened."""

    def act(tx: Tx, draft: FollowUpDraft) -> FollowUp:
        edition = draft.wrong
        drafted = _stop(tx, edition, by=draft.name, why=why, now=now)
        # Whose hour has not come waits for it, as they would have for the wrong tip.
        waves = waves_again(tx, render_context, edition, now=now)
        opened = write(tx, draft, sends_at=edition.sends_at, waves=waves, now=now)
        replacement = opened.edition
        slots.move(tx, replacement.date, was=SlotState.FROZEN, to=SlotState.FROZEN, reason=replacement.tip.why, now=now)
        text = f"{tip.slug} instead of {edition.tip.slug}, {people_words(replacement.audience)} as {replacement.name}"
        text += f": {why}" if why else ""
        logs.add(tx, logs.LogEntry(at=now, who=who, what="edition replace", about=edition.name, why=text))
        return replace(opened, drafted=drafted)

    return open_once(
        unit,
        render_context,
        REPLACEMENT_KIND,
        tip,
        plan=lambda tx: plan_replacement(tx, wrong.id, tip, now=now),
        act=act,
    )


def _stop(tx: Tx, wrong: Edition, *, by: str, why: str, now: datetime) -> bool:
    """Cancel the wrong edition; tell whether its tip is a draft again, since nothing of it was handed to a server.

    A cancelled tip goes back to the queue. This one was called wrong: next in the queue, it would go out in a week.
    """
    if wrong.status is EditionStatus.CANCELLED:
        # Somebody cancelled it first and thought then; what that did to its tip stands.
        return False
    because = f"replaced by {by}{': ' + why if why else ''}"
    stopped = stop(tx, wrong, why=because, reason=REPLACED.format(by), now=now)
    tip = tips.by_id(tx, wrong.tip.id)
    if not stopped.untouched or tip is None:
        return False
    editions.give_tip_back(tx, wrong.id)
    withdraw_page(tx, wrong)
    if tip.pin is not None:
        tip = tips.set_pin(tx, tip, None, now=now)
    tips.set_status(tx, tip, TipStatus.DRAFT, now=now)
    return True


def _refuse(tx: Tx, edition: Edition) -> None:
    by = next((item for item in editions.about(tx, edition.id) if item.kind is REPLACEMENT_KIND), None)
    if by is not None:
        raise InputError(
            f"the edition of {edition.name} was replaced by {by.name} already; "
            f"`newsletter edition replace {by.name} --tip TIP` replaces that one"
        )
    if edition.kind is EditionKind.CORRECTION:
        raise InputError(
            f"{edition.name} is a correction. `newsletter edition cancel {edition.name}` stops it, and another "
            "`newsletter edition correct` mails everybody whom the first mail reached"
        )
    if edition.status is EditionStatus.FINISHED:
        raise InputError(
            f"the edition of {edition.name} has gone out, so nothing is left to stop; "
            f"`newsletter edition correct {edition.name} --tip TIP` mails those who got it"
        )
    if edition.status is EditionStatus.CANCELLED and not editions.reached_anybody(tx, edition.date):
        raise InputError(
            f"the edition of {edition.name} was cancelled before anybody got it, so nothing is left to replace"
        )
    _refuse_overtaken(tx, edition.date, edition.name)


def _refuse_overtaken(tx: Tx, on: date, name: str) -> None:
    newer = editions.begun_after(tx, on)
    if newer is not None:
        raise InputError(
            f"the edition of {newer.name} has begun since, and an older one must not overtake it; "
            f"`newsletter edition cancel {name}` stops the wrong one"
        )

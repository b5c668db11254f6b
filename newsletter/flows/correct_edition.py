"""Correcting: a further tip for those alone who got an edition.

In: the edition, long finished or not, and the tip. Out: `DATE.2`, opened in one transaction. A person who left since is
not in it. Who waits for another try of the edition has a row that goes out if that try succeeds.
"""

from __future__ import annotations

from datetime import datetime

from newsletter.core.edition import Edition, EditionId, EditionKind, EditionStatus
from newsletter.core.tip import Tip
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
from newsletter.flows.freeze import RenderContext
from newsletter.store import audience as audiences
from newsletter.store import edition as editions
from newsletter.store import log as logs
from newsletter.store.unit import Tx, Unit
from newsletter.wording import people_words, plural

CORRECTION_KIND = EditionKind.CORRECTION


def plan_correction(tx: Tx, wrong: EditionId, tip: Tip, *, now: datetime) -> FollowUpPlan:
    """Tell what a correction would do; raise `InputError` when it cannot be done."""
    edition = editions.by_id(tx, wrong)
    if (known := opened_before(tx, CORRECTION_KIND, edition, tip)) is not None:
        return FollowUpPlan(wrong=edition, known=known)
    _refuse_under_way(tx, edition)
    refuse_unfit(tx, edition, tip)
    outlook = plan_follow_up(tx, CORRECTION_KIND, edition, now=now)
    if not outlook.people:
        raise InputError(f"everybody who got the edition of {edition.name} has left since; there is no reader to mail")
    return outlook


def correct_edition(
    unit: Unit, render_context: RenderContext, wrong: Edition, tip: Tip, *, who: str, why: str, now: datetime
) -> FollowUp:
    """Open a correction; done before, it changes nothing and returns what was opened."""

    def act(tx: Tx, draft: FollowUpDraft) -> FollowUp:
        # It has no slot's instant of its own: it goes out when it is asked for.
        opened = write(tx, draft, sends_at=now, now=now)
        text = (
            f"{tip.slug}, {people_words(opened.edition.audience)} as {opened.edition.name}{': ' + why if why else ''}"
        )
        logs.add(tx, logs.LogEntry(at=now, who=who, what="edition correct", about=draft.wrong.name, why=text))
        return opened

    return open_once(
        unit, render_context, CORRECTION_KIND, tip, plan=lambda tx: plan_correction(tx, wrong.id, tip, now=now), act=act
    )


def _refuse_under_way(tx: Tx, edition: Edition) -> None:
    """Refuse while the wrong tip still goes out: each of those people would get it first, and then a correction."""
    waiting = audiences.untried(tx, edition.id)
    if edition.status is not EditionStatus.CANCELLED and waiting:
        people = plural(waiting, "person is", "people are")
        raise InputError(
            f"the edition of {edition.name} is {edition.status} and {people} to get it yet; "
            f"stop it first: `newsletter edition replace {edition.name} --tip TIP`, "
            f"or `newsletter edition cancel {edition.name}`"
        )

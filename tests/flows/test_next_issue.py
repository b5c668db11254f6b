"""What the sign-up page shows of the last tip."""

from __future__ import annotations

from datetime import timedelta

import pytest

from newsletter.core.cadence import Slot
from newsletter.core.delivery import DeliveryCounts, DeliveryState
from newsletter.core.edition import Edition
from newsletter.core.lineup import LineupRules
from newsletter.flows.correct_edition import correct_edition
from newsletter.flows.freeze import RenderContext, freeze
from newsletter.flows.next_issue import LastIssue, last_issue
from newsletter.render.environment import make_environment
from newsletter.store import edition as editions
from newsletter.store.unit import Unit
from tests.edition_fixtures import PUBLICATION, TUESDAY
from tests.flows.follow_up_fixtures import LATER, World, make_world

WEEK = timedelta(weeks=1)


@pytest.fixture
def world(unit: Unit) -> World:
    """Return an edition for two people, of which nothing has gone out."""
    templates = make_environment(None)
    return make_world(unit, RenderContext(publication=PUBLICATION, templates=templates, rules=LineupRules()), people=2)


def finish(world: World, edition: Edition) -> None:
    """Close an edition that everybody got."""
    with world.unit.write() as tx:
        editions.close(tx, edition.id, totals=DeliveryCounts(accepted=2), now=LATER)


def shown(world: World) -> LastIssue | None:
    """Return what the page shows."""
    with world.unit.read() as tx:
        return last_issue(tx, "America/New_York")


def test_a_correction_is_not_shown_as_the_last_tip(world: World) -> None:
    """A correction means something to the people who got the mistake, and nothing to a visitor."""
    assert shown(world) is None
    world.settle(world.wrong, DeliveryState.ACCEPTED, 0, 1)
    finish(world, world.wrong)
    correction = correct_edition(
        world.unit, world.render_context, world.edition(), world.tip("right"), who="ann", why="", now=LATER
    )
    finish(world, correction.edition)
    assert shown(world) == LastIssue(title="Wrong", date=world.wrong.date)


def test_a_tip_that_was_sent_early_has_the_day_it_came(world: World) -> None:
    """The day on which the readers got it, and no date that is still to come."""
    early = Slot(date=world.wrong.date + timedelta(days=7), sends_at=TUESDAY + WEEK)
    frozen_edition = freeze(world.unit, world.render_context, early, now=LATER).edition
    assert frozen_edition is not None
    finish(world, frozen_edition)
    assert shown(world) == LastIssue(title="Right", date=world.wrong.date)

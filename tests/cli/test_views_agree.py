"""Every view of an edition shows the same numbers, in every state of it, and they add up to its audience."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from sqlalchemy import insert, update

from newsletter.core.delivery import DeliveryState
from newsletter.core.edition import EditionStatus
from newsletter.core.lineup import LineupRules
from newsletter.core.monitor import ServicePart
from newsletter.flows.plan import PlanRules
from newsletter.store import delivery as deliveries
from newsletter.store import edition as editions
from newsletter.store import heartbeat as heartbeats
from newsletter.store.schema import edition, tally
from newsletter.store.snapshot import part_states
from newsletter.web.figures import read_figures
from newsletter.web.health import health_problems
from tests.cli.conftest import Home
from tests.conftest import SHIFTED
from tests.edition_fixtures import CADENCE
from tests.flows.follow_up_fixtures import World

STATES = [state.value for state in DeliveryState]
RULES = PlanRules(cadence=CADENCE, lineup=LineupRules(), grace=timedelta(hours=36))


def settle(world: World, status: EditionStatus, *, closed: bool) -> None:
    """Let one person each be accepted, refused, uncertain, given up and left out, and the sixth still wait."""
    last = DeliveryState.ACCEPTED if closed else DeliveryState.DEFERRED
    settled = ("accepted", "rejected", "uncertain", "expired", "skipped", last.value)
    for person, state in enumerate(settled):
        world.settle(world.wrong, DeliveryState(state), person)
    with world.unit.write() as tx:
        tx.execute(update(edition).values(status=status.value))
        counted = {"accepted": 1, "hard": 1, "uncertain": 1, "deferred": 1}
        now = SHIFTED.now()
        tx.execute(
            insert(tally).values(edition_id=world.wrong.id, source="worker", worker_id=1, since=now, at=now, **counted)
        )
        if closed:
            totals = deliveries.counts(tx, world.wrong.id)
            editions.close(tx, world.wrong.id, totals=totals, now=now)


def counts(data: dict[str, object]) -> dict[str, object]:
    """Return the states of a view; `left` is queued and being sent to in one."""
    known = {name: data[name] for name in STATES if name in data}
    return known | {"left": data["left"]} if "left" in data else known


@pytest.mark.parametrize(
    ("status", "closed"),
    [
        (EditionStatus.SENDING, False),
        (EditionStatus.PAUSED, False),
        (EditionStatus.CANCELLED, False),
        (EditionStatus.FINISHED, True),
        (EditionStatus.CANCELLED, True),
    ],
)
def test_all_views_show_the_same_counts(home: Home, world: World, status: EditionStatus, *, closed: bool) -> None:
    """`edition show`, `edition watch`, `status` and the metrics agree about sending, paused and ended editions."""
    settle(world, status, closed=closed)
    name = world.wrong.name
    shown = json.loads(home.run("edition", "show", name, "--json").out)
    expected = {state: shown[state] for state in STATES}
    assert sum(expected.values()) == shown["audience"] == 6
    assert (shown["rejected"], shown["uncertain"]) == (1, 1)

    summary = json.loads(home.run("status", "--json").out)
    [known] = [summary["last"]] if closed else summary["running"]
    assert {state: known[state] for state in STATES} == expected

    watched = json.loads(home.run("edition", "watch", name, "--json").out.splitlines()[-1])
    left = watched.pop("left")
    assert {state: watched[state] for state in STATES if state in watched} | {
        "queued": expected["queued"],
        "sending": expected["sending"],
    } == expected
    assert left == expected["queued"] + expected["sending"]
    assert (watched["audience"], watched["status"]) == (shown["audience"], shown["status"])

    [receipt] = read_figures(home.unit, RULES, now=SHIFTED.now()).editions
    assert {state: receipt.counts[DeliveryState(state)] for state in STATES} == expected


@pytest.mark.parametrize(
    ("seconds", "liveness"), [(5, "alive"), (61, "late"), (121, "not running"), (-300, "not running")]
)
def test_all_views_judge_a_heartbeat_alike(home: Home, seconds: int, liveness: str) -> None:
    """`status`, `/healthz` and `doctor` use one table: alive, late, not running."""
    with home.unit.write() as tx:
        for part in ServicePart:
            heartbeats.record(tx, part, now=SHIFTED.now() - timedelta(seconds=seconds), process="host 1")
    with home.unit.read() as tx:
        parts = part_states(tx, SHIFTED.now())
    assert {state.liveness.value for state in parts.values()} == {liveness}
    assert bool(health_problems(parts)) == (liveness == "not running")
    summary = json.loads(home.run("status", "--json").out)
    assert {part["liveness"] for part in summary["parts"].values()} == {liveness}
    text = home.run("status").out
    assert ("running: process host 1" if liveness == "alive" else f"the scheduler is {liveness}") in text
    assert liveness in home.run("doctor").out

"""`newsletter edition replace` and `correct` without a terminal: words, exit codes, data, and what is refused."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from newsletter.cli import edition_watch as live
from newsletter.core.cadence import Slot
from newsletter.core.delivery import DeliveryCounts, DeliveryState
from newsletter.core.edition import EditionStatus
from newsletter.flows.freeze import freeze
from newsletter.flows.replace_edition import replace_edition
from newsletter.store import delivery as deliveries
from newsletter.store import edition as editions
from newsletter.testing.catcher import Catcher
from tests.cli.conftest import PEOPLE, Home
from tests.conftest import SHIFTED
from tests.flows.follow_up_fixtures import World


def name(world: World, number: int = 1) -> str:
    """Return the name of an edition of the date."""
    return world.wrong.name if number == 1 else f"{world.wrong.name}.{number}"


def test_replace(home: Home, world: World, mail: Catcher) -> None:
    """The wrong tip is stopped, the right one sent to the others, and both reports say so."""
    world.settle(world.wrong, DeliveryState.ACCEPTED, 0, 1)
    ran = home.run("edition", "replace", name(world), "--tip", "right", "--yes", "--because", "a  mix-up")
    assert ran.code == 0, ran.err
    assert f"{name(world, 2)} replaces the edition of {name(world)}: “Right” goes to 4 people." in ran.out
    assert f"edition correct {name(world)} --tip TIP" in ran.err
    assert "4 of 4 handed to your mail provider" in ran.out
    assert sorted(mail.accepted) == [f"p{one}@example.com" for one in range(2, 6)]
    listed = home.run("edition", "list")
    assert "replacement" in listed.out
    shown = home.run("edition", "show", name(world))
    assert f"cancelled: replaced by {name(world, 2)}: a mix-up" in shown.out
    assert f"replacement: {name(world, 2)}, “Right” (right)" in shown.out
    data = json.loads(home.run("edition", "show", name(world, 2), "--json").out)
    assert (data["kind"], data["about"], data["audience"]) == ("replacement", name(world), 4)
    assert "edition replace" in home.run("log").out


def test_replace_what_reached_nobody(home: Home, world: World, mail: Catcher) -> None:
    """Where the mail server put off or refused whoever was tried, nobody is to be written a correction."""
    world.settle(world.wrong, DeliveryState.REJECTED, 0)
    ran = home.run("edition", "replace", name(world), "--tip", "right", "--yes")
    assert ran.code == 0, ran.err
    assert "edition correct" not in ran.err


def test_replace_twice(home: Home, world: World, mail: Catcher) -> None:
    """Given again, the command opens nothing and mails nobody twice."""
    first = home.run("edition", "replace", "last", "--tip", "right", "--yes")
    again = home.run("edition", "replace", name(world), "--tip", "right", "--yes")
    assert (first.code, again.code) == (0, 0)
    assert f"{name(world, 2)} was opened for that already" in again.out
    assert max(mail.accepted.values()) == 1
    assert world.edition(2).status is EditionStatus.FINISHED


def test_replace_finishes_what_was_begun(home: Home, world: World, mail: Catcher) -> None:
    """A command that was killed after it had opened the edition is finished by giving it again."""
    replace_edition(
        world.unit, world.render_context, world.wrong, world.tip("right"), who="ann", why="", now=SHIFTED.now()
    )
    ran = home.run("edition", "replace", name(world), "--tip", "right", "--yes", "--json")
    assert ran.code == 0
    assert json.loads(ran.out)["accepted"] == len(PEOPLE) == mail.accepted.total()


def test_a_wrong_tip_that_nobody_got(home: Home, world: World) -> None:
    """A wrong tip that reached nobody is a draft again, and the words say how it comes back."""
    ran = home.run("edition", "replace", name(world), "--tip", "rig", "--yes")
    assert ran.code == 0
    assert "It is a draft again: `newsletter tip approve wrong` queues it." in ran.out


def test_correct_asks_twice(home: Home, world: World, mail: Catcher) -> None:
    """Without a terminal a correction needs --yes twice; once is refused, and nothing is changed."""
    world.settle(world.wrong, DeliveryState.ACCEPTED, *PEOPLE)
    for words in ((), ("--yes",)):
        ran = home.run("edition", "correct", name(world), "--tip", "right", *words)
        assert ran.code == 2
        assert "give --yes twice" in ran.err
    assert not mail.accepted
    ran = home.run("edition", "correct", name(world), "--tip", "right", "--yes", "--yes")
    assert ran.code == 0, ran.err
    assert f"{name(world, 2)} corrects the edition of {name(world)}: “Right” goes to 6 people." in ran.out
    assert mail.accepted.total() == 6
    assert "sent" in home.run("slot", "list").out


def test_correct_in_short(home: Home, world: World, mail: Catcher) -> None:
    """`-yy` is --yes twice, and --json prints the report of the correction alone."""
    world.settle(world.wrong, DeliveryState.ACCEPTED, 3)
    with world.unit.write() as tx:
        deliveries.skip_edition(tx, world.wrong.id, "left")
        editions.close(tx, world.wrong.id, totals=DeliveryCounts(accepted=1, skipped=5), now=SHIFTED.now())
    ran = home.run("edition", "correct", name(world), "--tip", "right", "-yy", "--json")
    assert ran.code == 0, ran.err
    data = json.loads(ran.out)
    assert (data["kind"], data["about"], data["accepted"]) == ("correction", name(world), 1)
    assert list(mail.accepted) == ["p3@example.com"]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("replace", "2020-01-07", "--tip", "right"), "There is no edition of 2020-01-07"),
        (("replace", "next", "--tip", "right"), "not frozen yet"),
        (("replace", "last", "--tip", "wrong"), "the very tip"),
        (("replace", "last", "--tip", "missing"), "missing"),
        (("correct", "last", "--tip", "right", "-yy"), "stop it first"),
    ],
)
def test_refused(home: Home, world: World, command: tuple[str, ...], words: str) -> None:
    """What makes no sense ends with exit code 2 and says why; the edition goes on."""
    ran = home.run("edition", *command)
    assert ran.code == 2
    assert words in ran.err
    assert world.edition().status is EditionStatus.SENDING


def test_who_waits_for_the_edition_before(home: Home, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whom a server may have the wrong tip for waits for that outcome, and every view of the right one says so."""
    world.settle(world.wrong, DeliveryState.SENDING, 0)
    replace_edition(
        world.unit, world.render_context, world.wrong, world.tip("right"), who="ann", why="", now=SHIFTED.now()
    )
    monkeypatch.setattr(live, "QUIET_LOOKS_MAX", 1)
    sentence = "1 person waits for the outcome of the edition before"
    for words in (("status",), ("edition", "show", name(world, 2)), ("edition", "watch", name(world, 2))):
        shown = " ".join(home.run(*words).out.split())
        assert sentence in shown
        assert "another try" not in shown
    assert "still waiting for the outcome of the edition before (1); the service is not running" in shown


def test_the_last_edition_is_the_one_that_began_last(home: Home, world: World) -> None:
    """`pause last` stops what goes out now, also when it is for an earlier date: an added one, or a correction."""
    now = SHIFTED.now()
    earlier = Slot(date=world.wrong.date - timedelta(days=3), sends_at=now)
    frozen_edition = freeze(home.unit, world.render_context, earlier, now=now).edition
    assert frozen_edition is not None
    assert home.run("edition", "pause", "last").out == f"The edition of {frozen_edition.name} is paused now.\n"
    listed = json.loads(home.run("edition", "list", "--json").out)
    assert [item["date"] for item in listed] == [frozen_edition.name, world.wrong.name]

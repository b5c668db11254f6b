"""`newsletter status`, as a person reads it and as a program does."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta

from newsletter.core.cadence import Cadence, next_slots
from newsletter.core.delivery import DeliveryState
from newsletter.core.monitor import ServicePart
from newsletter.store import heartbeat as heartbeats
from newsletter.store import installation as installations
from newsletter.store import slot as slots
from newsletter.store import worker as workers
from newsletter.store.unit import Unit
from tests.cli.conftest import Home
from tests.conftest import SHIFTED
from tests.flows.follow_up_fixtures import World
from tests.flows.people_fixtures import begin_edition

TIP = """---
title: Name your branches
subject: Name your branches
status: approved
---
A short name says more than a number.
"""


def alive(unit: Unit) -> None:
    """Let the service have given a sign of life just now."""
    with unit.write() as tx:
        for part in ("scheduler", "sender"):
            heartbeats.record(tx, ServicePart(part), now=SHIFTED.now(), process="host 17")


def furnish(home: Home) -> None:
    """Put a person and a tip into a home, and let the service be alive."""
    (home.folder / "name-your-branches.md").write_text(TIP)
    assert home.run("subscriber", "add", "ada@example.com").code == 0
    assert home.run("tip", "add", str(home.folder / "name-your-branches.md")).code == 0
    alive(home.unit)


def test_what_a_new_installation_lacks_is_listed(home: Home) -> None:
    """What is missing comes first, with the command that brings it, and the exit code is 1."""
    ran = home.run("status")
    assert ran.code == 1
    lines = ran.out.splitlines()
    assert lines[0].startswith("Tip of the Week · ")
    assert lines[2] == "2 things need you:"
    assert "There is no tip for" in lines[3]
    assert "`newsletter subscriber import`" in lines[4]
    assert "last      no edition has been sent yet" in lines
    assert "service   the scheduler has never run; `newsletter run` starts it" in lines


def test_a_good_morning(home: Home) -> None:
    """With everything in place it says so in one line, then the next date, the service and the stock; exit code 0."""
    furnish(home)
    ran = home.run("status")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines()[2] == "All is well. Nothing needs you."
    assert "“Name your branches” (name-your-branches): next in the queue" in ran.out
    assert "to 1 person" in ran.out
    assert "service   running: process host 17, last heartbeat" in ran.out
    assert "stock     1 fresh tip; you want to hear of it below 4" in ran.out


def test_a_journal_that_nobody_can_read(home: Home) -> None:
    """It needs a person, who is told which file, what it means, and what to do; the doctor says the same."""
    furnish(home)
    folder = home.folder / "data" / "journal"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "0-1.journal").write_bytes(b"")
    ran = home.run("status")
    assert ran.code == 1
    sentence = (
        f"The journal {folder}/0-1.journal is left over: it is empty, so what it knew of messages in flight is lost"
    )
    assert sentence in ran.out
    assert sentence in home.run("doctor").out
    (folder / "0-1.journal").unlink()
    assert home.run("status").code == 0
    assert "nothing foreign is left in" in home.run("doctor").out


def test_control_characters_do_not_reach_the_terminal(home: Home) -> None:
    """A title or a reason cannot steer the terminal, and every line of the output is its own."""
    furnish(home)
    coming = next_slots(Cadence(weekday=1, at=datetime(2026, 1, 1, 9, tzinfo=UTC).time(), zone="America/New_York"),
                        SHIFTED.now(), 1)[0]  # fmt: skip
    assert home.run("slot", "skip", coming.date.isoformat(), "--because", "a\x1b[31mb\nc").code == 0
    out = home.run("status").out
    assert "\x1b" not in out
    assert [line for line in out.splitlines() if "is skipped: a" in line and line.endswith("c")]


def test_for_a_program(home: Home) -> None:
    """The JSON has the same, with the next date, the running editions with their progress, and the signs of life."""
    furnish(home)
    begin_edition(home.unit)
    ran = home.run("status", "--json")
    data = json.loads(ran.out)
    assert ran.code == 0, data["needs"]
    assert data["ok"] is True
    assert data["needs"] == data["alerts"] == []
    assert data["next"]["tip"] == "name-your-branches"
    assert data["audience"] == data["next"]["audience"] == 1
    [running] = data["running"]
    assert (running["date"], running["settled"], running["queued"]) == ("2026-11-03", 0, 1)
    assert data["last"] is None
    assert data["parts"]["scheduler"]["alive"] is True
    assert 0 <= data["parts"]["scheduler"]["age_seconds"] < 60
    assert data["stock"] == {"weeks": 1, "evergreens": 0, "drafts": 1, "stranded": []}


def test_looking_changes_nothing(home: Home) -> None:
    """Whoever looks leaves no slot, no heartbeat and no entry behind."""
    home.run("status")
    with home.unit.read() as tx:
        assert slots.since(tx, None) == []
        assert heartbeats.heartbeats(tx) == {}
        assert installations.get(tx).first_tick_at is None


def test_a_service_that_is_away(home: Home) -> None:
    """Between two dates it may rest: no need, but the headline says it, and since when."""
    furnish(home)
    with home.unit.write() as tx:
        for part in ("scheduler", "sender"):
            then = SHIFTED.now() - timedelta(hours=3)
            heartbeats.record(tx, ServicePart(part), now=then, process="host 17")
    out = home.run("status").out
    assert "the scheduler is not running: last heartbeat 3 hours ago, process host 17" in out
    assert "All is well" not in out


def test_a_mail_server_that_is_away(home: Home, world: World) -> None:
    """Instead of a time left, which would be none, it is said for whom the edition waits, why, and until when."""
    world.settle(world.wrong, DeliveryState.ACCEPTED, 0)
    alive(home.unit)
    now = SHIFTED.now()
    gone = {"name": "smtp.example.com:587", "connections": 0, "trouble": "It does not answer."}
    assert "; about " in home.run("status").out
    with home.unit.write() as tx:
        who = workers.start(tx, name="here 1", machine="m", now=now)
        again = (now + timedelta(seconds=30)).isoformat()
        workers.beat(tx, who, now=now, report={"relays": [{**gone, "again_at": again}]})
    output = home.run("status").out
    assert "1 of 6 people done (16 %)\n" in output
    sentence = r"it waits for the mail server smtp\.example\.com:587; tried again at [\d:]{8}.*: It does not answer\."
    assert re.search(sentence, output)
    [running] = json.loads(home.run("status", "--json").out)["running"]
    assert (running["seconds_left"], running["waits_for_server"]) == (None, "smtp.example.com:587")

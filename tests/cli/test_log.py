"""`newsletter log`: every change by a person is in it, whichever command made it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, time, timedelta

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from newsletter.cli.main import app
from newsletter.core.cadence import Cadence, next_slots
from newsletter.core.delivery import DeliveryState
from newsletter.core.token import key_fingerprint
from newsletter.flows.upgrade_database import upgrade_database
from newsletter.settings.loader import load_settings
from newsletter.store import log as logs
from newsletter.store.database import connect, open_unit
from newsletter.store.log import LogEntry
from newsletter.store.unit import Unit
from newsletter.testing.catcher import Catcher
from newsletter.testing.clocks import START, FixedClock
from newsletter.wiring import Application
from tests.cli.conftest import Home
from tests.conftest import SECRET, SHIFTED
from tests.flows.people_fixtures import KEYRING, begin_edition, put, set_delivery

READS = {
    "config show", "doctor", "status", "queue", "log", "demo", "run", "simulate",
    "tip list", "tip show", "tip preview", "tip export", "tip redirects", "slot list",
    "subscriber export", "subscriber list", "subscriber show",
    "edition list", "edition show", "edition watch", "edition proof", "delivery list", "db check", "db backup",
    "bounce list", "bounce webhooks", "dkim keygen", "dkim record",
}  # fmt: skip
"""What changes nothing that anybody would ask about later. A new command belongs here or into `WRITES`."""

ELSEWHERE = {
    "init", "db upgrade", "db adopt", "db restore", "db copy",
    "edition replace", "edition correct", "bounce read", "bounce fetch", "bounce release", "bounce dismiss",
}  # fmt: skip
"""What is walked by tests of its own, since it needs more than a home: it is logged too."""


def tuesdays() -> list[date]:
    """Return the coming dates."""
    cadence = Cadence(weekday=1, at=time(9), zone="America/New_York")
    return [one.date for one in next_slots(cadence, SHIFTED.now(), 6)]


DATES = [one.isoformat() for one in tuesdays()]
EXTRA = (tuesdays()[0] + timedelta(days=1)).isoformat()

WRITES = (
    ("tip add", "FOLDER/one.md", "one"),
    ("tip import", "FOLDER/two.md", "two"),
    ("tip approve", "one", "one"),
    ("tip approve", "two", "two"),
    ("tip pin", f"one {DATES[2]}", "one"),
    ("tip unpin", "one", "one"),
    ("tip move", "two --first", "two"),
    ("tip edit", "one", "one"),
    ("tip new", "three", "three"),
    ("tip retire", "two --because old", "two"),
    ("tip delete", "three --yes", "three"),
    ("slot skip", f"{DATES[3]} --because holiday", DATES[3]),
    ("slot unskip", DATES[3], DATES[3]),
    ("slot add", EXTRA, EXTRA),
    ("slot remove", EXTRA, EXTRA),
    ("subscriber add", "ada@example.com --source fair", "subscriber"),
    ("subscriber import", "FOLDER/people.csv", "people.csv"),
    ("subscriber edit", "ada@example.com --first-name Ada", "subscriber"),
    ("subscriber pause", "ada@example.com", "subscriber"),
    ("subscriber resume", "ada@example.com", "subscriber"),
    ("subscriber unsubscribe", "ben@example.com --because phone", "subscriber"),
    ("subscriber reactivate", "ben@example.com --because back", "subscriber"),
    ("subscriber erase", "cleo@example.com --yes", "subscriber"),
    ("edition pause", "2026-11-03", "2026-11-03"),
    ("edition resume", "2026-11-03", "2026-11-03"),
    ("edition retry", "2026-11-03", "2026-11-03"),
    ("edition resolve", "2026-11-03 --accepted --yes --because seen", "2026-11-03"),
    ("edition cancel", "2026-11-03 --yes", "2026-11-03"),
    ("edition send", f"{DATES[0]} --now --yes", DATES[0]),
    ("admin sign-in", "ada@example.com", "ada"),
)
"""Every command that changes something, with words that make it do so, in an order in which they can."""


SAID_AS = {"tip edit": "tip update", "tip import": "tip add", "tip new": "tip add"}
"""What the log calls a change that several commands can make."""


def commands() -> Iterator[str]:
    """Yield the words of every command."""
    root = get_command(app)
    assert isinstance(root, TyperGroup)
    for name, command in root.commands.items():
        yield from [f"{name} {verb}" for verb in command.commands] if isinstance(command, TyperGroup) else [name]


def test_every_command_is_known_to_these_tests() -> None:
    """A new command must be said to change something, and is walked below then, or to change nothing."""
    known = READS | ELSEWHERE | {command for command, _, _ in WRITES}
    assert sorted(set(commands()) - known) == []


def last(unit: Unit) -> LogEntry | None:
    """Return the newest entry."""
    with unit.read() as tx:
        return next(iter(logs.latest(tx, count=1)), None)


def furnish(home: Home, port: int) -> None:
    """Write the files that the commands read, and let an edition be under way with somebody uncertain."""
    with (home.folder / ".env").open("a") as settings:
        settings.write(f"NEWSLETTER_SMTP_HOST=127.0.0.1\nNEWSLETTER_SMTP_PORT={port}\nNEWSLETTER_SMTP_SECURITY=none\n")
        settings.write("NEWSLETTER_WEB_PAGES=admin\nNEWSLETTER_ADMIN_EMAILS=ada@example.com\n")
    for slug in ("one", "two"):
        text = f"---\ntitle: Tip {slug}\nslug: {slug}\nsubject: Tip {slug}\n---\nIt is short.\n"
        (home.folder / f"{slug}.md").write_text(text)
    editor = home.folder / "editor"
    editor.write_text("#!/bin/sh\nprintf 'And more.\\n' >> \"$1\"\n")
    editor.chmod(0o700)
    (home.folder / "people.csv").write_text("email\nben@example.com\ncleo@example.com\n")
    uncertain, waiting = put(home.unit, "u@example.com"), put(home.unit, "w@example.com")
    edition = begin_edition(home.unit, date(2026, 11, 3))
    set_delivery(home.unit, edition, uncertain, DeliveryState.UNCERTAIN)
    set_delivery(home.unit, edition, waiting, DeliveryState.DEFERRED, next_attempt_at=START + timedelta(days=4000))


def test_every_change_by_a_person_is_logged(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command that changes something leaves an entry with the person, the verb, the thing and the reason."""
    monkeypatch.setenv("EDITOR", str(home.folder / "editor"))
    with Catcher() as server:
        furnish(home, server.port)
        for command, words, about in WRITES:
            before = last(home.unit)
            ran = home.run(*command.split(), *words.replace("FOLDER", str(home.folder)).split())
            assert ran.code == 0, (command, ran.out, ran.err)
            entry = last(home.unit)
            assert entry is not None, command
            assert entry != before, command
            assert (entry.what, entry.about.split(" ")[0]) == (SAID_AS.get(command, command), about)
            assert entry.who, command
            if "--because" in words:
                assert words.rpartition(" ")[2] in entry.why, command


def test_asking_twice_is_one_change(home: Home) -> None:
    """What stood like that already is not told as a change."""
    home.run("subscriber", "add", "ada@example.com")
    home.run("subscriber", "pause", "ada@example.com")
    before = last(home.unit)
    assert home.run("subscriber", "pause", "ada@example.com").code == 0
    assert last(home.unit) == before


def test_how_it_is_read(home: Home) -> None:
    """The newest stands last, in the time of the publication; a person is shown with the address they have today."""
    with home.unit.write() as tx:
        logs.add(tx, LogEntry(at=START, who="pat", what="slot skip", about="2026-11-24", why="a holiday"))
    home.run("subscriber", "add", "ada@example.com", "--source", "a fair")
    home.run("subscriber", "add", "ben@example.com")
    lines = [line for line in home.run("log").out.splitlines() if line.strip()]
    assert "when (America/New_York)" in lines[0]
    [skipped] = [line for line in lines if "a holiday" in line]
    assert "Sun 2026-11-01 07:00:00" in skipped
    assert "ben@example.com (subscriber 2)" in lines[-1]
    assert "ada@example.com" not in home.run("log", "--about", "holiday").out
    [entry] = json.loads(home.run("log", "--about", "Ada@example.com", "--json").out)
    assert (entry["what"], entry["about"], entry["email"], entry["why"]) == (
        "subscriber add", "subscriber 1", "ada@example.com", "a fair",
    )  # fmt: skip
    assert [one["about"] for one in json.loads(home.run("log", "--limit", "1", "--json").out)] == ["subscriber 2"]
    assert "--limit 10 shows it" in home.run("log", "--limit", "1").out


def test_what_is_not_there(home: Home) -> None:
    """An empty log, a word that nothing names and an address that nobody has are each told in a sentence."""
    assert home.run("log").out == "Nothing has been changed yet.\n"
    assert home.run("log", "--about", "moon").out == "Nothing was changed that names 'moon'.\n"
    ran = home.run("log", "--about", "nobody@example.com")
    assert (ran.code, ran.out) == (2, "")
    assert "is not on the list" in ran.err


def test_a_schedule_that_changed(home: Home) -> None:
    """Nobody types a command for it; the service writes down that it noticed, with what it was before."""
    for day in ("tuesday", "friday"):
        settings = load_settings({"NEWSLETTER_SEND_DAY": day}, home.folder)
        Application(settings=settings, clock=FixedClock()).ticker.tick()
    entry = last(home.unit)
    assert entry is not None
    assert (entry.what, entry.why) == (
        "schedule change", "friday 09:00 America/New_York; it was tuesday 09:00 America/New_York",
    )  # fmt: skip


def test_a_database_is_made_and_a_key_changed(home: Home) -> None:
    """That a database was made, by whom, and that another key is in use, stands in its log."""
    engine = connect(f"sqlite:///{home.folder}/new.db")
    upgrade_database(engine, KEYRING, who="pat", now=START)
    unit = open_unit(engine)
    entry = last(unit)
    assert entry is not None
    assert (entry.who, entry.what) == ("pat", "db create")
    engine.dispose()
    env = home.folder / ".env"
    newer = "another secret of enough characters"
    env.write_text(env.read_text().replace(SECRET, newer) + f"NEWSLETTER_SECRET_KEYS_OLD='{SECRET}'\n")
    [data] = json.loads(home.run("log", "--json").out)
    assert data["what"] == "key change"
    assert key_fingerprint(newer) in data["why"]

"""`newsletter simulate`: the coming weeks, played through with the present tips, dates and settings.

Everything is the real thing (database, schedule, proofs, reports, alerts) but the people, the mail server and the
time. Nothing of the real database is changed, and no mail leaves the process.
"""

from __future__ import annotations

import logging
import secrets
import tempfile
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from newsletter.cli.context import state
from newsletter.cli.output import Json, print_json, say
from newsletter.errors import InputError

if TYPE_CHECKING:
    from datetime import datetime

    from newsletter.settings.model import Settings
    from newsletter.simulation.diary import Diary
    from newsletter.simulation.script import Script
    from newsletter.store.simulation_copy import SimulationCopy
    from newsletter.testing.clocks import JumpingClock
    from newsletter.wiring import Application

STAND_INS_MAX = 200
"""People at most: with more of them the diary would read the same and take longer."""


def simulate(
    context: typer.Context,
    begins: Annotated[
        str | None, typer.Option("--from", metavar="DATE", help="Begin on this day instead of now.")
    ] = None,
    weeks: Annotated[int, typer.Option("--weeks", min=1, max=520, help="How many weeks to play.")] = 52,
    example: Annotated[
        bool, typer.Option("--example", help="Play a made-up year in which much goes wrong; needs no installation.")
    ] = False,
    json: Json = False,
) -> None:
    """Print what would happen in the coming weeks.

    The tips, dates and settings are the present ones.

    It works on a throwaway copy, with stand-ins for the people: nothing is changed, and no mail is sent.
    """
    # What the service would log is told by the diary, with the time of the simulation.
    logging.disable(logging.CRITICAL)
    try:
        diary = play_example() if example else _play_own(state(context).app, begins, weeks)
    finally:
        logging.disable(logging.NOTSET)
    if json:
        print_json(as_data(diary))
        return
    for line in (*diary.lines(), "", *diary.summary()):
        say(line)


def play_example(*, until: datetime | None = None) -> Diary:
    """Play the example year, or its beginning."""
    from newsletter.settings.loader import load_settings
    from newsletter.simulation import example as year
    from newsletter.testing.clocks import JumpingClock

    with tempfile.TemporaryDirectory(prefix="newsletter-simulate-") as folder:
        own = {**year.SETTINGS, "NEWSLETTER_SECRET_KEY": secrets.token_urlsafe(32)}
        settings = _rehearsing(load_settings(own, Path(folder)), Path(folder))
        clock = JumpingClock(year.EXAMPLE_START)
        return _play(settings, clock, year.example_script(), people=year.EXAMPLE_PEOPLE_COUNT, until=until or year.END)


def _play_own(app: Application, begins: str | None, weeks: int) -> Diary:
    from newsletter.flows.plan import outlook
    from newsletter.simulation.script import Script
    from newsletter.store import simulation_copy
    from newsletter.testing.clocks import JumpingClock

    now = app.clock.now()
    start = _start(app, begins, now)
    with app.unit.read() as tx:
        known = simulation_copy.take(tx)
    people = min(known.active, STAND_INS_MAX)
    with tempfile.TemporaryDirectory(prefix="newsletter-simulate-") as folder:
        settings = _rehearsing(app.settings, Path(folder))
        clock = JumpingClock(start)
        until = start + timedelta(weeks=weeks)
        diary = _play(settings, clock, Script(), people=people, until=until, known=known, fresh=start > now)
    if known.active > people:
        diary.warnings.append(f"{people:,} stand-ins were played for your {known.active:,} subscribers")
    if not app.settings.admin_emails:
        diary.warnings.append("reports and alerts are not mailed: set NEWSLETTER_ADMIN_EMAILS")
    ahead = outlook(app.unit, app.plan_rules, weeks=weeks, now=now)
    diary.warnings += ahead.warnings
    return diary


def _start(app: Application, begins: str | None, now: datetime) -> datetime:
    from newsletter.core.cadence import local, parse_date, parse_local

    if begins is None:
        return now
    zone = app.cadence.zone
    try:
        day = parse_date(begins)
    except ValueError as error:
        raise InputError(str(error)) from error
    if day < local(now, zone).date():
        raise InputError(f"{begins} is past; a simulation begins today or later")
    return max(now, parse_local(begins, "00:00", zone))


def _rehearsing(settings: Settings, folder: Path) -> Settings:
    """Return the settings with everything that reaches out turned inwards."""
    from pydantic import SecretStr

    return settings.model_copy(
        update={
            "database_url": SecretStr(f"sqlite:///{folder / 'newsletter.db'}"),
            "journal_dir": folder / "journal",
            "state_dir": folder / "state",
            "secret_key": SecretStr(secrets.token_urlsafe(32)),
            "secret_keys_old": (),
            "ping_url": "",
            "smtp_connections": 1,
        }
    )


def _play(
    settings: Settings,
    clock: JumpingClock,
    script: Script,
    *,
    people: int,
    until: datetime,
    known: SimulationCopy | None = None,
    fresh: bool = True,
) -> Diary:
    """Set up an installation and let the time go by."""
    from newsletter.flows.set_up import set_up
    from newsletter.simulation.diary import Diary
    from newsletter.simulation.run import SimulationRun
    from newsletter.simulation.script import MemoryRelay
    from newsletter.store import simulation_copy
    from newsletter.wiring import build

    app = build(settings, clock=clock)
    set_up(app.engine, app.keyring, who="simulation", now=clock.now())
    with app.unit.write() as tx:
        if known is not None:
            simulation_copy.plant(tx, known, fresh=fresh)
        simulation_copy.plant_people(tx, people, zones=known.zones if known is not None else (), now=clock.now())
    relay = MemoryRelay(
        clock=clock, script=script, staff=frozenset((*app.notice_context.admins, *app.notice_context.editors))
    )
    play = SimulationRun(
        application=app, clock=clock, relay=relay, script=script, until=until, diary=Diary(zone=app.cadence.zone)
    )
    try:
        return play.run()
    finally:
        app.engine.dispose()


def as_data(diary: Diary) -> dict[str, object]:
    """Return a diary as values."""
    return {
        "entries": [
            {"at": entry.at.isoformat(), "kind": entry.kind.value, "words": entry.words, "details": list(entry.details)}
            for entry in diary.entries
        ],
        "dates": [{**asdict(day), "date": day.date.isoformat()} for day in diary.days],
        "warnings": diary.warnings,
    }

"""What is measured: one function for each row of the table in `docs/performance.md`.

In: a database, a port, numbers. Out: figures. What is compared is measured in turns, each in a fresh process, and the
median of the ratios is what to trust: machines differ, and neighbours disturb.
"""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import far
import peers
import service
import sink
import trial
from database import Database
from sqlalchemy import TextClause, text

from newsletter.core.notice import NoticeKey, NoticeKind
from newsletter.store import edition as editions
from newsletter.store import notice as notices
from newsletter.wiring import Application

Figures = dict[str, Any]

SEND = ("edition", "send", "--now", "--yes", "--json")
MOST_OF_PEER = 30_000
"""Messages of smtp-source in a turn: it keeps nothing, so more of them tell nothing more."""
LOOP_PEOPLE = 60


def message_bytes(database: Database) -> int:
    """Tell how large one message is."""
    with database.world(1) as world:
        return int(trial.run(trial.sample, home=world.home)["bytes"])


def whole_edition(database: Database, port: int, people: int, connections: int) -> Figures:
    """Send an edition by the command line; `rate` counts from `started_at` to `finished_at`, freeze included."""
    with database.world(people, port=port, connections=connections) as world:
        process = world.start(*SEND)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        app = world.application()
        with app.unit.read() as tx:
            closed = editions.latest(tx, count=1)[0]
            totals = editions.totals(tx, closed.id)
        app.engine.dispose()
        if process.returncode or closed.finished_at is None or totals is None or totals.accepted != people:
            raise SystemExit(f"the edition did not go out: {totals}\n{(world.home / 'said.txt').read_text()[-2000:]}")
    seconds = (closed.finished_at - closed.started_at).total_seconds()
    cpu = usage.ru_utime + usage.ru_stime
    return {
        "seconds": seconds,
        "rate": people / seconds,
        "cpu_ms": cpu / people * 1000,
        "rss_mb": usage.ru_maxrss / 1024,
    }


def compare(database: Database, port: int, people: int, connections: int, *, rounds: int, size: int) -> Figures:
    """Measure an edition, smtp-source and the ceiling of the mail server in turns."""
    turns: list[dict[str, Any]] = []
    for _ in range(rounds):
        peer = peers.smtp_source(port, size=size, count=min(people, MOST_OF_PEER), connections=connections)
        ceiling = peers.ceiling(port, size=size, count=min(people, MOST_OF_PEER), connections=connections)
        edition = whole_edition(database, port, people, connections)
        turns.append({"edition": edition, "smtp_source": peer, "ceiling": ceiling})
    ratios = [turn["edition"]["rate"] / turn["smtp_source"]["rate"] for turn in turns if turn["smtp_source"]]
    of_ceiling = [turn["edition"]["rate"] / turn["ceiling"]["rate"] for turn in turns if turn["ceiling"]]
    figures = {
        "database": database.name,
        "people": people,
        "connections": connections,
        "rate": median(turn["edition"]["rate"] for turn in turns),
        "cpu_ms": median(turn["edition"]["cpu_ms"] for turn in turns),
        "rss_mb": max(turn["edition"]["rss_mb"] for turn in turns),
        "of_smtp_source": median(ratios) if ratios else None,
        "range": [min(ratios), max(ratios)] if ratios else None,
        "of_ceiling": median(of_ceiling) if of_ceiling else None,
        "turns": turns,
    }
    ratio = f"{figures['of_smtp_source']:.2f} of smtp-source" if ratios else "no smtp-source"
    ratio += f", {figures['of_ceiling']:.2f} of the ceiling" if of_ceiling else ", no ceiling (there is no C compiler)"
    say(f"{database.name}, {people:,} people, {connections} connections: {figures['rate']:,.0f}/s, {ratio}")
    return figures


def without_pipelining(database: Database, people: int, *, rounds: int) -> Figures:
    """Measure an edition and bare `smtplib` against a server that does not offer PIPELINING."""
    figures: Figures = {}
    with sink.running(pipelining=False) as server:
        for connections in (1, 10):
            ratios, rates = [], []
            for _ in range(rounds):
                with database.world(1) as world:
                    numbers = {"port": server.port, "people": people, "connections": connections}
                    peer = trial.run(trial.smtplib, home=world.home, **numbers)
                rates.append(whole_edition(database, server.port, people, connections)["rate"])
                ratios.append(rates[-1] / peer["rate"])
            figures[str(connections)] = {"rate": median(rates), "of_smtplib": median(ratios)}
            say(f"without PIPELINING, {connections} connections: {median(rates):,.0f}/s")
    return figures


def per_person_loop(database: Database, port: int, people: int) -> Figures:
    """Measure the loop that most people write, an edition over ten connections, and the loop again."""
    loops = []
    for _ in range(2):
        with database.world(1) as world:
            loops.append(trial.run(trial.loop, home=world.home, port=port, people=LOOP_PEOPLE)["rate"])
        if len(loops) == 1:
            edition = whole_edition(database, port, people, 10)["rate"]
    loop = sum(loops) / len(loops)
    say(f"the loop per person: {loop:.0f}/s, an edition {edition:,.0f}/s")
    return {"database": database.name, "rate": loop, "edition": edition, "times": edition / loop}


def far_away(database: Database, port: int, size: int, milliseconds: int = 20) -> list[Figures]:
    """Measure messages per round trip and connection over a long wire."""
    figures = []
    with far.away(port, milliseconds) as near:
        for connections in (1, 10):
            before = far.round_trip(near, connections, size)
            rate = whole_edition(database, near, 800 * connections, connections)["rate"]
            trip = (before + far.round_trip(near, connections, size)) / 2
            figures.append({"connections": connections, "round_trip": trip, "per_trip": rate * trip / connections})
            say(f"{trip * 1000:.1f} ms away, {connections} connections: {figures[-1]['per_trip']:.2f} a round trip")
    return figures


def freezing(database: Database, people: int) -> Figures:
    """Measure the freeze of an audience."""
    with database.world(people) as world:
        figures = trial.run(trial.freezing, home=world.home, url=world.url)
    say(f"{database.name}: freezing {people:,} people: {figures['seconds']:.2f} s")
    return {"database": database.name, **figures}


def importing(database: Database, rows: int, folder: Path) -> Figures:
    """Measure `newsletter subscriber import`, start of the program included."""
    file = folder / "people.csv"
    with file.open("w") as out:
        out.write("email,first_name,last_name,company,tags\n")
        out.writelines(f"reader{n}@example{n % 50}.com,Ada,Of Tips,Example Works,tips\n" for n in range(rows))
    with database.world(0) as world:
        began = time.perf_counter()
        process = world.start("subscriber", "import", str(file), "--json")
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        report = json.loads((world.home / "said.txt").read_text())
        if process.returncode or report["added"] != rows:
            raise SystemExit(f"the import went wrong: {report}")
    file.unlink()
    say(f"{database.name}: importing {rows:,} rows: {rows / seconds:,.0f} rows/s")
    cpu = usage.ru_utime + usage.ru_stime
    return {
        "database": database.name,
        "rows": rows,
        "rate": rows / seconds,
        "per_cpu_second": rows / cpu,
        "rss_mb": usage.ru_maxrss / 1024,
    }


def notice_meanwhile(database: Database, port: int, people: int, *, notes: int = 8) -> Figures:
    """Measure how long a notice waits that is written while a large edition goes out."""
    with database.world(people, port=port) as world:
        process = world.start(*SEND)
        app = world.application()
        while not _accepted(app):
            time.sleep(0.05)
        waits = []
        for number in range(notes):
            key = NoticeKey(kind=NoticeKind.SENDING, about=f"note {number}")
            began = time.perf_counter()
            with app.unit.write() as tx:
                message = "From: tips@news.example.com\r\nSubject: x\r\n\r\nx\r\n"
                notices.add(tx, key, recipient="ann@example.com", message=message, now=datetime.now(UTC))
            while not _handed_over(app, key):
                time.sleep(0.01)
            waits.append(time.perf_counter() - began)
            if process.poll() is not None:
                break
            time.sleep(0.2)
        during = process.poll() is None
        process.kill()
        process.wait()
        app.engine.dispose()
    say(f"{database.name}: a notice meanwhile: {median(waits):.2f} s, at most {max(waits):.2f} s")
    return {
        "database": database.name,
        "median": median(waits),
        "longest": max(waits),
        "notes": len(waits),
        "during": during,
    }


def restart_after_kill(database: Database, port: int, people: int) -> Figures:
    """Measure from the start of the service to the first message, after a kill -9 in the middle of an edition."""
    with database.world(people, port=port) as world:
        process = world.start(*SEND)
        app = world.application()
        while _accepted(app) < people // 10:
            time.sleep(0.02)
        process.kill()
        process.wait()
        app.engine.dispose()
        figures = trial.run(trial.first_after_restart, home=world.home, url=world.url, port=sink.free_port())
    say(f"{database.name}: first message after kill -9 and restart: {figures['seconds']:.2f} s")
    return {"database": database.name, **figures}


def shares(database: Database, port: int, people: int, connections: int) -> Figures:
    """Tell where the CPU time of an edition goes."""
    with database.world(people, port=port, connections=connections) as world:
        figures = trial.run(trial.profile, home=world.home, url=world.url, port=port, connections=connections)
    return {"database": database.name, "people": people, "connections": connections, **figures}


def startup(database: Database) -> Figures:
    """Measure the CPU time of commands that are called often."""
    with database.world(service.PEOPLE) as world:
        figures = service.startup(world)
    say(f"{database.name}: " + ", ".join(f"{name} {seconds:.2f} s" for name, seconds in figures.items()))
    return {"database": database.name, "cpu_seconds": figures}


def idle(database: Database) -> Figures:
    """Measure a service that has nothing to do."""
    with database.world(service.PEOPLE) as world:
        figures = service.idle(world)
    say(f"{database.name}, idle: " + ", ".join(f"{name} {value:.2f}" for name, value in figures.items()))
    return {"database": database.name, **figures}


def _accepted(app: Application) -> int:
    return _count(app, text("SELECT count(*) FROM delivery WHERE state = 'accepted'"))


def _handed_over(app: Application, key: NoticeKey) -> bool:
    query = text("SELECT count(*) FROM notice WHERE about = :about AND state = 'accepted'")
    return _count(app, query.bindparams(about=key.about)) > 0


def _count(app: Application, query: TextClause) -> int:
    with app.unit.read() as tx:
        return int(tx.execute(query).scalar_one())


def say(words: str) -> None:
    """Tell whoever waits."""
    print(words, file=sys.stderr, flush=True)

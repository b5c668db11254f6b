"""What twenty years of archive cost: the work of one database on what people and the service ask of it all the time.

In: a database with so many tips, people and past editions. Out: the milliseconds that the database works for `status`,
`queue`, a tick and the move of a tip. Time in Python is not in it: it is that of `newsletter --help` and of the start.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

from database import Database
from sqlalchemy import event, insert, select
from world import BODY, World

from newsletter.core.edition import EditionStatus
from newsletter.core.lineup import Source
from newsletter.core.tip import TipDraft, TipStatus
from newsletter.flows.change_tip import move_tip
from newsletter.flows.overview import overview
from newsletter.flows.plan import outlook
from newsletter.store import tip as tips
from newsletter.store.schema import edition, slot, tip
from newsletter.wiring import Application

ROUNDS = 7
WAITING_TIPS = 50
"""Approved tips that wait in the queue; all others were sent."""
QUEUE_WEEKS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How large an installation is."""

    tips: int
    people: int
    editions: int


SMALL = Size(tips=50, people=1_000, editions=10)
LARGE = Size(tips=20_000, people=1_000_000, editions=1_000)


def measure(database: Database, size: Size) -> dict[str, Any]:
    """Return the milliseconds of each piece of work, the median of some rounds."""
    with database.world(size.people) as world:
        app = _filled(world, size)
        now = app.clock.now()
        work: dict[str, Callable[[], object]] = {
            "status": lambda: _status(app),
            "queue": lambda: outlook(app.unit, app.plan_rules, weeks=QUEUE_WEEKS, now=now),
            "tick": lambda: app.ticker.decide(now),
            "move": lambda: _move(app, now),
        }
        figures = {name: _milliseconds(app, job) for name, job in work.items()}
        app.engine.dispose()
    return {"database": database.name, "tips": size.tips, "people": size.people, "milliseconds": figures}


def _milliseconds(app: Application, job: Callable[[], object]) -> float:
    times = []
    for _ in range(ROUNDS):
        with _database_seconds(app) as seconds:
            job()
        times.append(sum(seconds))
    return 1_000 * median(times)


@contextmanager
def _database_seconds(app: Application) -> Iterator[list[float]]:
    """Give the seconds of each statement that runs meanwhile, the reading of its rows included."""
    seconds: list[float] = []
    began: list[float] = []

    def before(*_arguments: object) -> None:
        began.append(time.perf_counter())

    def after(*_arguments: object) -> None:
        seconds.append(time.perf_counter() - began.pop())

    event.listen(app.engine, "before_cursor_execute", before)
    event.listen(app.engine, "after_cursor_execute", after)
    try:
        yield seconds
    finally:
        event.remove(app.engine, "before_cursor_execute", before)
        event.remove(app.engine, "after_cursor_execute", after)


def _status(app: Application) -> object:
    with app.unit.read() as tx:
        return overview(tx, app.plan_rules, now=app.clock.now())


def _move(app: Application, now: datetime) -> object:
    with app.unit.read() as tx:
        known, other = tips.by_slug(tx, "waiting-9"), tips.by_slug(tx, "waiting-1")
    if known is None:
        raise SystemExit("the queue is empty")
    return move_tip(app.unit, known, before=other, who="benchmark", now=now)


def _filled(world: World, size: Size) -> Application:
    app = world.application()
    now = datetime.now(UTC)
    app.ticker.decide(now)
    with app.unit.write() as tx:
        for number in range(min(WAITING_TIPS, size.tips)):
            name = f"waiting-{number}"
            tips.add(tx, TipDraft(slug=name, title=name, subject=name, status=TipStatus.APPROVED, body=BODY), now=now)
        sent = [_sent_tip(number, now) for number in range(WAITING_TIPS, size.tips)]
        if sent:
            tx.execute(insert(tip), sent)
        ids = list(tx.execute(select(tip.c.id).order_by(tip.c.id).limit(size.editions)).scalars())
        days = [now.date() - timedelta(weeks=week + 1) for week in range(size.editions)]
        times = {"sends_at": now, "started_at": now, "finished_at": now}
        tx.execute(
            insert(slot),
            [{"date": day, "sends_at": now, "extra": False, "state": "frozen", "changed_at": now} for day in days],
        )
        plain = {
            "number": 1,
            "title": "T",
            "tip_slug": "t",
            "why": "",
            "audience": 1,
            "content": BODY * 4,
            "nonce": "n",
        }
        kind = {"source": Source.QUEUE.value, "status": EditionStatus.FINISHED.value, "totals": {"accepted": 1}}
        rows = [
            {
                **plain,
                **kind,
                **times,
                "content": BODY * 4,
                "date": day,
                "tip_id": ids[place % len(ids)],
                "tip_used": place >= WAITING_TIPS,
            }
            for place, day in enumerate(days)
        ]
        tx.execute(insert(edition), rows)
    with app.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.exec_driver_sql("ANALYZE")
    return app


def _sent_tip(number: int, now: datetime) -> dict[str, object]:
    day = now.date() - timedelta(days=number % 7_000 + 7)
    name = f"sent-{number}"
    plain = {"slug": name, "title": name, "subject": name, "evergreen": False, "body": BODY}
    return {**plain, "status": "sent", "position": number * 8, "changed_at": now, "last_sent_on": day}

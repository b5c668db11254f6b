"""What twenty years of archive cost: the work of one database on what people and the service ask of it all the time.

In: a database with so many tips, people and past editions. Out: for `status`, `queue`, a tick, the move of a tip and
each list the milliseconds that the statements take, and those of CPU that the work takes, the server's with it: other
work on the machine stretches the first and not the second.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from database import Database
from sqlalchemy import event, insert, select, text
from world import BODY, World

from newsletter.core.cadence import Slot, SlotState, slots_between
from newsletter.core.delivery import DeliveryState
from newsletter.core.edition import EditionId, EditionStatus
from newsletter.core.lineup import Source
from newsletter.core.subscriber import SubscriberId, SubscriberState
from newsletter.core.tip import TipDraft, TipStatus
from newsletter.flows.change_tip import move_tip
from newsletter.flows.overview import overview
from newsletter.flows.plan import look_ahead, outlook
from newsletter.store import edition as editions
from newsletter.store import log as logs
from newsletter.store import report, subscriber_list
from newsletter.store import subscriber as subscribers
from newsletter.store import tip as tips
from newsletter.store.schema import edition, log, slot, tip
from newsletter.store.subscriber_list import Wanted
from newsletter.store.unit import Tx
from newsletter.wiring import Application

ROUNDS = 15
WAITING_TIPS = 50
"""Approved tips that wait in the queue; all others were sent."""
QUEUE_WEEKS = 12
TIP_WEEKS = 52
SHOWN = 51
"""Rows of a list, and one more, which tells whether there are others."""
PERSON = SubscriberId(1)
"""Somebody who got the past editions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How large an installation is."""

    tips: int
    people: int
    editions: int
    log_entries: int


SMALL = Size(tips=50, people=1_000, editions=10, log_entries=100)
LARGE = Size(tips=20_000, people=1_000_000, editions=1_000, log_entries=20_000)


def measure(database: Database, size: Size) -> dict[str, Any]:
    """Return the milliseconds of each piece of work, the least of some rounds: of the database, and of CPU."""
    with database.world(size.people) as world:
        app = _filled(world, size)
        figures = {name: _milliseconds(app, job) for name, job in _work(app).items()}
        app.engine.dispose()
    return {"database": database.name, "tips": size.tips, "people": size.people, "milliseconds": figures}


def _work(app: Application) -> Mapping[str, Callable[[], object]]:
    """Return what is measured, by the command or the part of the service that does it."""
    now = app.clock.now()

    def reading(job: Callable[[Tx], object]) -> Callable[[], object]:
        def work() -> None:
            with app.unit.read() as tx:
                job(tx)

        return work

    def people(filters: Wanted) -> Callable[[], object]:
        return reading(lambda tx: (subscriber_list.find(tx, filters, limit=SHOWN), subscriber_list.count(tx, filters)))

    rejected = [DeliveryState.REJECTED]
    return {
        "status": reading(lambda tx: overview(tx, app.plan_rules, now=now)),
        "queue": lambda: outlook(app.unit, app.plan_rules, weeks=QUEUE_WEEKS, now=now),
        "a tick": app.ticker.tick,
        "tip move": lambda: _move(app, now),
        "tip list": reading(lambda tx: _list_tips(app, tx, now)),
        "tip show": reading(lambda tx: _show_tip(app, tx, now)),
        "edition list": reading(lambda tx: [report.receipt(tx, item) for item in editions.latest(tx)]),
        "log": reading(lambda tx: logs.latest(tx, count=SHOWN)),
        "subscriber list": people(Wanted()),
        "subscriber list --state active": people(Wanted(states=(SubscriberState.ACTIVE,))),
        "subscriber list --state unsubscribed": people(Wanted(states=(SubscriberState.UNSUBSCRIBED,))),
        "subscriber list --search TEXT, a beginning": people(Wanted(search="reader9")),
        "subscriber list --search TEXT, a rare part": people(Wanted(search="99999@e")),
        "subscriber show": reading(_show_person),
        "delivery list --subscriber EMAIL": reading(lambda tx: list(report.rows(tx, who=PERSON, limit=SHOWN))),
        "delivery list --edition DATE --state rejected": reading(
            lambda tx: list(report.rows(tx, edition_id=EditionId(1), states=rejected, limit=SHOWN))
        ),
        "delivery list --state rejected": reading(lambda tx: list(report.rows(tx, states=rejected, limit=SHOWN))),
    }


def _milliseconds(app: Application, job: Callable[[], object]) -> dict[str, float]:
    database, cpu = [], []
    for _ in range(ROUNDS):
        with _database_seconds(app) as seconds:
            began = _cpu_seconds(app)
            job()
            cpu.append(_cpu_seconds(app) - began)
        database.append(sum(seconds))
    return {"database": 1_000 * min(database), "cpu": 1_000 * min(cpu)}


def _cpu_seconds(app: Application) -> float:
    """Return the CPU time of this process and of the server processes that work for it, as Linux counts them."""
    seconds = time.process_time()
    if app.engine.dialect.name == "postgresql":
        with app.engine.connect() as connection:
            backends = connection.execute(text(_BACKENDS)).scalars().all()
        seconds += sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in backends) / 1e9
    return seconds


_BACKENDS = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'"


@contextmanager
def _database_seconds(app: Application) -> Iterator[list[float]]:
    """Give the seconds of each statement that runs meanwhile, up to its first row."""
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


def _list_tips(app: Application, tx: Tx, now: datetime) -> object:
    return tips.entries(tx), editions.history(tx), look_ahead(tx, app.plan_rules, weeks=TIP_WEEKS, now=now)


def _show_tip(app: Application, tx: Tx, now: datetime) -> object:
    known = tips.by_slug(tx, tips.slugs_beginning(tx, "waiting-9")[0])
    if known is None:
        raise SystemExit("the queue is empty")
    return editions.history_of(tx, [known.id]), look_ahead(tx, app.plan_rules, weeks=TIP_WEEKS, now=now)


def _show_person(tx: Tx) -> object:
    known = subscribers.by_id(tx, PERSON)
    return known, subscribers.consents(tx, PERSON), subscriber_list.last_editions(tx, PERSON, limit=12)


def _move(app: Application, now: datetime) -> object:
    with app.unit.read() as tx:
        known, other = tips.by_slug(tx, "waiting-9"), tips.by_slug(tx, "waiting-1")
    if known is None:
        raise SystemExit("the queue is empty")
    return move_tip(app.unit, known, before=other, who="benchmark", now=now)


def _filled(world: World, size: Size) -> Application:
    app = world.application()
    now = datetime.now(UTC)
    began = now - timedelta(weeks=size.editions)
    app.ticker.decide(began)
    with app.unit.write() as tx:
        _fill_tips(tx, size, now)
        _fill_editions(tx, size, slots_between(app.cadence, began, now), now)
        tx.execute(text(_DELIVERIES))
        tx.execute(text(_DELIVERIES_OF_ONE), {"person": PERSON})
        tx.execute(text("UPDATE subscriber SET state = 'unsubscribed' WHERE id % 1000 = 3"))
        entry = {"at": now, "who": "admin", "what": "tip edit", "why": ""}
        tx.execute(insert(log), [entry | {"about": f"tip-{number}"} for number in range(size.log_entries)])
    while app.ticker.publisher is not None and app.ticker.publisher.work(now):
        pass  # The past editions have their pages, as in an installation that grew.
    with app.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.exec_driver_sql("ANALYZE" if app.engine.dialect.name == "sqlite" else "VACUUM ANALYZE")
    return app


_DELIVERIES = """
INSERT INTO delivery (edition_id, subscriber_id, block, state, reason, attempts)
SELECT 1, id, id / 500, CASE WHEN id % 1000 = 7 THEN 'rejected' ELSE 'accepted' END, 'As the server says.', 1
FROM subscriber ORDER BY id
"""
"""The newest edition went to everybody, and one in a thousand was refused."""
_DELIVERIES_OF_ONE = """
INSERT INTO delivery (edition_id, subscriber_id, block, state, reason, attempts)
SELECT id, :person, 0, 'accepted', 'As the server says.', 1 FROM edition WHERE id > 1
"""


def _fill_tips(tx: Tx, size: Size, now: datetime) -> None:
    for number in range(min(WAITING_TIPS, size.tips)):
        name = f"waiting-{number}"
        tips.add(tx, TipDraft(slug=name, title=name, subject=name, status=TipStatus.APPROVED, body=BODY), now=now)
    sent = [_sent_tip(number, now) for number in range(WAITING_TIPS, size.tips)]
    if sent:
        tx.execute(insert(tip), sent)


def _fill_editions(tx: Tx, size: Size, past: Sequence[Slot], now: datetime) -> None:
    ids = list(tx.execute(select(tip.c.id).order_by(tip.c.id).limit(size.editions)).scalars())
    kept = {"extra": False, "state": SlotState.FROZEN.value, "changed_at": now}
    tx.execute(insert(slot), [{"date": item.date, "sends_at": item.sends_at, **kept} for item in past])
    plain = {"number": 1, "title": "T", "tip_slug": "t", "why": "", "audience": 1, "content": BODY * 4, "nonce": "n"}
    kind = {"source": Source.QUEUE.value, "status": EditionStatus.FINISHED.value, "totals": {"accepted": 1}}
    rows = [
        {
            **plain,
            **kind,
            **dict.fromkeys(("sends_at", "started_at", "finished_at"), item.sends_at),
            "date": item.date,
            "tip_id": ids[place % len(ids)],
            "tip_used": place >= WAITING_TIPS,
        }
        for place, item in enumerate(reversed(past))
    ]
    tx.execute(insert(edition), rows)


def _sent_tip(number: int, now: datetime) -> dict[str, object]:
    day = now.date() - timedelta(days=number % 7_000 + 7)
    name = f"sent-{number}"
    plain = {"slug": name, "title": name, "subject": name, "evergreen": False, "body": BODY}
    return {**plain, "status": "sent", "position": number * 8, "changed_at": now, "last_sent_on": day}

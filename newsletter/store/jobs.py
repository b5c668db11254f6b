"""Jobs on PostgreSQL: word to the senders of other machines that a block waits, put up together with the block itself.

In: a transaction that makes blocks. Out: one job per block in the queue of Procrastinate, which is there when the
transaction is committed, and else never. The rows of `block` stay the truth: a job that is lost, late or there twice
changes nothing, and trouble with the queue never keeps an edition from being frozen. On SQLite there are no jobs.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import JSON, BigInteger, Text, and_, cast, column, exists, func, or_, select, table, text, update

from newsletter.core.delivery import DeliveryState
from newsletter.core.edition import EditionId, EditionStatus
from newsletter.store import job_schema
from newsletter.store.schema import block, delivery, edition
from newsletter.store.unit import Tx

logger = logging.getLogger(__name__)

SEND_BLOCK = "send_block"
"""The name of the task; its arguments are the id of an edition and the number of a block."""
QUEUE = "blocks"

STALLED = timedelta(seconds=30)
"""A worker of the queue that gave no sign of life for so long is dead, or asleep; it gives one every ten seconds."""

_JOB = table(
    "procrastinate_jobs",
    column("id", BigInteger),
    column("queue_name"),
    column("task_name"),
    column("status"),
    column("args", JSON),
    column("scheduled_at"),
    column("worker_id", BigInteger),
    schema=job_schema.SCHEMA,
)
_WORKER = table("procrastinate_workers", column("id", BigInteger), column("last_heartbeat"), schema=job_schema.SCHEMA)


def put_up(tx: Tx, edition_id: EditionId, blocks: Iterable[tuple[int, datetime | None]]) -> None:
    """Put up a job for each block, given by its number and the time before which it waits."""
    if tx.dialect.name != "postgresql" or not _ready(tx):
        return
    by_time: defaultdict[datetime | None, list[int]] = defaultdict(list)
    for number, not_before in blocks:
        by_time[not_before].append(number)
    # The queue is an extra that SQLite does without, and takes a fifth of a second to import.
    from procrastinate import App, SyncPsycopgConnector  # noqa: PLC0415
    from procrastinate.exceptions import ConnectorException  # noqa: PLC0415

    queue = App(connector=SyncPsycopgConnector())
    raw = tx.connection.driver_connection
    try:
        with tx.begin_nested():
            for at, numbers in by_time.items():
                job = queue.configure_task(SEND_BLOCK, queue=QUEUE, schedule_at=at, connection=raw)
                job.batch_defer(*(_arguments(edition_id, number) for number in numbers))
    except ConnectorException as error:
        # Such as one of another version of the library. Workers look for themselves every few seconds.
        logger.warning("the job queue takes no jobs (%s): `newsletter db upgrade` may cure it", error)


def _arguments(edition_id: EditionId, number: int) -> dict[str, Any]:
    return {"edition": int(edition_id), "number": number}


def put_up_again(tx: Tx, edition_id: EditionId | None = None) -> int:
    """Put up jobs for the blocks that wait without one, of one edition or of all; return how many."""
    if tx.dialect.name != "postgresql" or not _ready(tx):
        return 0
    waits = exists().where(
        delivery.c.edition_id == block.c.edition_id,
        delivery.c.block == block.c.number,
        delivery.c.state == DeliveryState.QUEUED.value,
    )
    free = or_(block.c.owner.is_(None), block.c.lease_until < func.clock_timestamp())
    query = (
        select(block.c.edition_id, block.c.number, block.c.not_before)
        .join(edition, edition.c.id == block.c.edition_id)
        .where(edition.c.status == EditionStatus.SENDING.value, block.c.state == "open", free, waits)
        .order_by(edition.c.sends_at, edition.c.id, block.c.number)
    )
    if edition_id is not None:
        query = query.where(edition.c.id == edition_id)
    rows: defaultdict[EditionId, list[tuple[int, datetime | None]]] = defaultdict(list)
    named = _named(tx)
    for row in tx.execute(query):
        if (row.edition_id, row.number) not in named:
            rows[EditionId(row.edition_id)].append((row.number, row.not_before))
    for waiting_id, blocks in rows.items():
        put_up(tx, waiting_id, blocks)
    return sum(len(blocks) for blocks in rows.values())


def _named(tx: Tx) -> set[tuple[int, int]]:
    """Return edition and number of each block that has a job; compared here, since PostgreSQL has no index for it."""
    query = select(_JOB.c.args).where(_JOB.c.task_name == SEND_BLOCK, cast(_JOB.c.status, Text).in_(["todo", "doing"]))
    return {(args["edition"], args["number"]) for args in tx.execute(query).scalars()}


def revive(tx: Tx) -> int:
    """Let the jobs that dead workers of the queue had begun wait again; return how many."""
    if tx.dialect.name != "postgresql" or not _ready(tx):
        return 0
    living = exists().where(
        _WORKER.c.id == _JOB.c.worker_id, _WORKER.c.last_heartbeat > func.clock_timestamp() - STALLED
    )
    stalled = and_(_JOB.c.queue_name == QUEUE, cast(_JOB.c.status, Text) == "doing", ~living)
    result = tx.execute(update(_JOB).where(stalled).values(status=text("'todo'"), scheduled_at=None))
    return result.rowcount


def waiting(tx: Tx) -> int | None:
    """Return how many jobs wait or are worked on; None where there is no queue."""
    if tx.dialect.name != "postgresql" or not job_schema.exists(tx):
        return None
    query = select(func.count()).select_from(_JOB).where(_JOB.c.queue_name == QUEUE)
    return int(tx.execute(query.where(cast(_JOB.c.status, Text).in_(["todo", "doing"]))).scalar_one())


def _ready(tx: Tx) -> bool:
    """Tell whether there is a queue, and let its functions find their tables until this transaction ends."""
    if not job_schema.exists(tx):
        return False
    path = tx.scalar(text("SELECT current_setting('search_path')"))
    if job_schema.SCHEMA not in str(path):
        # Behind the usual ones: a name of ours is always ours.
        tx.execute(text("SELECT set_config('search_path', :path, true)"), {"path": f"{path}, {job_schema.SCHEMA}"})
    return True

"""State in columns: empty slots, stopped parts, copies, job runs, the sending rate, and what counted a tally.

Before this revision each of them was a prefix, a suffix or a name inside a text, or a worker number below one.

Revision ID: 0007
"""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

UTC = sa.DateTime(timezone=True)
TALLIED = ("accepted", "deferred", "hard", "policy", "content", "refused", "uncertain")

NO_TIP = "no tip: "
STOPPED = " (stopped)"
COPIED = "a copy that nobody adopted"
BOUNCES = "bounces "
RECOVERY_ID, BOUNCE_ID = 0, -1


def upgrade() -> None:
    """Carry every value over; no row of a person or a delivery is touched."""
    _slots()
    _heartbeats()
    _quotas()
    _tallies()
    op.execute("UPDATE alert SET kind = 'scheduler-silent', about = 'scheduler' WHERE kind = 'bell-silent'")


def _slots() -> None:
    op.add_column("slot", sa.Column("empty_since", UTC, nullable=True))
    slot = sa.table("slot", sa.column("reason", sa.Text()), sa.column("changed_at", UTC), sa.column("empty_since", UTC))
    op.execute(
        slot.update()
        .where(slot.c.reason.startswith(NO_TIP))
        .values(empty_since=slot.c.changed_at, reason=sa.func.substr(slot.c.reason, len(NO_TIP) + 1))
    )


def _heartbeats() -> None:
    old = sa.table("heartbeat", sa.column("name"), sa.column("at", UTC), sa.column("process"))
    beats = {row.name: row for row in op.get_bind().execute(sa.select(old))}
    op.drop_table("heartbeat")
    heartbeat = op.create_table(
        "heartbeat",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("at", UTC, nullable=False),
        sa.Column("process", sa.Text(), nullable=False),
        sa.Column("stopped_at", UTC, nullable=True),
        sa.CheckConstraint("name IN ('scheduler', 'sender')", name=op.f("ck_heartbeat_name")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_heartbeat")),
    )
    job_run = op.create_table(
        "job_run",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("ended_at", UTC, nullable=True),
        sa.Column("clock_doubted_at", UTC, nullable=True),
        sa.Column("process", sa.Text(), nullable=False),
        sa.CheckConstraint("name IN ('retention')", name=op.f("ck_job_run_name")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_job_run")),
    )
    for before, part in (("bell", "scheduler"), ("sender", "sender")):
        if before in beats:
            at, process = beats[before].at, beats[before].process
            stopped_at = at if process.endswith(STOPPED) else None
            values = {"name": part, "at": at, "process": process.removesuffix(STOPPED), "stopped_at": stopped_at}
            op.execute(heartbeat.insert().values(values))
    run, doubt = beats.get("retention"), beats.get("retention doubt")
    if run is not None or doubt is not None:
        op.execute(
            job_run.insert().values(
                name="retention",
                ended_at=None if run is None else run.at,
                clock_doubted_at=None if doubt is None else doubt.at,
                process=(run or doubt).process,  # type: ignore[union-attr]
            )
        )
    _installation(beats.get("copy"))


def _installation(copy: sa.Row[Any] | None) -> None:
    op.add_column("installation", sa.Column("copied", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("installation", sa.Column("held_last_used_at", UTC, nullable=True))
    installation = sa.table(
        "installation",
        sa.column("machine", sa.Text()),
        sa.column("copied", sa.Boolean()),
        sa.column("held_last_used_at", UTC),
    )
    op.execute(installation.update().where(installation.c.machine == COPIED).values(copied=True, machine=None))
    if copy is not None:
        op.execute(installation.update().values(held_last_used_at=copy.at))


def _quotas() -> None:
    pace = op.create_table(
        "pace",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("free_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_pace")),
    )
    bounce_window = op.create_table(
        "bounce_window",
        sa.Column("edition_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("counts", sa.JSON(), server_default=sa.text("'{}'"), nullable=False),
        sa.ForeignKeyConstraint(["edition_id"], ["edition.id"], name=op.f("fk_bounce_window_edition_id_edition")),
        sa.PrimaryKeyConstraint("edition_id", name=op.f("pk_bounce_window")),
    )
    quota = sa.table("quota", sa.column("name", sa.Text()), sa.column("window", sa.Text()))
    for name, window in op.get_bind().execute(sa.select(quota.c.name, quota.c.window)).all():
        if name == "pace":
            if window:
                op.execute(pace.insert().values(name="relay", free_at=float(window)))
        elif name.startswith(BOUNCES):
            counts = json.loads(window or "{}")
            # An early version wrote a list of instants, none of which counts any more.
            if isinstance(counts, dict):
                op.execute(bounce_window.insert().values(edition_id=int(name.removeprefix(BOUNCES)), counts=counts))
        else:
            continue
        op.execute(quota.delete().where(quota.c.name == name))


def _tallies() -> None:
    columns = (*TALLIED, "edition_id", "worker_id")
    old = sa.table("tally", *map(sa.column, columns), sa.column("since", UTC), sa.column("at", UTC))
    rows = [dict(row._mapping) for row in op.get_bind().execute(sa.select(old))]  # noqa: SLF001 - its documented name
    op.drop_table("tally")
    tally = op.create_table(
        "tally",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("edition_id", sa.Integer(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("worker_id", sa.Integer(), nullable=True),
        *(sa.Column(name, sa.Integer(), server_default="0", nullable=False) for name in TALLIED),
        sa.Column("since", UTC, nullable=False),
        sa.Column("at", UTC, nullable=False),
        sa.CheckConstraint("source IN ('worker', 'recovery', 'bounce')", name=op.f("ck_tally_source")),
        sa.CheckConstraint("(source = 'worker') = (worker_id IS NOT NULL)", name=op.f("ck_tally_worker")),
        sa.ForeignKeyConstraint(["edition_id"], ["edition.id"], name=op.f("fk_tally_edition_id_edition")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tally")),
    )
    for name, column, predicate in (
        ("uq_tally_worker", "worker_id", "worker_id IS NOT NULL"),
        ("uq_tally_source", "source", "worker_id IS NULL"),
    ):
        op.create_index(
            name,
            "tally",
            ["edition_id", column],
            unique=True,
            sqlite_where=sa.text(predicate),
            postgresql_where=sa.text(predicate),
        )
    sources = {RECOVERY_ID: "recovery", BOUNCE_ID: "bounce"}
    for row in rows:
        source = sources.get(row["worker_id"], "worker")
        worker_id = row["worker_id"] if source == "worker" else None
        op.execute(tally.insert().values(**{**row, "source": source, "worker_id": worker_id}))

"""Whether a database is whole: its file, its references, and the books of every edition.

In: a transaction. Out: what is wrong, in words and numbers. Nothing is written here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from newsletter.core.delivery import OPEN_STATES, DeliveryState
from newsletter.core.edition import EditionId, edition_name
from newsletter.store.schema import delivery, edition
from newsletter.store.unit import Tx
from newsletter.wording import people_words

_FAULTS_MAX = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """The account of one edition."""

    edition: str
    """Its name, such as `2026-11-24`."""
    audience: int
    """People at the freeze."""
    accounted: int
    """People whom some state accounts for: by the totals of a closed edition, else by the rows."""
    faults: tuple[str, ...]
    """What does not add up, in words; empty when all does."""

    @property
    def gap(self) -> int:
        """Return how many people of the audience nothing accounts for; negative when there are too many."""
        return self.audience - self.accounted


def file_faults(tx: Tx) -> Sequence[str]:
    """Return what SQLite finds wrong with its file; PostgreSQL checks its own."""
    if tx.dialect.name != "sqlite":
        return []
    faults = [str(row[0]) for row in tx.exec_driver_sql(f"PRAGMA integrity_check({_FAULTS_MAX})")]
    return [] if faults == ["ok"] else faults


def reference_faults(tx: Tx) -> Sequence[str]:
    """Return rows that refer to a row which is not there; PostgreSQL lets none come to be."""
    if tx.dialect.name != "sqlite":
        return []
    rows = tx.exec_driver_sql("PRAGMA foreign_key_check").fetchmany(_FAULTS_MAX)
    return [f"row {row[1]} of {row[0]} refers to a row of {row[2]} that is not there" for row in rows]


def all_books(tx: Tx) -> Sequence[Books]:
    """Return the account of every edition, oldest first."""
    counts: dict[EditionId, dict[str, int]] = {}
    query = select(delivery.c.edition_id, delivery.c.state, func.count()).group_by(
        delivery.c.edition_id, delivery.c.state
    )
    for edition_id, state, count in tx.execute(query):
        counts.setdefault(EditionId(edition_id), {})[state] = count
    columns = (edition.c.id, edition.c.date, edition.c.number, edition.c.audience, edition.c.totals)
    return [
        _books(
            name=edition_name(row.date, row.number),
            audience=row.audience,
            totals=row.totals,
            rows=counts.get(EditionId(row.id), {}),
        )
        for row in tx.execute(select(*columns).order_by(edition.c.id))
    ]


def _books(*, name: str, audience: int, totals: Mapping[str, int] | None, rows: Mapping[str, int]) -> Books:
    account = rows if totals is None else totals
    accounted = sum(account.values())
    faults = []
    if accounted != audience:
        source = "its rows" if totals is None else "its stored totals"
        faults.append(f"{source} account for {accounted:,} of {people_words(audience)}")
    if totals is not None:
        waiting = sum(rows.get(state.value, 0) for state in OPEN_STATES)
        if waiting:
            faults.append(f"it is closed, and {waiting:,} of its rows still wait")
        # Rows are deleted after years, in steps, and the totals stay: fewer is right, more is not.
        purged = sum(rows.values()) < audience
        if any(
            rows.get(item, 0) > totals.get(item, 0) or (not purged and rows.get(item, 0) != totals.get(item, 0))
            for item in DeliveryState
        ):
            faults.append("its rows differ from its stored totals")
    return Books(edition=name, audience=audience, accounted=accounted, faults=tuple(faults))

"""Copying the newsletter to another database with its whole history, such as from SQLite to PostgreSQL.

In: the database, without a sender, and an empty one. Out: what was copied, compared on both sides: the rows of every
table and the report of every edition. The copy is held until it is adopted, and from then on the original is, so
that the two never send side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from newsletter.core.delivery import DeliveryState
from newsletter.core.edition import Edition
from newsletter.errors import InputError, NotNow
from newsletter.store import delivery as deliveries
from newsletter.store import edition as editions
from newsletter.store import installation as installations
from newsletter.store import report, transfer
from newsletter.store.database import HEAD, Database, connect, current_revision, open_unit, sender_lock
from newsletter.store.unit import Tx, translated
from newsletter.store.upgrade import upgrade

Progress = Callable[[str, int], None]

_EDITIONS_MAX = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """What was copied."""

    rows: Mapping[str, int]
    """By table."""
    editions: int
    differences: Sequence[str]
    """What is not the same on both sides, in words; empty when all is well."""


def copy_database(source: Database, to: str, *, progress: Progress = lambda _table, _rows: None) -> Copied:
    """Copy everything to the database of a URL, which must be new or empty.

    Raises `InputError` when it is not, and `NotNow` while a sender is alive.
    """
    open_unit(source)
    if connect(to).url == source.url:
        raise InputError("That is the database itself; nothing was changed.")
    target = connect(to)
    try:
        with sender_lock(source), translated():
            _prepare(target)
            return _carry(source, target, progress)
    except NotNow as error:
        if "sending" not in str(error):
            raise
        raise NotNow(f"{error} Stop the service, then try again; nothing was changed.") from error
    finally:
        target.dispose()


def _prepare(target: Database) -> None:
    revision = current_revision(target)
    if revision is None:
        if transfer.has_strangers(target):
            raise InputError("The target holds other tables under our names; nothing was changed.")
        upgrade(target)
    elif revision != HEAD:
        raise InputError(f"The target is a database of another version ({revision}); take an empty one.")
    with open_unit(target).read() as tx:
        transfer.refuse_filled(tx)


def _carry(source: Database, target: Database, progress: Progress) -> Copied:
    with transfer.one_state(source) as source_tx:
        with target.begin() as there:
            transfer.carry(source_tx, there, progress=progress)
            installations.mark_copied(there)
        with transfer.one_state(target) as there:
            return _compare(source_tx, there)


def _compare(source_tx: Tx, there: Tx) -> Copied:
    differences = []
    rows, copied = transfer.counts(source_tx), transfer.counts(there)
    for name, count in rows.items():
        if copied[name] != count:
            differences.append(f"{name}: {count:,} rows here, {copied[name]:,} there")
    every, theirs = editions.latest(source_tx, count=_EDITIONS_MAX), editions.latest(there, count=_EDITIONS_MAX)
    reports = {their.name: _report(there, their) for their in theirs}
    differences += [
        f"edition {item.name}: its report is another one there"
        for item in every
        if reports.get(item.name) != _report(source_tx, item)
    ]
    return Copied(rows=rows, editions=len(every), differences=differences)


def _report(tx: Tx, edition: Edition) -> tuple[object, Mapping[DeliveryState, int]]:
    """Return the report as people see it, and what its rows say by themselves."""
    return report.receipt(tx, edition).to_dict(), deliveries.counts(tx, edition.id)

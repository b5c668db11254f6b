"""Importing a subscriber file: decided row by row in `core/import_row.py`, written some two thousand rows at a time.

In: a file, however large. Out: an `ImportReport` whose numbers add up to the rows of the file. Each batch is one
transaction, which a thread writes while the next one is read; `strict` is one transaction for all. A second import
changes nothing, so an import that was killed is simply run again. It never brings back a person who left, and it
overwrites nothing but names that an import wrote.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from types import MappingProxyType
from typing import BinaryIO

from newsletter.core.csv_import import ColumnChoices, describe_consent
from newsletter.core.csv_row import BadRow, GoodRow
from newsletter.core.import_row import ADDED, SUPPRESSED, ImportDecision, RowResult, enter, imported_person
from newsletter.core.subscriber import Subscriber, SubscriberId, SubscriberState, eligible
from newsletter.core.token import Keyring, suppression_hashes
from newsletter.errors import InputError
from newsletter.flows.change_subscriber import SAID_NO
from newsletter.flows.read_csv import RowReader, read_rows
from newsletter.store import delivery as deliveries
from newsletter.store import ledger
from newsletter.store import log as logs
from newsletter.store import subscriber as subscribers
from newsletter.store import subscriber_batch as batches
from newsletter.store.ledger import LedgerKind
from newsletter.store.subscriber import Consent
from newsletter.store.unit import Tx, Unit
from newsletter.wording import plural

BATCH_ROWS = {"sqlite": 2000, "postgresql": 2500}
"""Rows of one transaction. On SQLite a sender beside it waits for at most some 50 ms; on PostgreSQL no other one waits,
and a transaction has a dozen round trips, whatever its size."""
_DETAILS_MAX = 20
_NOTES_MAX = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportFile:
    """A file, and what the operator says about it."""

    stream: BinaryIO
    """Read several times, so it must be seekable."""
    name: str
    choices: ColumnChoices = field(default_factory=ColumnChoices)
    as_state: SubscriberState | None = None
    encoding: str = ""
    """Empty: found from the bytes."""
    source: str = ""
    """Where these people agreed, in the operator's words; kept as evidence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """The result of an import; `rows` is the sum of all counts."""

    file: str
    encoding: str
    encoding_guessed: bool
    samples: tuple[str, ...]
    """Words beyond ASCII as they were read, where the file is not plain UTF-8."""
    consent: str
    """Headings from which states were read; empty where there are none."""
    states: Mapping[SubscriberState, int]
    """People of the file by the state of their row."""
    delimiter: str
    dry_run: bool
    rows: int
    counts: Mapping[RowResult, int]
    duplicates: int
    """Rows with an address that stood further up in the file."""
    rejected: int
    notes: tuple[str, ...]
    """The first few remarks about rows that were taken."""
    noted: int
    """Number of all such remarks."""
    rejections: tuple[str, ...]
    """Line and reason of the first rejected rows."""


@dataclass(slots=True)
class _Tally:
    """The counts, as they grow."""

    fates: Counter[RowResult] = field(default_factory=Counter)
    states: Counter[SubscriberState] = field(default_factory=Counter)
    rejections: list[str] = field(default_factory=list)
    rows: int = 0
    duplicates: int = 0
    rejected: int = 0
    noted: int = 0
    notes: list[str] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)
    """Hashes of the addresses so far: a tenth of the memory that the addresses would take."""
    changed: bool = False

    def count(self, row: GoodRow, fate: RowResult) -> None:
        mark = hash(row.address.canonical)
        if mark in self.seen:
            self.duplicates += 1
        else:
            self.seen.add(mark)
            self.fates[fate] += 1
            self.states[row.state] += 1
        for note in row.notes:
            self.noted += 1
            if len(self.notes) < _NOTES_MAX:
                self.notes.append(f"line {row.line}: {note}")

    def reject(self, row: BadRow) -> None:
        self.rejected += 1
        if len(self.rejections) < _DETAILS_MAX:
            self.rejections.append(f"line {row.line}: {row.reason}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Import:
    """One run: what stays the same from row to row."""

    unit: Unit
    keyring: Keyring
    file: ImportFile
    who: str
    now: datetime
    dry_run: bool

    @property
    def why(self) -> str:
        """The reason that is stored with the state of a person."""
        return f"imported from {self.file.name}"


def import_subscribers(
    unit: Unit,
    keyring: Keyring,
    file: ImportFile,
    *,
    who: str,
    now: datetime,
    dry_run: bool = False,
    strict: bool = False,
    reject: Callable[[RowReader, BadRow], None] = lambda _reader, _row: None,
    progress: Callable[[int], None] = lambda _rows: None,
) -> ImportReport:
    """Import a file; `reject` is called for each bad row, `progress` with the rows so far after each batch.

    Raises `InputError` when the file as a whole is of no use, or with `strict` when any row is bad.
    """
    if strict:
        _refuse_bad_rows(file, reject)
    reader = _reader(file)
    run = _Import(unit=unit, keyring=keyring, file=file, who=who, now=now, dry_run=dry_run)
    tally = _Tally()
    open_tx: AbstractContextManager[Tx | None] = unit.write() if strict and not dry_run else nullcontext()
    # The next rows are read while the database works on these; the executor ends before the transaction does.
    with (
        _collector_paused(),
        open_tx as tx,
        ThreadPoolExecutor(max_workers=1, thread_name_prefix="import") as writer,
    ):
        written: Future[None] | None = None
        for rows in _batches(reader, BATCH_ROWS[unit.dialect]):
            good = [row for row in rows if isinstance(row, GoodRow)]
            for row in rows:
                if isinstance(row, BadRow):
                    tally.reject(row)
                    reject(reader, row)
            if written is not None:
                written.result()
                progress(tally.rows)
            gc.collect(0)
            tally.rows += len(rows)
            written = writer.submit(_write, run, good, tally, tx)
        if written is not None:
            written.result()
            progress(tally.rows)
        if tally.changed:
            _log(run, _summary(tally), tx)
    return ImportReport(
        file=file.name,
        encoding=reader.encoding,
        encoding_guessed=reader.guessed,
        samples=reader.samples,
        consent=describe_consent(reader.layout),
        states={state: tally.states[state] for state in SubscriberState if tally.states[state]},
        delimiter=reader.delimiter,
        dry_run=dry_run,
        rows=tally.rows,
        counts={fate: tally.fates[fate] for fate in RowResult},
        duplicates=tally.duplicates,
        rejected=tally.rejected,
        notes=tuple(tally.notes),
        noted=tally.noted,
        rejections=tuple(tally.rejections),
    )


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Leave the search for reference cycles to one call for each batch.

    The values of a row make no cycles, but so many of them start a search hundreds of times a second: *measured*, a
    quarter of the CPU time of an import.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _reader(file: ImportFile) -> RowReader:
    return read_rows(
        file.stream, file_name=file.name, choices=file.choices, as_state=file.as_state, encoding=file.encoding
    )


def _refuse_bad_rows(file: ImportFile, reject: Callable[[RowReader, BadRow], None]) -> None:
    """Read the whole file before anything is written: a transaction that waits for a bad row would hold up others."""
    reader = _reader(file)
    count = 0
    details: list[str] = []
    for row in reader:
        if isinstance(row, BadRow):
            count += 1
            reject(reader, row)
            if len(details) < _DETAILS_MAX:
                details.append(f"line {row.line}: {row.reason}")
    if count > len(details):
        details.append(f"and {count - len(details):,} more")
    if count:
        rows = plural(count, "row of", "rows of")
        raise InputError(
            f"{rows} {file.name} cannot be used, and --strict was given: nothing was changed.",
            details=tuple(details),
        )


def _batches(reader: Iterable[GoodRow | BadRow], size: int) -> Iterator[list[GoodRow | BadRow]]:
    rows = iter(reader)
    while some := list(islice(rows, size)):
        yield some


def _write(run: _Import, rows: list[GoodRow], tally: _Tally, tx: Tx | None) -> None:
    """Decide about some rows and write them, in the transaction of the whole import or in one of their own."""
    if not rows:
        return
    if tx is not None:
        _write_rows(run, tx, rows, tally)
    elif run.dry_run:
        with run.unit.read() as own:
            for some in _once_each(rows):
                for row, entry in zip(some, _decide(run, own, some, tally.seen, lock=False), strict=True):
                    tally.count(row, entry.fate)
    else:
        with run.unit.write() as own:
            _write_rows(run, own, rows, tally)


def _once_each(rows: list[GoodRow]) -> Iterator[list[GoodRow]]:
    """Split rows so that no address is twice in one part, and the rows of one address keep their order."""
    while rows:
        first: dict[str, GoodRow] = {}
        again = [row for row in rows if first.setdefault(row.address.canonical, row) is not row]
        yield list(first.values())
        rows = again


def _write_rows(run: _Import, tx: Tx, rows: list[GoodRow], tally: _Tally) -> None:
    for some in _once_each(rows):
        waiting = some
        while waiting:
            before, entries, waiting = waiting, _decide(run, tx, waiting, tally.seen, lock=True), []
            added = _add(run, tx, before, entries)
            saved = []
            for row, entry in zip(before, entries, strict=True):
                if added and entry.fate is RowResult.ADDED and row.address.canonical in added:
                    # Another process added this address since it was looked up; look it up again.
                    waiting.append(row)
                else:
                    saved.append((row, entry))
                    tally.count(row, entry.fate)
            _save(run, tx, saved, tally)


def _decide(run: _Import, tx: Tx, rows: list[GoodRow], seen: Container[int], *, lock: bool) -> list[ImportDecision]:
    canonicals = [row.address.canonical for row in rows]
    known = batches.by_canonicals(tx, canonicals, lock=lock)
    erased = _erased(run, tx, [canonical for canonical in canonicals if canonical not in known])
    return [
        # A second row of an address in one file would otherwise undo the first with each import.
        enter(person, row, now=run.now, why=run.why, correct=hash(canonical) not in seen)
        if (person := known.get(canonical)) is not None
        else (SUPPRESSED if canonical in erased else ADDED)
        for canonical, row in zip(canonicals, rows, strict=True)
    ]


def _add(run: _Import, tx: Tx, rows: list[GoodRow], entries: list[ImportDecision]) -> set[str]:
    """Write the people who are new; return the addresses that were taken in the meantime."""
    new = [
        imported_person(row, _evidence(run, row))
        for row, entry in zip(rows, entries, strict=True)
        if entry.fate is RowResult.ADDED
    ]
    return batches.add_with_evidence(tx, new, _consent(run), why=run.why) if new else set()


def _erased(run: _Import, tx: Tx, canonicals: list[str]) -> set[str]:
    if not canonicals or not batches.anybody_suppressed(tx):
        return set()
    hashes = {canonical: suppression_hashes(run.keyring, canonical) for canonical in canonicals}
    suppressed = subscribers.suppressed(tx, [hashed for item in hashes.values() for hashed in item])
    return {canonical for canonical, every in hashes.items() if not suppressed.isdisjoint(every)}


def _save(run: _Import, tx: Tx, entries: list[tuple[GoodRow, ImportDecision]], tally: _Tally) -> None:
    """Write the changes of people who were known, and the log entry of the beginning."""
    changed: list[Subscriber] = []
    ineligible: list[SubscriberId] = []
    parts: list[tuple[SubscriberId, Consent]] = []
    added = False
    for row, entry in entries:
        person = entry.person
        fate = entry.fate
        if fate is RowResult.ADDED:
            added = True
            continue
        if person is None or fate in {RowResult.UNCHANGED, RowResult.LEFT}:
            continue
        changed.append(person)
        if fate is RowResult.STRONGER:
            parts.append((person.id, _consent(run, _evidence(run, row))))
            if not eligible(person.state):
                ineligible.append(person.id)
            if person.state in SAID_NO:
                ledger.note(tx, LedgerKind.LEFT, str(person.id), now=run.now, canonical=person.canonical)
    batches.save(tx, changed)
    batches.add_consents(tx, parts)
    if ineligible:
        deliveries.skip_people(tx, ineligible, "left, as an imported file says")
    if (added or changed) and not tally.changed:
        tally.changed = True
        # The entry at the end has the numbers; this one stays even if the import is killed before that.
        _log(run, f"begun: {run.file.name}", tx)


def _evidence(run: _Import, row: GoodRow) -> dict[str, str]:
    return {**row.evidence, "file": run.file.name, "line": str(row.line), "state": row.state}


def _consent(run: _Import, evidence: Mapping[str, str] = MappingProxyType({})) -> Consent:
    return Consent(at=run.now, action="imported", channel="import", source=run.file.source, evidence=evidence)


def _summary(tally: _Tally) -> str:
    counts = {**{fate.value: tally.fates[fate] for fate in RowResult}, "rejected": tally.rejected}
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count)


def _log(run: _Import, why: str, tx: Tx | None) -> None:
    entry = logs.LogEntry(at=run.now, who=run.who, what="subscriber import", about=run.file.name, why=why)
    if tx is not None:
        logs.add(tx, entry)
    else:
        with run.unit.write() as own:
            logs.add(own, entry)

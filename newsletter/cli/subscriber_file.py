"""Files of subscribers: `newsletter subscriber import` and `export`."""

from __future__ import annotations

import csv
import gc
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Self, TextIO

import typer

from newsletter.cli.context import state
from newsletter.cli.output import Json, plural, print_json, say, warn
from newsletter.cli.paths import is_folder, look_at
from newsletter.cli.subscriber_lookup import known, pairs
from newsletter.errors import InputError

if TYPE_CHECKING:
    from newsletter.core.csv_import import BadRow
    from newsletter.flows.import_subscribers import ImportReport
    from newsletter.flows.read_csv import RowReader

_PROGRESS_ROWS = 10_000
"""Rows between two lines of progress."""


class ImportedState(StrEnum):
    """What `--as` may say."""

    ACTIVE = "active"
    UNSUBSCRIBED = "unsubscribed"
    BOUNCED = "bounced"
    COMPLAINED = "complained"


class ExportedState(StrEnum):
    """What `--state` may say."""

    PENDING = "pending"
    ACTIVE = "active"
    PAUSED = "paused"
    UNSUBSCRIBED = "unsubscribed"
    BOUNCED = "bounced"
    COMPLAINED = "complained"


def import_file(
    context: typer.Context,
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="With a line of headings, one of them `email`.")],
    as_state: Annotated[ImportedState | None, typer.Option("--as", help="What the people of this file are.")] = None,
    source: Annotated[str, typer.Option(metavar="TEXT", help="Where they said yes; kept as evidence.")] = "",
    mapping: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="NAME=HEADING", help="Such as email=Emailadresse; may be given several times."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would happen; write nothing.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="One bad row, and nothing is changed.")] = False,
    as_json: Json = False,
) -> None:
    """Bring in the people of a file. A second import changes nothing, and nobody who left is brought back."""
    from newsletter.core.subscriber import SubscriberState
    from newsletter.flows.import_subscribers import ImportFile, import_subscribers

    invocation = state(context)
    columns = pairs("--map", mapping or ())
    # All that was loaded so far stays: to look through it for garbage again and again costs a sixth of a long import.
    gc.freeze()
    if is_folder(file):
        raise InputError(f"{file} is a folder; name the CSV file")
    rejected = _Rejected(file.with_suffix(".rejected.csv"), write=not dry_run)
    with _opened(file) as stream, rejected, _progress(stream, file, quiet=as_json) as progress:
        report = import_subscribers(
            invocation.app.unit,
            invocation.app.keyring,
            ImportFile(
                stream=stream,
                # The name is kept as evidence, also of a file whose name is no text.
                name=os.fsencode(file.name).decode(errors="replace"),
                mapping=columns,
                as_state=SubscriberState(as_state.value) if as_state else None,
                source=source,
            ),
            who=invocation.who,
            now=invocation.app.clock.now(),
            dry_run=dry_run,
            strict=strict,
            reject=rejected.add,
            progress=progress,
        )
    if as_json:
        print_json(_report_json(report, rejected.written))
    else:
        _print_report(report, rejected.written)


@contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    try:
        stream = file.open("rb")
        # A file may be opened that cannot be read.
        stream.peek(1)
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}") from error
    with stream:
        yield stream


class _Rejected:
    """The file of rejected rows, made when the first one comes; its cells are harmless in a spreadsheet."""

    def __init__(self, path: Path, *, write: bool) -> None:
        self._path = path
        self._write = write
        self._out: TextIO | None = None
        self._rows: Any = None

    @property
    def written(self) -> Path | None:
        """Return the path, None when there was nothing to write."""
        return None if self._rows is None else self._path

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._out is not None:
            self._out.close()

    def add(self, reader: RowReader, row: BadRow) -> None:
        """Write one row with its line and reason."""
        from newsletter.core.csv_import import neutralise, restore

        if not self._write:
            return
        if self._rows is None:
            self._out = _created(self._path)
            self._rows = csv.writer(self._out)
            self._rows.writerow(["line", "reason", *map(neutralise, reader.layout.headings)])
        cells = [restore(cell) for cell in row.cells] if reader.layout.ours else row.cells
        self._rows.writerow([row.line, neutralise(row.reason), *map(neutralise, cells)])


def _created(path: Path) -> TextIO:
    """Open a file for writing that only its owner may read: it holds addresses."""
    try:
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8", newline="")
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from error


@contextmanager
def _progress(stream: BinaryIO, file: Path, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """Show a bar on a terminal, a line now and then elsewhere; always on standard error, beside the data."""
    if not sys.stderr.isatty():
        yield lambda rows: None if quiet or rows % _PROGRESS_ROWS else warn(f"{rows:,} rows")
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(file.name, total=max(1, os.fstat(stream.fileno()).st_size))
        yield lambda rows: bar.update(task, completed=stream.tell(), description=f"{rows:,} rows")


_WORDS = {
    "added": "added",
    "filled": "known already, something that was empty is filled in",
    "unchanged": "known already",
    "stronger": "known already, moved on to the state the file tells",
    "left": "left out: they left earlier (`newsletter subscriber reactivate` brings one back)",
    "suppressed": "left out: they were erased",
}


def _print_report(report: ImportReport, rejected: Path | None) -> None:
    would = "Nothing was written; this is what would happen. " if report.dry_run else ""
    say(f"{would}{report.file} ({report.encoding}, {report.delimiter}): {plural(report.rows, 'row')}")
    counts = [(report.counts[fate], _WORDS[fate.value]) for fate in report.counts]
    counts.append((report.duplicates, "again in this file, in another spelling or the same"))
    where = f": see {rejected}" if rejected else ""
    counts.append((report.rejected, f"rejected{where}"))
    for count, words in counts:
        if count or words == "added":
            say(f"{count:>11,}  {words}")
    for note in report.notes:
        say(f"note: {note}")
    if report.noted > len(report.notes):
        say(f"note: and {report.noted - len(report.notes):,} more like these")


def _report_json(report: ImportReport, rejected: Path | None) -> dict[str, object]:
    return {
        "file": report.file,
        "encoding": report.encoding,
        "delimiter": report.delimiter,
        "dry_run": report.dry_run,
        "rows": report.rows,
        **{fate.value: count for fate, count in report.counts.items()},
        "duplicates": report.duplicates,
        "rejected": report.rejected,
        "rejected_file": str(rejected) if rejected else None,
        "notes": list(report.notes),
        "noted": report.noted,
    }


def export_file(
    context: typer.Context,
    *,
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE|EMAIL",
            help="Where to; default: standard output. An address: everything known of that one person, as JSON.",
        ),
    ] = None,
    states: Annotated[
        list[ExportedState] | None,
        typer.Option("--state", help="Only people in this state; may be given several times."),
    ] = None,
    everybody: Annotated[bool, typer.Option("--all", help="Also who left, bounced, complained or is pending.")] = False,
    tag: Annotated[str, typer.Option(help="Only people with this tag.")] = "",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace FILE if it exists.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line instead of CSV.")] = False,
) -> None:
    """Write active and paused people as CSV that `import` reads back, or everything about one of them as JSON."""
    from newsletter.core.subscriber import SubscriberState
    from newsletter.flows.export_subscribers import STAYING, export_csv, export_json
    from newsletter.store.subscriber_list import Wanted

    if file is not None and "@" in str(file) and "/" not in str(file):
        if everybody or states or tag:
            raise InputError(f"--all, --state and --tag choose people; {file} is one (a file of that name: ./{file})")
        _export_person(context, str(file))
        return
    if everybody and states:
        raise InputError("--all and --state contradict each other; give one of them")
    chosen = tuple(SubscriberState(one.value) for one in states or ()) or (() if everybody else STAYING)
    unit = state(context).app.unit
    write = export_json if as_json else export_csv
    if file is None or str(file) == "-":
        write(unit, Wanted(states=chosen, tag=tag), sys.stdout)
        return
    with _replaced(file, overwrite=overwrite) as out:
        count = write(unit, Wanted(states=chosen, tag=tag), out, progress=lambda rows: warn(f"{rows:,} rows"))
    say(f"{plural(count, 'subscriber')} in {file}")


def _export_person(context: typer.Context, email: str) -> None:
    """Print everything that is known of one person; it goes nowhere else."""
    from newsletter.flows.export_person import export_person

    app = state(context).app
    person = export_person(app.unit, app.keyring, email, now=app.clock.now())
    if person is None:
        # It names whom they may have meant.
        known(app.unit, email)
        raise InputError(f"{email} was added at this moment; try again")
    print_json(person)


@contextmanager
def _replaced(file: Path, *, overwrite: bool) -> Iterator[TextIO]:
    """Give a file that appears under its name only when it is complete."""
    if is_folder(file):
        raise InputError(f"{file} is a folder; name the file to write")
    if look_at(file) is not None and not overwrite:
        raise InputError(f"{file} exists; --overwrite replaces it")
    part = file.with_name(file.name + ".part")
    try:
        with _created(part) as out:
            yield out
        part.replace(file)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise

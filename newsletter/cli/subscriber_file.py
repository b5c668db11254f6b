"""Files of subscribers: `newsletter subscriber import` and `export`."""

from __future__ import annotations

import csv
import gc
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from filecmp import cmp
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Self

import typer

from newsletter.cli.context import state
from newsletter.cli.output import Json, print_json, say, warn
from newsletter.cli.paths import is_folder, opened_file
from newsletter.cli.private_file import free_name, private_file
from newsletter.cli.subscriber_lookup import known
from newsletter.errors import InputError
from newsletter.wording import plural

if TYPE_CHECKING:
    from newsletter.core.csv_import import ColumnChoices
    from newsletter.core.csv_row import BadRow
    from newsletter.flows.import_subscribers import ImportReport
    from newsletter.flows.read_csv import RowReader

_PROGRESS_ROWS = 10_000
"""Rows between two lines of progress."""
_REJECTIONS_SHOWN_MAX = 20


class ImportedState(StrEnum):
    """Values of `--as`."""

    ACTIVE = "active"
    UNSUBSCRIBED = "unsubscribed"
    BOUNCED = "bounced"
    COMPLAINED = "complained"


class ExportedState(StrEnum):
    """Values of `--state`."""

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
        typer.Option(
            "--map",
            metavar="NAME=HEADING",
            help="email=Emailadresse for a column; state=Stand for one of states, field=Stand for one that is none; "
            "unsubscribed=weg for a word in it. May be given several times.",
        ),
    ] = None,
    encoding: Annotated[
        str,
        typer.Option(metavar="NAME", help="Of the file, such as cp1250 or mac_roman; default: found from its bytes."),
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the result; write nothing.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="One bad row, and nothing is changed.")] = False,
    as_json: Json = False,
) -> None:
    """Import the people of a file. A second import changes nothing; people who left stay out."""
    from newsletter.core.subscriber import SubscriberState
    from newsletter.flows.import_subscribers import ImportFile, import_subscribers

    invocation = state(context)
    choices = _choices(mapping or ())
    # Objects loaded so far stay: the garbage collector would otherwise scan them for a sixth of a long import.
    gc.freeze()
    if is_folder(file):
        raise InputError(f"{file} is a folder; name the CSV file")
    rejected = _Rejected(file.with_suffix(".rejected.csv"), write=not dry_run)
    with opened_file(file) as stream, rejected, _progress(stream, file, quiet=as_json) as progress:
        report = import_subscribers(
            invocation.app.unit,
            invocation.app.keyring,
            ImportFile(
                stream=stream,
                # The name is kept as evidence, also of a file whose name is no text.
                name=os.fsencode(file.name).decode(errors="replace"),
                choices=choices,
                encoding=encoding,
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


def _choices(texts: list[str] | tuple[str, ...]) -> ColumnChoices:
    """Read `--map email=Mail --map state=Stand --map unsubscribed=weg`."""
    from newsletter.core.csv_import import TARGETS, ColumnChoices
    from newsletter.core.subscriber import SubscriberState

    targets: dict[str, str] = {}
    headings: dict[str, list[str]] = {"state": [], "field": []}
    words: dict[str, SubscriberState] = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not name:
            raise InputError(f"--map {text}: write NAME=VALUE, such as --map email=Emailadresse")
        if name in headings:
            headings[name].append(value)
        elif name in set(SubscriberState):
            if words.setdefault(value, SubscriberState(name)) is not SubscriberState(name):
                raise InputError(f"--map gives {value!r} two meanings, {words[value]} and {name}")
        elif name in targets:
            raise InputError(f"--map names {name!r} twice")
        elif name in TARGETS:
            targets[name] = value
        else:
            names = ", ".join((*TARGETS, "state", "field", *SubscriberState))
            raise InputError(f"--map {text}: {name!r} is not one of {names}")
    return ColumnChoices(
        targets=targets, state_headings=tuple(headings["state"]), field_headings=tuple(headings["field"]), words=words
    )


class _Rejected:
    """The file of rejected rows, made when the first one comes; its cells are harmless in a spreadsheet."""

    def __init__(self, path: Path, *, write: bool) -> None:
        self._wanted = path
        self._path = path
        self._write = write
        self._files = ExitStack()
        self._rows: Any = None

    @property
    def written(self) -> Path | None:
        """Return the path, None when there was nothing to write."""
        return None if self._rows is None else self._path

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # With --strict the import ends with an error, and these rows are its reason: the file stays.
        self._files.close()
        if self._rows is not None and self._path != self._wanted and _same_file(self._path, self._wanted):
            self._path.unlink()
            self._path = self._wanted

    def add(self, reader: RowReader, row: BadRow) -> None:
        """Write one row with its line and reason."""
        from newsletter.core.csv_import import neutralise, restore

        if not self._write:
            return
        if self._rows is None:
            self._path = free_name(self._wanted)
            self._rows = csv.writer(self._files.enter_context(private_file(self._path, overwrite=False)))
            self._rows.writerow(["line", "reason", *map(neutralise, reader.layout.headings)])
        cells = [restore(cell) for cell in row.cells] if reader.layout.ours else row.cells
        self._rows.writerow([row.line, neutralise(row.reason), *map(neutralise, cells)])


def _same_file(path: Path, other: Path) -> bool:
    """Return whether a second import rejected the same rows, which need no second file."""
    try:
        return not other.is_symlink() and cmp(path, other, shallow=False)
    except OSError:
        return False


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
    "corrected": "known already, a name from an earlier import is corrected",
    "unchanged": "known already",
    "stronger": "known already, now in the stronger state of the file",
    "left": "left out: they left earlier (`newsletter subscriber reactivate` brings one back)",
    "suppressed": "left out: they were erased, or blocked the address",
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
    if rejected is None:
        for rejection in report.rejections:
            say(f"             {rejection}")
        if report.rejected > len(report.rejections):
            say(f"             and {report.rejected - len(report.rejections):,} more")
    if report.consent:
        states = ", ".join(f"{count:,} {name}" for name, count in report.states.items())
        say(f"note: states were read from {report.consent}: {states}")
    _print_encoding(report)
    for note in report.notes:
        say(f"note: {note}")
    if report.noted > len(report.notes):
        say(f"note: and {report.noted - len(report.notes):,} more like these")


def _print_encoding(report: ImportReport) -> None:
    if not report.samples:
        return
    if not report.encoding_guessed:
        say(f"note: names read as {', '.join(report.samples)}")
        return
    say("note: nothing in the file says which encoding it has. It was read as Windows-1252, in which it says:")
    for sample in report.samples:
        say(f"             {sample}")
    say("      If a name looks wrong, import the file again with --encoding NAME: that corrects the names.")


def _report_json(report: ImportReport, rejected: Path | None) -> dict[str, object]:
    return {
        "file": report.file,
        "encoding": report.encoding,
        "encoding_guessed": report.encoding_guessed,
        "samples": list(report.samples),
        "consent": report.consent,
        "states": {state.value: count for state, count in report.states.items()},
        "delimiter": report.delimiter,
        "dry_run": report.dry_run,
        "rows": report.rows,
        **{fate.value: count for fate, count in report.counts.items()},
        "duplicates": report.duplicates,
        "rejected": report.rejected,
        "rejected_file": str(rejected) if rejected else None,
        "notes": list(report.notes),
        "noted": report.noted,
        "rejections": list(report.rejections),
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
    """Write active and paused people as CSV, or one as JSON.

    `import` reads the CSV back; the JSON holds everything about one person.
    """
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
    chosen = tuple(SubscriberState(name.value) for name in states or ()) or (() if everybody else STAYING)
    unit = state(context).app.unit
    write = export_json if as_json else export_csv
    if file is None or str(file) == "-":
        write(unit, Wanted(states=chosen, tag=tag), sys.stdout)
        return
    with private_file(file, overwrite=overwrite) as out:
        count = write(unit, Wanted(states=chosen, tag=tag), out, progress=lambda rows: warn(f"{rows:,} rows"))
    say(f"{plural(count, 'subscriber')} in {file}")


def _export_person(context: typer.Context, email: str) -> None:
    """Print everything that is known of one person as JSON on standard output."""
    from newsletter.flows.export_person import export_person

    app = state(context).app
    person = export_person(app.unit, app.keyring, email, now=app.clock.now())
    if person is None:
        # Raises with the addresses that it may be a misspelling of.
        known(app.unit, email)
        raise InputError(f"{email} was added at this moment; try again")
    print_json(person)

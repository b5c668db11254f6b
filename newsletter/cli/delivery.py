"""`newsletter delivery`: the outcome of each delivery, and the reply of the server."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from newsletter.cli.context import state
from newsletter.cli.edition_names import find_edition
from newsletter.cli.output import Json, print_json, say, table
from newsletter.cli.private_file import private_file
from newsletter.cli.subscriber_lookup import known
from newsletter.errors import InputError
from newsletter.wording import plural

if TYPE_CHECKING:
    from collections.abc import Iterable

    from newsletter.core.delivery import DeliveryState
    from newsletter.store.report import DeliveryRow

app = typer.Typer(help="Deliveries: the log, person by person.", no_args_is_help=True, rich_markup_mode=None)

HEADINGS = ("edition", "email", "state", "reason", "server", "attempts", "last_attempt", "next_attempt")


@app.callback()
def _group() -> None:
    """Deliveries: the log, person by person."""


@app.command("list")
def list_deliveries(
    context: typer.Context,
    *,
    edition: Annotated[str, typer.Option("--edition", metavar="DATE", help="Only this edition, or `last`.")] = "",
    subscriber: Annotated[str, typer.Option("--subscriber", metavar="EMAIL", help="Only this person.")] = "",
    state_: Annotated[
        list[str] | None, typer.Option("--state", metavar="STATE", help="Only this state; may be repeated.")
    ] = None,
    csv_file: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write all of them as CSV.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file of --csv if it exists.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many to show; --csv and --json show all.")] = 100,
    as_json: Json = False,
) -> None:
    """List deliveries with person, state and server reply."""
    from newsletter.store import report

    application = state(context).app
    states = [_state(name) for name in state_ or []]
    who = known(application.unit, subscriber).id if subscriber else None
    everything = as_json or csv_file is not None
    with application.unit.read() as tx:
        chosen = find_edition(tx, edition) if edition else None
        edition_id = chosen.id if chosen else None
        most = None if everything else limit + 1
        rows = report.rows(tx, edition_id=edition_id, who=who, states=states, limit=most)
        if csv_file is not None:
            count = _write(csv_file, rows, overwrite=overwrite)
            say(f"{plural(count, 'delivery', 'deliveries')} written to {csv_file}.")
        elif as_json:
            print_json([dict(zip(HEADINGS, _cells(row), strict=True)) for row in rows])
        else:
            listed = list(rows)
            _show(listed, limit)
            if chosen and chosen.audience and not (listed or states or who):
                say("Who got it was deleted after NEWSLETTER_KEEP_DELIVERIES_DAYS; the totals are kept:")
                say(f"  newsletter edition show {chosen.name}")


def _state(name: str) -> DeliveryState:
    from newsletter.core.delivery import DeliveryState

    try:
        return DeliveryState(name)
    except ValueError as error:
        raise InputError(f"{name!r} is not a state of a delivery; use one of {', '.join(DeliveryState)}.") from error


def _cells(row: DeliveryRow) -> list[object]:
    return [
        row.edition,
        row.email or "(erased)",
        row.state.value,
        row.reason,
        row.reply,
        row.attempts,
        None if row.last_attempt_at is None else row.last_attempt_at.isoformat(timespec="seconds"),
        None if row.next_attempt_at is None else row.next_attempt_at.isoformat(timespec="seconds"),
    ]


def _write(path: Path, rows: Iterable[DeliveryRow], *, overwrite: bool) -> int:
    from newsletter.core.csv_import import neutralise

    count = 0
    with private_file(path, overwrite=overwrite) as handle:
        writer = csv.writer(handle, quoting=csv.QUOTE_ALL)
        writer.writerow(HEADINGS)
        for row in rows:
            # A server's text comes from a stranger: a spreadsheet must not run it as a formula.
            writer.writerow(["" if cell is None else neutralise(str(cell)) for cell in _cells(row)])
            count += 1
    return count


def _show(rows: list[DeliveryRow], limit: int) -> None:
    if not rows:
        say("No delivery fits.")
        return
    table(
        ["edition", "person", "state", "why", "the server's words", "tries"],
        [[*_cells(row)[:6]] for row in rows[:limit]],
    )
    if len(rows) > limit:
        say()
        say(f"More than {limit:,}; --limit shows more, --csv FILE writes all.")

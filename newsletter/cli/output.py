"""How commands speak: tables and lines for people, JSON for programs, questions on a terminal only."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Annotated

import typer

from newsletter.errors import InputError

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of words.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def say(line: str = "") -> None:
    """Print a line for a person."""
    typer.echo(line)


def warn(line: str) -> None:
    """Print a line for a person to standard error, so that it never mixes with data."""
    typer.echo(line, err=True)


def print_json(value: object) -> None:
    """Print one JSON document."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def table(headings: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "") -> None:
    """Print a table, as wide as it needs to be when the output is not a terminal."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    listed = [[_cell(value) for value in row] for row in rows]
    grid = Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        grid.add_column(heading, overflow="fold")
    for row in listed:
        grid.add_row(*row)
    # Without a terminal there is no width to respect: a cut word would be worse than a long line.
    width = None if sys.stdout.isatty() else 400
    console = Console(width=width, highlight=False, soft_wrap=False, markup=False)
    console.print(grid)


def _cell(value: object) -> str:
    # What a server or a subscriber wrote must not be able to steer the terminal.
    return "" if value is None else "".join(c if c.isprintable() else " " for c in str(value))


def one_line(text: str) -> str:
    """Return what a person typed as one line that can be printed and stored."""
    return " ".join(_cell(text).split())


def confirm(question: str, *, yes: bool) -> None:
    """Ask on a terminal before what cannot be undone; without a terminal the command itself is the answer."""
    if yes or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return
    if not typer.confirm(question):
        raise InputError("Nothing was done.")


def plural(count: int, one: str, many: str = "") -> str:
    """Return `1 tip` or `1,204 tips`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"

"""Output of the commands: tables and lines for people, JSON for programs.

Everything printed passes `say` or `warn`. A closed pipe (`| head -1`) ends the output and not the work; a character
which the terminal cannot encode is replaced by ASCII.
"""

from __future__ import annotations

import codecs
import json
import os
import re
import shutil
import sys
from collections.abc import Collection, Iterable, Sequence
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of words.")]

TEXT_WIDTH = 100
"""Lines of text longer than this are hard to read, however wide the window."""

TEXT_WIDTH_MIN = 20

_WORD = re.compile(r"[a-z]+'?[a-z]*")
"""A word of a sentence; a slug of several words, an address, a file or an option is written as it is."""

_PLAIN = str.maketrans(
    {
        "“": '"',
        "”": '"',
        "\N{RIGHT SINGLE QUOTATION MARK}": "'",
        "→": "->",
        "\N{MINUS SIGN}": "-",
        "\N{EN DASH}": "-",
        "─": "-",
        "·": "*",
        "…": "...",
    }
)
"""What our own sentences and tables are written with beyond ASCII."""

_IN_PLACE_OF_LETTERS = "newsletter"


def speak_plainly() -> None:
    """Let standard output and standard error take every letter, whatever their encoding."""
    codecs.register_error(_IN_PLACE_OF_LETTERS, _in_other_letters)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=_IN_PLACE_OF_LETTERS)


def _in_other_letters(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(_PLAIN)
    return "".join(item if item.isascii() else "?" for item in text), error.end


def say(line: str = "") -> None:
    """Print a line for a person."""
    _print(line, err=False)


def warn(line: str) -> None:
    """Print a line for a person to standard error, so that it never mixes with data."""
    _print(line, err=True)


def _print(line: str, *, err: bool) -> None:
    try:
        typer.echo(line, err=err)
    except BrokenPipeError:
        # The reader is gone. The command does its work to the end all the same, and its exit code stays true.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, (sys.stderr if err else sys.stdout).fileno())
        os.close(nowhere)


def print_json(value: object) -> None:
    """Print one JSON document."""
    # JSON can write every letter in ASCII, and must not lose one.
    plain = not (sys.stdout.encoding or "").lower().startswith("utf")
    say(json.dumps(value, indent=2, ensure_ascii=plain, default=str))


def terminal_width() -> int | None:
    """Return how many cells a line has; None where there is no terminal, and nothing must be folded."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def say_beside(label: str, text: str, *, cells: int) -> None:
    """Print a text beside its label of so many cells; folded on a terminal, whole in a file or a pipe."""
    from newsletter.cli.layout import fold_words

    lines = [text]
    width = terminal_width()
    if width is not None:
        # A longer word is left to the terminal, from which it can be copied whole.
        room = max(TEXT_WIDTH_MIN, min(TEXT_WIDTH, width) - cells)
        lines = fold_words(text, room) or [text]
    for number, line in enumerate(lines):
        say((label if number == 0 else " " * cells) + line)


def table(headings: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "") -> None:
    """Print a table, folded to the width of the terminal; elsewhere it is as wide as it needs to be."""
    from newsletter.cli.layout import lay_out

    cells = [[_cell(value) for value in row] for row in rows]
    width = terminal_width()
    heading, *lines = lay_out(headings, cells, width)
    if title:
        say(title)
    say(typer.style(heading, bold=True))
    for line in lines:
        say(line)


def _cell(value: object) -> str:
    # What a server or a subscriber wrote must not be able to steer the terminal.
    return "" if value is None else "".join(c if c.isprintable() else " " for c in str(value))


def one_line(text: str) -> str:
    """Return what a person typed as one line that can be printed and stored."""
    return " ".join(_cell(text).split())


def sentence(message: str, *, names: Collection[str] = ()) -> str:
    """Return the message of an error as a sentence that can stand alone; as it is made it may be part of another.

    Of `names`, such as the files of the command line, the first letter keeps its case.
    """
    first_word = message.split(" ", 1)[0]
    if _WORD.fullmatch(first_word) and first_word not in names:
        message = message[0].upper() + message[1:]
    return message if message.endswith((".", "!", "?", ":")) else f"{message}."

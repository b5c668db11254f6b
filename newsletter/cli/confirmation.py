"""Confirmation of what cannot be undone: a question on a terminal, `--yes` elsewhere.

Every command that mails people, ends an edition or destroys data calls `confirm` before its first write. Without an
answer it raises `InputError` (exit code 2), and the command has changed nothing.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from newsletter.cli.layout import fold_words
from newsletter.cli.output import TEXT_WIDTH, warn
from newsletter.errors import InputError

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do it without a question.")]
YesTwice = Annotated[
    int, typer.Option("--yes", "-y", count=True, show_default=False, help="Answer a question; give it twice for both.")
]

_YES_ANSWERS = frozenset({"y", "yes"})
_NO_ANSWERS = frozenset({"", "n", "no"})


def confirm(question: str, *, yes: int, people: int | None = None) -> None:
    """Return when the person agrees; raise `InputError` otherwise.

    `yes` counts the `--yes` options; each one answers a question. With `people`, a second question asks for that
    number: a habit types "y", only a look at the first question finds the number. Questions go to standard error, so
    that a pipe on standard output hides none of them.
    """
    needed = 1 if people is None else 2
    if yes >= needed:
        return
    if not on_terminal():
        option = "--yes" if people is None else "--yes twice"
        raise InputError(f"{question} There is no terminal to answer on; give {option} to do it. Nothing was done.")
    if not yes and not _agrees(question):
        raise InputError("Nothing was done.")
    if people is not None:
        answer = _ask("How many people is it for? Type the number to do it:")
        if answer.replace(",", "") != str(people):
            raise InputError(f"It is for {people:,}, and you typed {answer!r}. Nothing was done.")


def on_terminal() -> bool:
    """Tell whether a question can be shown and answered: standard error and standard input are a terminal."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def _agrees(question: str) -> bool:
    while True:
        answer = _ask(f"{question} [y/N]:").lower()
        if answer in _YES_ANSWERS | _NO_ANSWERS:
            return answer in _YES_ANSWERS
        warn("Type y or n.")


def _ask(question: str) -> str:
    """Return the line typed; raise `typer.Abort` at the end of the input and at Ctrl-C."""
    typer.echo("\n".join(fold_words(question, TEXT_WIDTH)) + " ", nl=False, err=True)
    try:
        line = sys.stdin.readline()
    except KeyboardInterrupt as error:
        raise typer.Abort from error
    if not line:
        raise typer.Abort
    return line.strip()

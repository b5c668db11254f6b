"""What cannot be undone is asked for: on a terminal by a question, elsewhere by `--yes`; else nothing happens."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Sequence
from datetime import timedelta

import pytest

from newsletter.core.delivery import DeliveryState
from newsletter.store import edition as editions
from newsletter.store import log as logs
from newsletter.store import subscriber_list as lists
from newsletter.transport.catcher import Catcher
from tests.cli.conftest import PEOPLE, Home
from tests.conftest import SHIFTED
from tests.flows.follow_up_fixtures import World

COMMANDS = {
    "send early": ("edition", "send", "--now"),
    "cancel": ("edition", "cancel", "last"),
    "replace": ("edition", "replace", "last", "--tip", "right"),
    "correct": ("edition", "correct", "last", "--tip", "right"),
    "send the uncertain again": ("edition", "resolve", "last", "--resend"),
    "erase": ("subscriber", "erase", "p1@example.com"),
    "restore": ("db", "restore", "copy.db"),
}


def trace(home: Home) -> tuple[object, ...]:
    """Return what a command would have changed: editions with their states, people, and the log."""
    with home.unit.read() as tx:
        return (
            [(edition.name, edition.status) for edition in editions.latest(tx, count=9)],
            lists.count(tx, lists.Wanted()),
            len(logs.latest(tx, count=99)),
        )


def prepared(home: Home, world: World, words: Sequence[str]) -> Sequence[str]:
    """Bring a home to where a command has something to do, and return its words with whole paths."""
    world.settle(world.wrong, DeliveryState.UNCERTAIN, 0)
    world.settle(world.wrong, DeliveryState.ACCEPTED, 1)
    if "correct" in words:
        world.settle(world.wrong, DeliveryState.ACCEPTED, *PEOPLE)
    if "--now" in words:
        world.settle(world.wrong, DeliveryState.ACCEPTED, *PEOPLE)
        with world.unit.write() as tx:
            now = SHIFTED.now() - timedelta(days=8)
            editions.close(tx, world.wrong.id, totals={"accepted": len(PEOPLE)}, now=now)
    assert home.run("db", "backup", str(home.folder / "copy.db")).code == 0
    return [str(home.folder / word) if word == "copy.db" else word for word in words]


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS.keys())
def test_without_a_terminal_and_without_yes_nothing_happens(
    home: Home, world: World, mail: Catcher, words: tuple[str, ...]
) -> None:
    """Exit code 2, the question that was not asked, and how to answer it; no row changes and no mail goes out."""
    words = tuple(prepared(home, world, words))
    before = trace(home)
    ran = home.run(*words)
    assert ran.code == 2
    assert "nothing was done" in ran.err
    assert "--yes" in ran.err
    assert trace(home) == before
    assert not mail.caught


def answer(home: Home, words: Sequence[str], text: str) -> tuple[int, str, str]:
    """Run a command whose input and errors are a terminal and whose output is a pipe, as in `newsletter … | tee`."""
    terminal, inside = pty.openpty()
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "newsletter", "-C", str(home.folder), *words],
            stdin=inside,
            stderr=inside,
            stdout=subprocess.PIPE,
        )
        os.close(inside)
        os.write(terminal, text.encode())
        output, _ = process.communicate(timeout=60)
        return process.returncode, output.decode(), _read(terminal)
    finally:
        os.close(terminal)


def _read(terminal: int) -> str:
    pieces: list[bytes] = []
    while True:
        try:
            piece = os.read(terminal, 4096)
        except OSError:
            # On Linux the end of a terminal whose other side is closed is an error.
            piece = b""
        if not piece:
            return b"".join(pieces).decode()
        pieces.append(piece)


def test_a_pipe_behind_the_command_does_not_skip_the_question(home: Home, world: World, mail: Catcher) -> None:
    """The question is on the terminal, not in the pipe, and a no leaves everything as it was."""
    before = trace(home)
    code, output, asked = answer(home, ("edition", "cancel", "last"), "n\n")
    assert (code, output.strip()) == (2, "")
    assert "6 people will not get it." in asked
    assert "Nothing was done." in asked
    assert trace(home) == before


def test_a_yes_on_the_terminal_is_enough(home: Home, world: World) -> None:
    """The answer is read from the terminal, and the result goes into the pipe."""
    code, output, _ = answer(home, ("edition", "cancel", "last"), "y\n")
    assert code == 0
    assert "is cancelled: 6 people do not get it." in output


def test_a_second_mail_within_a_day_needs_two_answers(home: Home, world: World, mail: Catcher) -> None:
    """One `--yes` answers one question; the second is the number of people, or a second `--yes`."""
    world.settle(world.wrong, DeliveryState.ACCEPTED, *PEOPLE)
    with world.unit.write() as tx:
        editions.close(tx, world.wrong.id, totals={"accepted": len(PEOPLE)}, now=SHIFTED.now())
    before = trace(home)
    once = home.run("edition", "send", "--now", "--yes")
    assert once.code == 2
    assert "Give --yes twice" in once.err
    assert trace(home) == before
    assert not mail.caught
    assert home.run("edition", "send", "--now", "--yes", "--yes").code == 0
    assert mail.accepted.total() == len(PEOPLE)

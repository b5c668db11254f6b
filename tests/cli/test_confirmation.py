"""Confirmation of what cannot be undone: a question on a terminal, `--yes` elsewhere, else exit code 2."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer
from sqlalchemy import text

from newsletter.cli.main import app
from newsletter.core.delivery import DeliveryCounts, DeliveryState
from newsletter.store import edition as editions
from newsletter.testing.catcher import Catcher
from tests.cli.conftest import PEOPLE, Home, Ran
from tests.conftest import SHIFTED
from tests.flows.follow_up_fixtures import World


@dataclass(frozen=True, slots=True)
class Case:
    """A command that asks, and what the world needs for it to have an effect."""

    words: tuple[str, ...]
    question: str
    prepare: Callable[[World], None] = lambda world: None


def rejected(world: World) -> None:
    """Record that a mail server refused two people."""
    world.settle(world.wrong, DeliveryState.REJECTED, 0, 1)


def uncertain(world: World) -> None:
    """Record that two people may or may not have the edition."""
    world.settle(world.wrong, DeliveryState.UNCERTAIN, 0, 1)


def sent(world: World) -> None:
    """Finish the edition: everybody got it."""
    world.settle(world.wrong, DeliveryState.ACCEPTED, *PEOPLE)
    with world.unit.write() as tx:
        editions.close(tx, world.wrong.id, totals=DeliveryCounts(accepted=len(PEOPLE)), now=SHIFTED.now())


CASES = {
    "edition send": Case(("edition", "send", "next", "--now"), "Send “Right” to 6 people now? It is Wednesday;"),
    "edition cancel": Case(("edition", "cancel", "last"), "6 people will not get it"),
    "edition retry": Case(("edition", "retry", "last", "--rejected"), "again to 2 rejected people?", rejected),
    "edition resolve": Case(("edition", "resolve", "last", "--resend"), "They may get it twice.", uncertain),
    "edition replace": Case(("edition", "replace", "last", "--tip", "right"), "to the 6 people whom it has not"),
    "edition correct": Case(("edition", "correct", "last", "--tip", "right"), "to the 6 people who got “Wrong”", sent),
    "tip delete": Case(("tip", "delete", "right"), "Its text is gone for good."),
    "subscriber erase": Case(("subscriber", "erase", "p0@example.com"), "Erase p0@example.com for good?"),
    "db restore": Case(("db", "restore", "copy.db"), "Replace the database with"),
}
TESTED_ELSEWHERE = {"db adopt", "bounce release", "bounce dismiss"}
"""Commands that need another world: tests/cli/test_backup.py and test_bounce_commands.py."""


@dataclass(slots=True)
class Terminal:
    """A pseudo-terminal on standard input and standard error; standard output stays a pipe, as with `| tee`."""

    home: Home
    monkeypatch: pytest.MonkeyPatch
    slave: int
    master: int

    def run(self, *words: str, answers: str) -> tuple[Ran, str]:
        """Run a command, type the answers, and return what it printed and what the terminal shows."""
        os.write(self.master, answers.encode())
        with open(os.dup(self.slave)) as stdin, open(os.dup(self.slave), "w") as stderr:  # noqa: PTH123
            self.monkeypatch.setattr(sys, "stderr", stderr)
            ran = self.home.call(*words, stdin=stdin)
            self.monkeypatch.undo()
        return ran, " ".join(self._shown().split())

    def _shown(self) -> str:
        """Return what the terminal shows; a marker behind it tells that all of it has been read."""
        os.write(self.slave, b"\0")
        shown = b""
        while not shown.endswith(b"\0"):
            shown += os.read(self.master, 65_536)
        return shown[:-1].decode()


@pytest.fixture
def terminal(home: Home) -> Iterator[Terminal]:
    """Return a pseudo-terminal for the home."""
    master, slave = os.openpty()
    with pytest.MonkeyPatch.context() as monkeypatch:
        yield Terminal(home, monkeypatch, slave, master)
    os.close(slave)
    os.close(master)


def contents(home: Home) -> list[tuple[object, ...]]:
    """Return the rows that the commands would change."""
    tables = ("edition", "delivery", "slot", "tip", "subscriber", "log")
    with home.unit.read() as tx:
        return [tuple(row) for table in tables for row in tx.execute(text(f"SELECT * FROM {table}"))]  # noqa: S608


@pytest.fixture
def backup(home: Home, world: World) -> Path:
    """Return a backup of the database."""
    file = home.folder / "copy.db"
    assert home.run("db", "backup", str(file)).code == 0
    return file


def words_of(case: Case, home: Home) -> tuple[str, ...]:
    """Return the words of a command, with the path of the backup."""
    return tuple(str(home.folder / word) if word == "copy.db" else word for word in case.words)


def commands(group: typer.Typer, path: str = "") -> Iterator[str]:
    """Yield the commands that have `--yes`."""
    command = typer.main.get_command(group)

    def walk(node: object, names: tuple[str, ...]) -> Iterator[str]:
        for name, child in getattr(node, "commands", {}).items():
            yield from walk(child, (*names, name))
        if any("--yes" in parameter.opts for parameter in node.params):  # type: ignore[attr-defined]
            yield " ".join(names)

    yield from walk(command, ())


def test_every_command_that_asks_is_tested() -> None:
    """A command with `--yes` belongs into the cases of this file, or into the list of those tested elsewhere."""
    assert set(commands(app)) == CASES.keys() | TESTED_ELSEWHERE


@pytest.mark.parametrize("command", CASES)
def test_without_a_terminal(home: Home, world: World, mail: Catcher, backup: Path, command: str) -> None:
    """Without a terminal and without --yes the exit code is 2, the message has the question, nothing changes."""
    case = CASES[command]
    case.prepare(world)
    before = contents(home)
    ran = home.run(*words_of(case, home))
    assert ran.code == 2, ran.out
    assert case.question in ran.err
    assert "give --yes" in ran.err
    assert contents(home) == before
    assert not mail.accepted


@pytest.mark.usefixtures("backup")
@pytest.mark.parametrize("command", CASES)
def test_no_on_a_terminal(home: Home, world: World, mail: Catcher, terminal: Terminal, command: str) -> None:
    """The question is shown although standard output is a pipe; "n" ends with exit code 2 and changes nothing."""
    case = CASES[command]
    case.prepare(world)
    before = contents(home)
    ran, shown = terminal.run(*words_of(case, home), answers="what\nn\n")
    assert ran.code == 2, ran.out
    assert case.question in shown
    assert "Type y or n." in shown
    assert contents(home) == before
    assert not mail.accepted
    assert "?" not in ran.out


@pytest.mark.parametrize("command", ["edition cancel", "edition retry", "edition resolve", "subscriber erase"])
def test_yes_on_a_terminal(home: Home, world: World, terminal: Terminal, command: str) -> None:
    """The answer "y" does it."""
    case = CASES[command]
    case.prepare(world)
    before = contents(home)
    ran, shown = terminal.run(*case.words, answers="y\n")
    assert ran.code == 0, shown
    assert contents(home) != before


def test_the_end_of_the_input_is_no_answer(home: Home, world: World, terminal: Terminal) -> None:
    """Ctrl-D instead of an answer changes nothing."""
    before = contents(home)
    ran, shown = terminal.run("edition", "cancel", "last", answers="\x04")
    assert ran.code == 130
    assert "Nothing was done." in shown
    assert contents(home) == before


def test_a_second_early_send_needs_the_number_of_people(
    home: Home, world: World, mail: Catcher, terminal: Terminal
) -> None:
    """Within a day of an edition a y is no answer to `--now`: only the number of people, or --yes twice, sends."""
    send = ("edition", "send", "next", "--now")
    before = contents(home)
    for answers, words in (("y\ny\n", "you typed 'y'"), ("y\n5\n", "you typed '5'")):
        ran, shown = terminal.run(*send, answers=answers)
        assert (ran.code, words in shown) == (2, True), shown
        assert "began 30 minutes ago" in shown
    once = home.run(*send, "--yes")
    assert (once.code, "give --yes twice" in once.err) == (2, True)
    assert contents(home) == before
    ran, shown = terminal.run(*send, answers="y\n6\n")
    assert ran.code == 0, shown
    assert mail.accepted.total() == len(PEOPLE)
    assert home.run(*send, "--yes", "--yes", "--dry-run").code == 0


def test_an_early_send_names_the_people_whom_it_gives_up(home: Home, world: World, mail: Catcher) -> None:
    """Who waits in a paused edition is given up by a new one: question and dry run say so, and how to send first."""
    send = ("edition", "send", "next", "--now")
    assert home.run("edition", "pause", "last").code == 0
    asked, dry = home.run(*send), home.run(*send, "--dry-run")
    given_up = (
        f"6 people have not been tried yet in the edition of {world.wrong.name}, and the new edition gives them up."
    )
    for shown in (asked.err, dry.out):
        assert given_up in shown
        assert f"`newsletter edition resume {world.wrong.name}`" in shown
    assert json.loads(home.run(*send, "--dry-run", "--json").out)["gives_up"] == {world.wrong.name: 6}
    assert home.run("edition", "resume", "last").code == 0
    assert home.run("edition", "send", "last").code == 0
    assert "gives them up" not in home.run(*send, "--dry-run").out


def test_a_retry_in_a_paused_edition_names_the_way_on(home: Home, world: World) -> None:
    """Nothing of a paused edition is sent: people put back into its queue wait for `resume`; the command says so."""
    rejected(world)
    assert home.run("edition", "pause", "last").code == 0
    out = home.run("edition", "retry", "last", "--rejected", "--yes").out
    assert f"tried again once the edition goes on: `newsletter edition resume {world.wrong.name}`" in out


def test_nobody_to_ask_about(home: Home, world: World) -> None:
    """What would change nothing asks nothing."""
    assert "has no mail to try again" in home.run("edition", "retry", "last", "--rejected").out
    assert "has no uncertain mail" in home.run("edition", "resolve", "last", "--resend").out

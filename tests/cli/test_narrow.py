"""What commands print on a terminal of 80 columns, where titles, addresses and reasons are long."""

from __future__ import annotations

import io
import re
import sys

import pytest

from newsletter.cli.layout import cells_of
from newsletter.cli.main import main
from newsletter.core.delivery import DeliveryState
from tests.cli.conftest import Home
from tests.cli.test_tip_commands import coming
from tests.conftest import SHIFTED
from tests.flows.follow_up_fixtures import World

TITLE = "A very long title about how to name the branches of a repository so that nobody wonders what they hold"
SLUG = "a-very-long-slug-about-how-to-name-the-branches-of-a-repository-so-that-nobody"
WORD = "w" * 78
"""A slug that cannot be folded at a hyphen."""

ADDRESS = "a.very.long.local.part.of.an.address.that.goes.on@a-department.of.a-university.example.com"
NAME = "Somebody with a rather long name of several parts, of Somewhere and Elsewhere upon a River"
REASON = "the whole office is at the fair in the other town and nobody is here to answer what people write back"
COMMANDS = [
    ("status",),
    ("log",),
    ("queue",),
    ("slot", "list"),
    ("tip", "list"),
    ("subscriber", "list"),
    ("subscriber", "show", ADDRESS),
    ("edition", "list"),
    ("delivery", "list"),
    ("doctor",),
]
TABLES = COMMANDS[1:6] + COMMANDS[7:9]
COLOUR = re.compile(r"\x1b\[[\d;]*m")


class Terminal(io.StringIO):
    """A terminal, as wide as COLUMNS says."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        """Say that it is one."""
        return True


@pytest.fixture
def lengthy(home: Home, world: World, monkeypatch: pytest.MonkeyPatch) -> Home:
    """Return a home in which everything has a long name, and an edition with every count there is."""
    for slug, title in ((SLUG, TITLE), (WORD, "日本語のとても長い見出しで端末の幅を二倍に使うもの")):
        file = f"---\ntitle: {title}\nslug: {slug}\nstatus: approved\n---\n\nOne idea.\n"
        assert home.run("tip", "add", "-", stdin=file).code == 0
    assert home.run("subscriber", "add", ADDRESS, "--name", NAME).code == 0
    assert home.run("slot", "skip", coming(home)[2], "--because", REASON).code == 0
    others = (DeliveryState.ACCEPTED, DeliveryState.REJECTED, DeliveryState.UNCERTAIN, DeliveryState.EXPIRED)
    for number, state in enumerate((*others, DeliveryState.SKIPPED)):
        world.settle(world.wrong, state, number)
    assert home.run("edition", "pause", "last", "--because", REASON).code == 0
    monkeypatch.setenv("COLUMNS", "80")
    return home


def on_a_terminal(home: Home, *words: str) -> list[str]:
    """Return the lines that a command shows on a terminal, without colours."""
    screen = Terminal()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["newsletter", "-C", str(home.folder), *words])
        patch.setattr(sys, "stdout", screen)
        with pytest.raises(SystemExit):
            main(SHIFTED)
    return COLOUR.sub("", screen.getvalue()).splitlines()


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_no_line_is_wider_than_the_terminal(lengthy: Home, words: tuple[str, ...]) -> None:
    """Only a single word that is longer than the room for it may be, so that it can be copied whole."""
    lines = on_a_terminal(lengthy, *words)
    assert lines
    wide = [line for line in lines if cells_of(line) > 80 and max(map(len, line.split())) < 40]
    assert wide == []


@pytest.mark.parametrize("words", TABLES, ids=" ".join)
def test_a_table_fits_whatever_is_in_it(lengthy: Home, words: tuple[str, ...]) -> None:
    """All its lines do, no column has become a tower of single letters, and nothing was cut off."""
    lines = on_a_terminal(lengthy, *words)
    assert max(map(cells_of, lines)) <= 80
    assert "…" not in "".join(lines)
    piped = lengthy.run(*words).out
    letters = [re.sub(r"[\s─]", "", text) for text in ("".join(lines), piped)]
    if words != ("edition", "list"):
        assert sorted(letters[0]) == sorted(letters[1])


def test_an_edition_list_with_every_count(lengthy: Home) -> None:
    """Where the columns have no room the counts are told in words; elsewhere each has its column."""
    shown = " ".join(" ".join(on_a_terminal(lengthy, "edition", "list")).split())
    for words in ("1 of 6", "1 rejected", "1 uncertain", "1 expired", "1 skipped", "1 open"):
        assert words in shown
    assert "accepted  rejected  uncertain  expired  skipped  open" in lengthy.run("edition", "list").out


@pytest.mark.parametrize(
    ("words", "whole"),
    [
        (("tip", "list"), (SLUG, TITLE, WORD)),
        (("subscriber", "list"), (ADDRESS, NAME)),
        (("subscriber", "show", ADDRESS), (ADDRESS, NAME)),
        (("slot", "list"), (REASON,)),
        (("log",), (SLUG, ADDRESS, REASON)),
        (("queue",), (SLUG, WORD, REASON)),
        (("status",), (REASON,)),
    ],
)
def test_nothing_is_folded_where_there_is_no_terminal(
    lengthy: Home, words: tuple[str, ...], whole: tuple[str, ...]
) -> None:
    """In a file or a pipe each value stands whole on its line, however narrow the window of the person is."""
    lines = lengthy.run(*words).out.splitlines()
    for value in whole:
        assert any(value in line for line in lines), value

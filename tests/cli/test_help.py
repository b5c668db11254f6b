"""The help of every command on a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command
from typer.testing import CliRunner

from newsletter.cli.main import COMPLETION_OPTIONS, app

SHORT_HELP_LENGTH_MAX = 59
TERMINAL_COLUMNS = 80


def _commands(
    command: object, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], TyperCommand | TyperGroup]]:
    assert isinstance(command, TyperCommand | TyperGroup)
    yield path, command
    if isinstance(command, TyperGroup):
        for name, child in command.commands.items():
            yield from _commands(child, (*path, name))


COMMANDS = dict(_commands(get_command(app)))


def _help(path: tuple[str, ...]) -> str:
    result = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": str(TERMINAL_COLUMNS)})
    assert result.exit_code == 0
    return result.output


@pytest.mark.parametrize("path", [path for path in COMMANDS if path], ids=" ".join)
def test_short_help_fits_the_list_of_commands(path: tuple[str, ...]) -> None:
    """The first sentence says what the command does and is shown whole in the list of its group."""
    short_help = COMMANDS[path].get_short_help_str(limit=1000)
    assert 0 < len(short_help) <= SHORT_HELP_LENGTH_MAX
    assert short_help in _help(path[:-1])


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_no_word_of_the_help_is_broken(path: tuple[str, ...]) -> None:
    """Each word of the texts of a command stands whole on a line, and no line is wider than the terminal."""
    output, command = _help(path), COMMANDS[path]
    words = set(output.split())
    texts = [command.help or ""]
    texts += [getattr(param, "help", None) or "" for param in command.params if param.name not in COMPLETION_OPTIONS]
    assert [word for text in texts for word in text.split() if word not in words] == []
    assert all(len(line) <= TERMINAL_COLUMNS for line in output.splitlines())

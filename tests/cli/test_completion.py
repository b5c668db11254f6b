"""Completion of commands and options in a shell."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Home

PROGRAM = Path(sys.executable).with_name("newsletter")


def _run(*words: str, **environ: str) -> str:
    result = subprocess.run(
        [PROGRAM, *words], env={**os.environ, **environ}, capture_output=True, text=True, check=True
    )
    return result.stdout


@pytest.mark.parametrize(
    ("typed", "completions"),
    [("newsletter ti", ["tip"]), ("newsletter tip p", ["pin", "preview"]), ("newsletter queue --js", ["--json"])],
)
def test_commands_and_options_complete_in_bash(typed: str, completions: list[str]) -> None:
    """The shell calls the program with the words so far, and gets the words that fit."""
    number = str(len(typed.split()) - 1)
    answer = _run(_NEWSLETTER_COMPLETE="complete_bash", COMP_WORDS=typed, COMP_CWORD=number)
    assert answer.split() == completions


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_script(shell: str) -> None:
    """The script names the program."""
    assert "newsletter" in _run(_NEWSLETTER_COMPLETE=f"source_{shell}")


def test_the_help_leaves_completion_out(home: Home) -> None:
    """The list of options has only what concerns the newsletter."""
    assert "completion" not in home.run("--help").out

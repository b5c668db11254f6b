"""What every command is handed: the home folder, the environment, and the application once it is needed."""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from newsletter.config import Settings
    from newsletter.wiring import Application


@dataclass(kw_only=True)
class State:
    """One run of the command line."""

    home: Path
    environ: Mapping[str, str] = field(repr=False)

    @cached_property
    def settings(self) -> Settings:
        """The settings; raises `InputError` with every mistake."""
        from newsletter.config import load_settings

        return load_settings(self.environ, self.home)

    @cached_property
    def app(self) -> Application:
        """The application; the database is opened when it is first used."""
        from newsletter.wiring import build

        return build(self.settings)

    @property
    def who(self) -> str:
        """The person at the terminal, for the log."""
        try:
            return getpass.getuser()
        except (KeyError, OSError):
            return "unknown"


def state(context: typer.Context) -> State:
    """Return what `cli/main.py` put there."""
    found = context.obj
    if not isinstance(found, State):
        raise TypeError(type(found))
    return found

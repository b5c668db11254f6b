"""What every command is handed: the home folder, the environment, and the application once it is needed."""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from newsletter.clock import Clock, SystemClock
from newsletter.errors import InputError

if TYPE_CHECKING:
    from newsletter.settings.model import Settings
    from newsletter.wiring import Application


@dataclass(kw_only=True)
class State:
    """One run of the command line."""

    home: Path
    environ: Mapping[str, str] = field(repr=False)
    clock: Clock = field(default_factory=SystemClock, repr=False)

    @cached_property
    def settings(self) -> Settings:
        """The settings; raises `InputError` with every mistake, or with the one that nothing was set up here."""
        from newsletter.cli.paths import check_home
        from newsletter.settings.loader import load_settings

        check_home(self.home)
        try:
            return load_settings(self.environ, self.home)
        except InputError as error:
            names = {name for name in self.environ if name.startswith("NEWSLETTER_")} - {"NEWSLETTER_HOME"}
            if names or (self.home / ".env").exists():
                raise
            # In the wrong folder there is nothing to fill in; a list of settings would mislead.
            message = f"There is no .env in {self.home}: go to the folder of the newsletter, or run `newsletter init`."
            raise InputError(message) from error

    @cached_property
    def app(self) -> Application:
        """The application; the database is opened when it is first used."""
        from newsletter.wiring import build

        return build(self.settings, clock=self.clock)

    @property
    def who(self) -> str:
        """The person at the terminal, for the log."""
        try:
            return getpass.getuser()
        except (KeyError, OSError):
            return "unknown"


def state(context: typer.Context) -> State:
    """Return what `cli/main.py` put there."""
    value = context.obj
    if not isinstance(value, State):
        raise TypeError(type(value))
    return value

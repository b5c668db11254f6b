"""What the settings page shows, as values: it is the command line that knows settings and checks.

In: functions of the command that serves the pages. Out: rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingRow:
    """One setting in effect."""

    name: str
    value: str
    """As it is written; of a secret only whether it is set."""
    source: str
    """`environment`, `.env`, `file`, `default`, or the setting that it follows from."""
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRow:
    """One finding of `newsletter doctor`."""

    level: str
    """`ok`, `warn` or `fail`."""
    about: str
    text: str
    todo: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminTools:
    """What the command that serves the pages adds to them."""

    settings: Callable[[], Sequence[SettingRow]]
    doctor: Callable[[], Sequence[CheckRow]]
    """It logs in at the mail server, so it may take some seconds; it changes and sends nothing."""

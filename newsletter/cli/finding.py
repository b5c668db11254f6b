"""What `newsletter doctor` finds: one line for each thing it looked at, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How a thing stands."""

    OK = "ok"
    WARN = "warn"
    """It works, and a person should know something."""
    FAIL = "fail"
    """Mail would not go out, or go out wrongly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line."""

    level: Level
    about: str
    """A word or two: `settings`, `mail server` …"""
    text: str
    todo: str = ""
    """What to do; empty when nothing is to be done."""


def ok(about: str, text: str) -> Finding:
    """Say that a thing is well."""
    return Finding(level=Level.OK, about=about, text=text)


def warn(about: str, text: str, todo: str = "") -> Finding:
    """Say what a person should know."""
    return Finding(level=Level.WARN, about=about, text=text, todo=todo)


def fail(about: str, text: str, todo: str = "") -> Finding:
    """Say what keeps mail from going out."""
    return Finding(level=Level.FAIL, about=about, text=text, todo=todo)

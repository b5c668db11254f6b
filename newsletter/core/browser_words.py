"""A browser in words: `Firefox on Linux`, by which a person recognises their own sessions.

In: the value of `User-Agent`. Out: a name from a fixed list, so that nothing of what a stranger sends is ever shown.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

UNKNOWN_BROWSER = "an unknown browser"

# The order matters: Edge and Opera name Chrome too, and Chrome names Safari.
_BROWSERS: Sequence[tuple[str, re.Pattern[str]]] = [
    ("Edge", re.compile(r"Edg(?:e|A|iOS)?/")),
    ("Opera", re.compile(r"OPR/|Opera")),
    ("Samsung Internet", re.compile(r"SamsungBrowser/")),
    ("Firefox", re.compile(r"Firefox/|FxiOS/")),
    ("Chrome", re.compile(r"Chrome/|CriOS/|Chromium/")),
    ("Safari", re.compile(r"Safari/")),
]
_SYSTEMS: Sequence[tuple[str, re.Pattern[str]]] = [
    ("an iPhone", re.compile(r"iPhone")),
    ("an iPad", re.compile(r"iPad")),
    ("Android", re.compile(r"Android")),
    ("ChromeOS", re.compile(r"CrOS")),
    ("Windows", re.compile(r"Windows")),
    ("macOS", re.compile(r"Mac OS X|Macintosh")),
    ("Linux", re.compile(r"Linux|X11")),
]


def browser_words(user_agent: str) -> str:
    """Return the name of a browser and its system."""
    browser = _first(_BROWSERS, user_agent)
    system = _first(_SYSTEMS, user_agent)
    if not browser:
        return UNKNOWN_BROWSER
    return f"{browser} on {system}" if system else browser


def _first(names: Sequence[tuple[str, re.Pattern[str]]], text: str) -> str:
    return next((name for name, pattern in names if pattern.search(text)), "")

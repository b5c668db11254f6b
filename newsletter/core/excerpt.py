"""The beginning of a text as a list shows it, and how long the whole takes to read.

In: plain text. Out: its first words, cut at a word, and minutes.
"""

from __future__ import annotations

EXCERPT_WORDS_MAX = 55
WORDS_PER_MINUTE = 230
"""Silent reading of English non-fiction: 238 words a minute on average (Brysbaert 2019, a review of 190 studies)."""


def excerpt(text: str, *, words_max: int = EXCERPT_WORDS_MAX) -> str:
    """Return the first words of a text on one line, with an ellipsis where there are more."""
    words = text.split(maxsplit=words_max)
    if len(words) <= words_max:
        return " ".join(words)
    return " ".join(words[:words_max]).rstrip(" ,;:-") + " …"


def reading_minutes(text: str) -> int:
    """Return how many minutes a text takes to read, at least one."""
    return max(1, round(len(text.split()) / WORDS_PER_MINUTE))

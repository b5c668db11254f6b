"""What a person typed into the search, as words and phrases: never a query language.

In: any text. Out: phrases of words, which the store quotes for its database. Signs part words and mean nothing else, so
that `AND`, `*` and `NEAR(` are words or nothing.
"""

from __future__ import annotations

import re

QUERY_LENGTH_MAX = 200
"""Characters of a query that are read."""
PHRASES_MAX = 8
WORD_LENGTH_MAX = 40

_PHRASE = re.compile(r'["“”„«»]([^"“”„«»]*)["“”„«»]?|([^"“”„«»]+)')
_WORD = re.compile(r"[^\W_]+")

Phrase = tuple[str, ...]
"""Words that follow each other; most phrases have one word."""


def search_phrases(text: str) -> tuple[Phrase, ...]:
    """Return the words of a query, and its phrases in quotation marks; none for a query of nothing but signs."""
    phrases: list[Phrase] = []
    for match in _PHRASE.finditer(text[:QUERY_LENGTH_MAX]):
        quoted, bare = match.groups()
        if quoted is not None:
            phrases.append(_words(quoted))
        else:
            phrases += [(word,) for word in _words(bare)]
    return tuple(dict.fromkeys(phrase for phrase in phrases if phrase))[:PHRASES_MAX]


def _words(text: str) -> Phrase:
    return tuple(word[:WORD_LENGTH_MAX] for word in _WORD.findall(text))

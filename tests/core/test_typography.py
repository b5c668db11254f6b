# ruff: noqa: RUF001 - typographic signs are what is tested.
"""Typographic signs: what a typesetter would set, and what stays as it was typed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.core.typography import quotation_marks, typographic, typographic_pieces

ENGLISH = quotation_marks("en")

SET = {
    'He said "yes".': "He said “yes”.",
    "'Twas the '90s, wasn't it?": "’Twas the ’90s, wasn’t it?",
    "the students' and the boss's 'best' work": "the students’ and the boss’s ‘best’ work",
    "\"She said 'no' twice\"": "“She said ‘no’ twice”",
    "('a') [\"b\"]": "(‘a’) [“b”]",
    "a -- b, a--b, a---b": "a – b, a–b, a—b",
    "10--12 o'clock": "10–12 o’clock",
    "wait... what": "wait… what",
    '"and on\nthe next line"': "“and on\nthe next line”",
    'An open "quote goes on': "An open “quote goes on",
}  # fmt: skip


@pytest.mark.parametrize("typed", SET)
def test_english(typed: str) -> None:
    """Quotes, apostrophes, dashes and ellipses."""
    assert typographic(typed, ENGLISH) == SET[typed]


@pytest.mark.parametrize(
    "typed",
    [
        "run it with --yes, not -y",
        '5\' 10" and 6" x 4"',
        "https://example.com/it's--a...b",
        "ann--x@example.com",
        "C:\\temp\\it's",
        "../../x and .../y",
        "a - b, well-known, ----",
        "“so” – it’s…",
    ],
)
def test_what_is_no_typists_sign_stays(typed: str) -> None:
    """Options, inches, addresses, paths, hyphens, rules and what is typographic already."""
    assert typographic(typed, ENGLISH) == typed


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("en-GB", "“a ‘b’ c” isn’t"),
        ("de", "„a ‚b‘ c“ isn’t"),
        ("de-CH", "«a ‹b› c» isn’t"),
        ("fr", "«\u00a0a “b” c\u00a0» isn’t"),
        ("es", "«a “b” c» isn’t"),
        ("nl", "“a ‘b’ c” isn’t"),
        ("sv", "”a ’b’ c” isn’t"),
        ("xx", "“a ‘b’ c” isn’t"),
    ],
)
def test_languages(language: str, expected: str) -> None:
    """Each language has its own marks; a language that is not known has those of English."""
    assert typographic("\"a 'b' c\" isn't", quotation_marks(language)) == expected


def test_a_quotation_goes_over_markup_and_round_code() -> None:
    """Pieces of one paragraph belong together; what must not change is None and stays None."""
    pieces = ['He said "', "very", ' well" and ', None, '--"', None, '"']
    assert typographic_pieces(pieces, ENGLISH) == ["He said “", "very", " well” and ", None, "–“", None, "”"]


@given(st.lists(st.one_of(st.none(), st.text(st.sampled_from("ab \"'-.\\/@\n"), max_size=12)), max_size=6))
def test_nothing_but_signs_changes(pieces: list[str | None]) -> None:
    """As many pieces come out, and they differ in quotes, hyphens and dots only."""
    result = typographic_pieces(pieces, ENGLISH)
    assert [piece is None for piece in result] == [piece is None for piece in pieces]
    for before, after in zip(pieces, result, strict=True):
        if before is not None and after is not None:
            assert [c for c in after if c.isalpha()] == [c for c in before if c.isalpha()]
            assert typographic(after, ENGLISH).count("\n") == before.count("\n")

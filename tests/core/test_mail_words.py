"""The words of the frame of a mail, in every language that has some."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date

import pytest

from newsletter.core.mail_words import LANGUAGES, date_words, mail_words

DAY = date(2026, 11, 24)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_is_whole(language: str) -> None:
    """No word is missing, the places are there, twelve months are different, and every day can be written."""
    words = mail_words(language)
    assert all(asdict(words).values())
    assert "{email}" in words.reason
    assert words.part.format(part=2, parts=3).count("2") == words.part.format(part=2, parts=3).count("3") == 1
    assert len(set(words.months.split())) == 12
    written = {date_words(date(2026, month, day), language) for month in range(1, 13) for day in (1, 2, 28)}
    assert len(written) == 36
    assert all("2026" in words and "{" not in words for words in written)


def test_the_languages_that_the_manual_names_are_there() -> None:
    """English, German, French, Spanish, Dutch, Italian and Portuguese."""
    assert set(LANGUAGES) == {"en", "de", "fr", "es", "nl", "it", "pt"}
    assert len({mail_words(language).reason for language in LANGUAGES}) == len(LANGUAGES)


@pytest.mark.parametrize(
    ("language", "written"),
    [
        ("en", "November 24, 2026"),
        ("en-US", "November 24, 2026"),
        ("en-GB", "24 November 2026"),
        ("de-AT", "24. November 2026"),
        ("FR", "24 novembre 2026"),
        ("es-MX", "24 de noviembre de 2026"),
        ("nl", "24 november 2026"),
        ("pt-BR", "24 de novembro de 2026"),
        ("ja", "2026-11-24"),
    ],
)
def test_a_date_in_words(language: str, written: str) -> None:
    """The language decides on order and months; digits stand where its words are not known."""
    assert date_words(DAY, language) == written


def test_the_first_of_a_month_in_french() -> None:
    """It is an ordinal there."""
    assert date_words(date(2026, 12, 1), "fr") == "1er décembre 2026"


def test_another_language_has_english_words() -> None:
    """A mail without words would be worse."""
    assert mail_words("ja") == mail_words("en")

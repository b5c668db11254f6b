"""What becomes of a tip, and the names it answers to."""

from __future__ import annotations

import re
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.core.tip import (
    SLUG_LIMIT,
    Season,
    Tip,
    TipId,
    TipStatus,
    approve,
    draft_of,
    resolve_slug,
    retire,
    slug_from,
)
from newsletter.core.tip_file import parse_tip_file, render_tip_file
from newsletter.errors import InputError


def a_tip(status: TipStatus, *, evergreen: bool = False, pin: date | None = None) -> Tip:
    """Return a stored tip in this state."""
    return Tip(
        id=TipId(1),
        slug="answer-with-a-date",
        title="Answer with a date",
        subject="Answer with a date",
        evergreen=evergreen,
        pin=pin,
        status=status,
        body="Say when.",
        position=1,
    )


@pytest.mark.parametrize("status", [TipStatus.DRAFT, TipStatus.APPROVED, TipStatus.RETIRED])
def test_a_tip_that_was_never_sent_can_be_approved(status: TipStatus) -> None:
    """Drafts, approved and retired tips all come back approved, with nothing else changed."""
    assert approve(a_tip(status)) == a_tip(TipStatus.APPROVED)


def test_a_sent_tip_is_not_approved_again() -> None:
    """Readers do not get the same tip twice because of one word on a command line."""
    with pytest.raises(InputError, match="was sent already"):
        approve(a_tip(TipStatus.SENT))


def test_a_retired_tip_that_was_sent_is_not_approved_again() -> None:
    """Retiring a tip does not wipe out that it was sent."""
    with pytest.raises(InputError, match="was sent already"):
        approve(a_tip(TipStatus.RETIRED), was_sent=True)


def test_a_sent_evergreen_can_be_approved_again() -> None:
    """An evergreen may be sent again, so it may be approved again."""
    assert approve(a_tip(TipStatus.SENT, evergreen=True)).status is TipStatus.APPROVED


def test_retiring_frees_the_date_of_a_pin() -> None:
    """A retired tip does not hold a date that another one could have."""
    retired = retire(a_tip(TipStatus.APPROVED, pin=date(2026, 12, 22)))
    assert (retired.status, retired.pin) == (TipStatus.RETIRED, None)


def test_retiring_twice_changes_nothing() -> None:
    """A tip that is retired already comes back as it was."""
    tip = a_tip(TipStatus.RETIRED)
    assert retire(tip) is tip


def test_a_sent_tip_has_nothing_to_retire() -> None:
    """Retiring what will not be sent anyway is told to be a mistake."""
    with pytest.raises(InputError, match="nothing to retire"):
        retire(a_tip(TipStatus.SENT))
    assert retire(a_tip(TipStatus.SENT, evergreen=True)).status is TipStatus.RETIRED


@pytest.mark.parametrize(
    ("status", "message"),
    [("draft", "draft"), ("approved", "approved"), ("sent", "approved"), ("retired", "draft")],
)
def test_the_file_of_any_stored_tip_can_be_read_again(status: str, message: str) -> None:
    """Editing a stored tip begins with a file that has no faults, whatever became of the tip."""
    draft = draft_of(a_tip(TipStatus(status)))
    assert draft.status == message
    assert parse_tip_file(render_tip_file(draft), file_name="edit.md") == draft


def test_a_season_is_written_as_a_tip_file_says_it() -> None:
    """Months and days have two digits each, so that a written season can be read again."""
    assert str(Season(first=(11, 15), last=(1, 6))) == "11-15..01-06"


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("Answer with a date", "answer-with-a-date"),
        ("Don\u2019t say “no” \u2013 say when", "dont-say-no-say-when"),
        ("Überraschung: Größe & Façade!", "uberraschung-grosse-and-facade"),
        ("日本語", ""),
    ],
)
def test_a_slug_comes_from_the_title(title: str, slug: str) -> None:
    """Accents, quotes and dashes leave no trace in a slug."""
    assert slug_from(title) == slug


def test_a_long_slug_ends_with_a_whole_word() -> None:
    """A slug is cut between two words, not within one."""
    assert slug_from("customer " * 20) == "-".join(["customer"] * 9)
    assert slug_from("x" * 200) == "x" * SLUG_LIMIT


@given(st.text())
def test_a_slug_is_always_safe(title: str) -> None:
    """Whatever the title, its slug is ASCII words joined by hyphens, of bounded length, and its own slug."""
    slug = slug_from(title)
    assert re.fullmatch(r"([a-z0-9]+(-[a-z0-9]+)*)?", slug)
    assert len(slug) <= SLUG_LIMIT
    assert slug_from(slug) == slug


SLUGS = ["answer", "answer-with-a-date", "begin-with-thanks", "begin-with-the-end", "close-the-loop"]


@pytest.mark.parametrize(
    ("text", "slug"),
    [("answer", "answer"), ("answer-w", "answer-with-a-date"), (" CLOSE ", "close-the-loop")],
)
def test_a_tip_answers_to_the_beginning_of_its_name(text: str, slug: str) -> None:
    """The whole name wins over a longer one; a beginning will do when only one tip has it."""
    assert resolve_slug(SLUGS, text) == slug


def test_an_ambiguous_beginning_lists_the_candidates() -> None:
    """Nobody has to guess which tips begin like that."""
    with pytest.raises(InputError, match="2 tips") as caught:
        resolve_slug(SLUGS, "begin")
    assert caught.value.details == ("begin-with-thanks", "begin-with-the-end")


def test_no_more_than_five_candidates_are_listed() -> None:
    """A very short beginning does not fill the screen."""
    with pytest.raises(InputError) as caught:
        resolve_slug([f"tip-{n}" for n in range(9)], "t")
    assert caught.value.details == ("tip-0", "tip-1", "tip-2", "tip-3", "tip-4", "and 4 more")


def test_a_slip_of_the_keyboard_names_what_looks_alike() -> None:
    """A misspelt name is answered with the likely one."""
    with pytest.raises(InputError, match="did you mean") as caught:
        resolve_slug(SLUGS, "close-teh-loop")
    assert caught.value.details[0] == "close-the-loop"


@pytest.mark.parametrize("text", ["", "  ", "zzz"])
def test_a_name_like_no_other_points_to_the_list(text: str) -> None:
    """An empty name is not taken for the beginning of every name."""
    with pytest.raises(InputError, match="newsletter tip list"):
        resolve_slug(SLUGS, text)

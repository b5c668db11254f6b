"""What a changed file makes of a stored tip, by import and by edit."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from newsletter.core.tip import Tip, TipDraft, TipId, TipStatus, draft_of
from newsletter.core.tip_revision import edited, imported, same_words
from newsletter.errors import InputError

PIN = date(2026, 12, 22)
DRAFT = TipDraft(slug="a", title="A", subject="A", body="One.")
TIP = Tip(id=TipId(1), slug="a", title="A", subject="A", body="One.", status=TipStatus.DRAFT, position=7)


@pytest.mark.parametrize("status", TipStatus)
def test_a_file_that_says_draft_changes_no_status_by_import(status: TipStatus) -> None:
    """Every file says draft unless told otherwise, so that word is no wish."""
    assert imported(replace(TIP, status=status), DRAFT).status is status


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        (TipStatus.DRAFT, TipStatus.APPROVED),
        (TipStatus.APPROVED, TipStatus.APPROVED),
        (TipStatus.SENT, TipStatus.APPROVED),
        (TipStatus.RETIRED, TipStatus.RETIRED),
    ],
)
def test_a_file_that_says_approved_approves_what_is_not_retired(was: TipStatus, becomes: TipStatus) -> None:
    """What a person took out comes back by her own word only."""
    assert imported(replace(TIP, status=was), replace(DRAFT, status=TipStatus.APPROVED)).status is becomes


def test_an_import_keeps_place_and_id() -> None:
    """Only what a file can say is taken from it."""
    after = imported(TIP, replace(DRAFT, title="B", tags=("x",), body="Two."))
    assert after == replace(TIP, title="B", tags=("x",), body="Two.")


def test_an_import_sets_a_pin_but_none_that_has_done_its_work() -> None:
    """The pin of an edition that went out would strand the tip; a file without one leaves the pin alone."""
    pinned = replace(DRAFT, pin=PIN)
    assert imported(TIP, pinned).pin == PIN
    assert imported(TIP, pinned, sent_on={PIN}).pin is None
    assert imported(replace(TIP, pin=PIN), DRAFT).pin == PIN


@pytest.mark.parametrize("status", TipStatus)
def test_an_edit_that_changes_nothing_changes_nothing(status: TipStatus) -> None:
    """The file that the editor opens, saved as it is, gives the same tip in each state."""
    tip = replace(TIP, status=status, pin=PIN if status is TipStatus.APPROVED else None)
    assert edited(tip, draft_of(tip), was_sent=status is TipStatus.SENT) == tip


def test_an_edit_can_take_an_approval_back_and_approve_a_retired_tip() -> None:
    """The editor shows the status, so what it says is meant."""
    assert edited(replace(TIP, status=TipStatus.APPROVED), DRAFT).status is TipStatus.DRAFT
    approved = replace(DRAFT, status=TipStatus.APPROVED)
    assert edited(replace(TIP, status=TipStatus.RETIRED), approved).status is TipStatus.APPROVED
    with pytest.raises(InputError, match="was sent already"):
        edited(replace(TIP, status=TipStatus.RETIRED), approved, was_sent=True)


def test_same_words_looks_at_words_only() -> None:
    """Status and pin are what became of a tip, not what it says."""
    assert same_words(replace(TIP, status=TipStatus.SENT, pin=PIN), DRAFT)
    assert not same_words(TIP, replace(DRAFT, body="Two."))

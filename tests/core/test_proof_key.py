"""What a proof stands for, and what a new one changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.core.cadence import Slot, SlotState
from newsletter.core.lineup import Choice, Source
from newsletter.core.proof import Change, ProofKey, change_since, needs_proof, proof_key
from newsletter.core.series import SeriesPlace
from newsletter.core.tip import Tip, TipId, TipStatus

AT = datetime(2026, 11, 24, 14, tzinfo=UTC)
TIP = Tip(id=TipId(7), slug="a-tip", title="A tip", subject="A tip", status=TipStatus.APPROVED, body="x", position=1)
SLOT = Slot(date=date(2026, 11, 24), sends_at=AT)
CHOICE = Choice(slot=SLOT, tip=TIP, source=Source.QUEUE, why="next in the queue (1st of 2)")
EMPTY = replace(CHOICE, tip=None, source=Source.NONE, why="the queue is empty")
SKIPPED = replace(EMPTY, slot=replace(SLOT, state=SlotState.SKIPPED), source=Source.SKIPPED)
FIRST = proof_key(CHOICE, "context", None)


@pytest.mark.parametrize(
    ("choice", "render_context", "change"),
    [
        (CHOICE, "context", Change.NOTHING),
        (replace(CHOICE, why="next in the queue (1st of 9)"), "context", Change.NOTHING),
        (replace(CHOICE, tip=replace(TIP, position=5, pin=SLOT.date)), "context", Change.NOTHING),
        (replace(CHOICE, tip=replace(TIP, id=TipId(8))), "context", Change.TIP),
        (replace(CHOICE, tip=replace(TIP, body="y")), "context", Change.EDITED),
        (replace(CHOICE, tip=replace(TIP, preheader="y")), "context", Change.EDITED),
        (CHOICE, "other templates", Change.EDITED),
        (replace(CHOICE, slot=replace(SLOT, sends_at=AT + timedelta(hours=1))), "context", Change.TIME),
        (SKIPPED, "context", Change.SKIPPED),
        (EMPTY, "context", Change.EMPTY),
    ],
)
def test_what_changes_the_mail_changes_the_proof(choice: Choice, render_context: str, change: Change) -> None:
    """Tip, words, hour, templates and skipping count; a place in the queue and a pin do not."""
    assert change_since(FIRST, proof_key(choice, render_context, FIRST)) is change


def test_a_first_proof_needs_a_tip() -> None:
    """A date that is skipped or empty before anybody saw a proof needs none."""
    assert change_since(None, FIRST) is Change.FIRST
    assert change_since(None, proof_key(SKIPPED, "context", None)) is Change.NOTHING
    assert change_since(None, proof_key(EMPTY, "context", None)) is Change.NOTHING


def test_a_date_that_comes_back_is_proofed_again() -> None:
    """After a skip was taken back the same tip is another proof."""
    gone = proof_key(SKIPPED, "context", FIRST)
    back = proof_key(CHOICE, "context", gone)
    assert change_since(gone, back) is Change.TIP
    assert back != FIRST
    assert change_since(gone, proof_key(SKIPPED, "context", gone)) is Change.NOTHING


def test_a_key_is_read_back() -> None:
    """What is stored with a notice gives the key again."""
    for key in (FIRST, proof_key(EMPTY, "context", FIRST)):
        assert ProofKey.parse(str(key)) == key


@given(st.text())
def test_another_text_is_no_key(text: str) -> None:
    """Whatever a row holds is read without an exception."""
    assert ProofKey.parse(text) is None


@pytest.mark.parametrize(("hours", "due"), [(24.1, False), (24, True), (0.1, True), (0, False), (-3, False)])
def test_a_proof_is_due_a_day_ahead(hours: float, due: bool) -> None:  # noqa: FBT001 - by name
    """From 24 hours before its time until its time."""
    assert needs_proof(SLOT, now=AT - timedelta(hours=hours)) is due


def test_another_number_of_parts_is_an_edited_mail() -> None:
    """The mail says “Part 1 of 3”, so a part that is added changes it."""
    place = SeriesPlace(part=1, parts=2)
    shown = proof_key(CHOICE, "context", None, place)
    assert change_since(shown, proof_key(CHOICE, "context", shown, place)) is Change.NOTHING
    assert change_since(shown, proof_key(CHOICE, "context", shown, replace(place, parts=3))) is Change.EDITED

"""Tips in the store: what was written is read back, and the queue keeps its order."""

from __future__ import annotations

import random
from dataclasses import fields, replace
from datetime import date

import pytest
from sqlalchemy.exc import IntegrityError

from newsletter.core.tip import Season, TipDraft, TipId, TipPart, TipStatus
from newsletter.store import tip as tips
from newsletter.store.unit import Unit
from newsletter.testing.clocks import START

FULL = TipDraft(
    slug="full",
    title="Title “quoted”",
    subject="Subject for {{ first_name|you }}",
    preheader="Before",
    author="The desk",
    tags=("writing", "ünicode"),
    evergreen=True,
    season=Season(first=(11, 15), last=(1, 6)),
    pin=date(2026, 12, 22),
    part=TipPart(series="talks", number=2),
    first_published=date(2020, 2, 29),
    listed=False,
    status=TipStatus.APPROVED,
    body="# Heading\n\nText with “signs” 🎉",
)


def draft(slug: str) -> TipDraft:
    """Return a tip of few words."""
    return TipDraft(slug=slug, title=slug, subject=slug, body="Text.")


def add(unit: Unit, *slugs: str) -> None:
    """Add tips in this order."""
    with unit.write() as tx:
        for slug in slugs:
            tips.add(tx, draft(slug), now=START)


def order(unit: Unit) -> list[str]:
    """Return the queue."""
    with unit.read() as tx:
        return [tip.slug for tip in tips.all_tips(tx)]


def test_every_part_of_a_tip_is_kept(unit: Unit) -> None:
    """What a file said comes back word by word, whatever its signs."""
    with unit.write() as tx:
        added = tips.add(tx, FULL, now=START)
    with unit.read() as tx:
        stored_tip = tips.by_slug(tx, "full")
        assert stored_tip == added == tips.by_id(tx, added.id) == tips.pinned_to(tx, date(2026, 12, 22))
    names = [field.name for field in fields(FULL) if field.name != "body_line"]
    assert {name: getattr(stored_tip, name) for name in names} == {name: getattr(FULL, name) for name in names}


def test_what_is_not_there_is_none(unit: Unit) -> None:
    """An unknown name, id or date is no error."""
    with unit.read() as tx:
        stored_tip = (tips.by_slug(tx, "a"), tips.by_id(tx, TipId(1)), tips.pinned_to(tx, date(2026, 12, 22)))
    assert stored_tip == (None, None, None)


def test_saving_keeps_the_place(unit: Unit) -> None:
    """New words, a new status and a new pin leave the queue as it was."""
    add(unit, "a", "b")
    with unit.write() as tx:
        known = tips.by_slug(tx, "a")
        assert known is not None
        saved = tips.save(tx, known, replace(draft("z"), body="Other."), now=START)
        approved = tips.set_status(tx, saved, TipStatus.APPROVED, now=START)
        pinned = tips.set_pin(tx, approved, date(2026, 12, 22), now=START)
        assert tips.by_id(tx, known.id) == pinned
    assert (pinned.body, pinned.status, pinned.position) == ("Other.", TipStatus.APPROVED, known.position)
    assert order(unit) == ["z", "b"]


@pytest.mark.parametrize("twin", [draft("full"), replace(draft("other"), pin=FULL.pin)])
def test_a_name_and_a_date_belong_to_one_tip(unit: Unit, twin: TipDraft) -> None:
    """The database refuses a second one, whoever forgot to ask."""
    with unit.write() as tx:
        tips.add(tx, FULL, now=START)
    with pytest.raises(IntegrityError), unit.write() as tx:
        tips.add(tx, twin, now=START)
    assert order(unit) == ["full"]


def test_the_queue_is_what_moves_made_of_it(unit: Unit) -> None:
    """After two hundred moves the order is that of a list moved likewise, and no two tips share a place."""
    names = [f"tip-{number}" for number in range(6)]
    add(unit, *names)
    chance = random.Random(7)
    with unit.write() as tx:
        for _ in range(200):
            by_name = {tip.slug: tip for tip in tips.all_tips(tx)}
            moved, other = chance.sample(names, 2)
            before = other if chance.random() < 0.8 else None
            names.remove(moved)
            names.insert(len(names) if before is None else names.index(before), moved)
            tips.place(tx, by_name[moved], before=by_name[before] if before else None, now=START)
            assert [tip.slug for tip in tips.all_tips(tx)] == names
        places = [tip.position for tip in tips.all_tips(tx)]
    assert len(set(places)) == len(names)


def test_the_same_gap_can_be_used_again_and_again(unit: Unit) -> None:
    """Thirty moves to the front halve the room between two places thirty times; the queue makes new room in time."""
    add(unit, "a", "b", "c")
    for round_ in range(30):
        with unit.write() as tx:
            queue = tips.all_tips(tx)
            tips.place(tx, queue[-1], before=queue[0], now=START)
        assert order(unit) == [["c", "a", "b"], ["b", "c", "a"], ["a", "b", "c"]][round_ % 3]

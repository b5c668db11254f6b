"""What the watch finds wrong."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from newsletter.core.alert import AlertKind
from newsletter.core.cadence import Slot, SlotState
from newsletter.core.edition import EditionStatus
from newsletter.core.forecast import Stock
from newsletter.core.lineup import Choice, Source
from newsletter.core.monitor import Space, View, says_report, says_sending, troubles
from newsletter.core.tip import Tip, TipId, TipStatus
from tests.core.edition_samples import edition_of

NOW = datetime(2026, 11, 23, 14, tzinfo=UTC)
TIP = Tip(id=TipId(1), slug="a-tip", title="A tip", subject="A tip", status=TipStatus.APPROVED, body="x", position=1)
MB = 1024**2
VIEW = View(
    now=NOW,
    zone="UTC",
    first_tick_at=NOW - timedelta(days=9),
    watching_since=NOW - timedelta(days=1),
    stock=Stock(fresh=5),
    low_stock_weeks=4,
    audience=3,
)


def choice(hours: float, tip: Tip | None = None, state: SlotState = SlotState.OPEN) -> Choice:
    """Return a slot so many hours from now."""
    slot = Slot(date=date(2026, 11, 24), sends_at=NOW + timedelta(hours=hours), state=state)
    source = Source.QUEUE if tip else Source.NONE
    return Choice(slot=slot, tip=tip, source=source, why="the queue is empty" if tip is None else "next")


def kinds(view: View) -> list[AlertKind]:
    """Return what is found."""
    return [one.kind for one in troubles(view)]


def test_all_is_well() -> None:
    """With tips, people, room and signs of life there is nothing to say."""
    beats = {AlertKind.SENDER_SILENT: NOW - timedelta(minutes=9)}
    view = replace(VIEW, choices=[choice(24, TIP)], beats=beats, space=Space(free=600 * MB, total=1000 * MB))
    assert troubles(view) == []


@pytest.mark.parametrize(
    ("stock", "expected", "low"),
    [(4, False, False), (3, False, True), (4, True, True), (5, True, False), (0, False, True)],
)
def test_low_stock_has_two_lines(stock: int, expected: bool, low: bool) -> None:  # noqa: FBT001 - by name
    """It is low below the line, and enough again only a week above it."""
    assert kinds(replace(VIEW, stock=Stock(fresh=stock, evergreen=16), stock_is_low=expected)) == (
        [AlertKind.LOW_STOCK] if low else []
    )


def test_stock_is_not_judged_where_nobody_asks() -> None:
    """NEWSLETTER_LOW_STOCK_WEEKS=0 wants no warning, and the first hour is for filling the queue."""
    assert kinds(replace(VIEW, stock=Stock(), low_stock_weeks=0)) == []
    assert kinds(replace(VIEW, stock=Stock(), first_tick_at=NOW - timedelta(minutes=59), choices=[choice(24)])) == []


@pytest.mark.parametrize(("hours", "findings"), [(47, 1), (48, 1), (49, 0), (0, 0), (-1, 0)])
def test_an_empty_date_is_an_alert_two_days_ahead(hours: float, findings: int) -> None:
    """Not earlier, and not once its time has come."""
    assert kinds(replace(VIEW, choices=[choice(hours)])) == [AlertKind.EMPTY_AHEAD] * findings


def test_a_skipped_date_is_not_empty() -> None:
    """What is skipped on purpose needs nobody."""
    assert kinds(replace(VIEW, choices=[choice(24, state=SlotState.SKIPPED)])) == []


def test_a_list_without_people_is_reported_too() -> None:
    """A tip alone is no mail."""
    (trouble,) = troubles(replace(VIEW, choices=[choice(24, TIP)], audience=0))
    assert trouble.kind is AlertKind.EMPTY_AHEAD
    assert "no subscriber is active" in trouble.message


@pytest.mark.parametrize(
    ("ago", "watched", "silent"), [(600, 3600, True), (599, 3600, False), (3600, 599, False), (None, 600, True)]
)
def test_silence_counts_from_when_somebody_listened(
    ago: int | None,
    watched: int,
    silent: bool,  # noqa: FBT001 - by name
) -> None:
    """A part is silent after ten minutes in which it could have been heard."""
    beat = None if ago is None else NOW - timedelta(seconds=ago)
    view = replace(VIEW, beats={AlertKind.SCHEDULER_SILENT: beat}, watching_since=NOW - timedelta(seconds=watched))
    assert kinds(view) == ([AlertKind.SCHEDULER_SILENT] if silent else [])


@pytest.mark.parametrize(
    ("free", "total", "short"),
    [(499, 1000, True), (500, 1000, False), (4_999, 100_000, True), (5_000, 100_000, False), (0, 0, False)],
)
def test_a_disk_is_nearly_full_in_bytes_or_in_share(free: int, total: int, short: bool) -> None:  # noqa: FBT001
    """Under 500 MB or under 5 % is too little; what has no size is not judged."""
    view = replace(VIEW, space=Space(free=free * MB, total=total * MB))
    assert kinds(view) == ([AlertKind.DISK] if short else [])


def test_the_room_on_a_disk_is_told_as_of_the_beginning() -> None:
    """The text of an alert stays while it stands, so that it claims nothing of the present."""
    (trouble,) = troubles(replace(VIEW, space=Space(free=4 * MB, total=400 * MB)))
    assert "is nearly full: 4 MB were free, 1.0 % of it, when this was noticed." in trouble.message


EDITION = edition_of(3, started_at=NOW)


def test_only_a_slow_edition_is_reported_while_it_goes() -> None:
    """Five minutes after it began, if anybody still waits and nobody has paused it."""
    soon, later = NOW + timedelta(minutes=4), NOW + timedelta(minutes=5)
    assert not says_sending(EDITION, waiting=True, now=soon)
    assert says_sending(EDITION, waiting=True, now=later)
    assert not says_sending(EDITION, waiting=False, now=later)
    assert not says_sending(replace(EDITION, status=EditionStatus.PAUSED), waiting=True, now=later)


def test_a_report_comes_at_the_end_or_the_same_day() -> None:
    """When the edition closes, or after six hours when only stragglers are left."""
    assert says_report(replace(EDITION, finished_at=NOW), waiting=False, now=NOW)
    assert not says_report(EDITION, waiting=False, now=NOW + timedelta(hours=5, minutes=59))
    assert says_report(EDITION, waiting=False, now=NOW + timedelta(hours=6))
    assert not says_report(EDITION, waiting=True, now=NOW + timedelta(hours=60))

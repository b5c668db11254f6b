"""The links of notices: scanners change nothing, strangers do nothing, a press does the one thing."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from newsletter.core.cadence import Slot, SlotState, slot_on
from newsletter.core.edition import EditionStatus
from newsletter.core.lineup import LineupRules, lineup
from newsletter.core.tip import Tip, TipDraft, TipPart, TipStatus
from newsletter.core.token import ActionKind, ActionToken, Keyring, make_action_token
from newsletter.flows.freeze import RenderContext, freeze
from newsletter.store import edition as editions
from newsletter.store import log as logs
from newsletter.store import slot as slots
from newsletter.store import tip as tips
from newsletter.store.unit import Unit
from newsletter.testing.clocks import FixedClock
from tests.web.conftest import CADENCE, KEYRING, Ask, WebParts, add_reader

TUESDAY = date(2026, 11, 3)
LATER = datetime(2026, 11, 4, tzinfo=UTC)
Token = Callable[..., str]


def add_tip(unit: Unit, slug: str, **more: object) -> Tip:
    """Queue an approved tip."""
    title = slug.replace("-", " ").capitalize()
    draft = TipDraft(slug=slug, title=title, subject=title, status=TipStatus.APPROVED, body="Hello.\n", **more)  # type: ignore[arg-type]
    with unit.write() as tx:
        tips.add(tx, draft, now=LATER)
        added = tips.by_slug(tx, slug)
    assert added is not None
    return added


@pytest.fixture
def first(unit: Unit) -> Tip:
    """Queue two tips and return the one that goes out on Tuesday."""
    first = add_tip(unit, "first-tip")
    add_tip(unit, "second-tip")
    return first


def link(kind: ActionKind, target: int, guard: int = 0, ends: datetime = LATER, ring: Keyring = KEYRING) -> str:
    """Return the path of a link."""
    return "/a/" + make_action_token(ring, ActionToken(kind=kind, target=target, guard=guard, expires_at=ends))


def skip(**more: object) -> str:
    """Return the path of the link that skips Tuesday."""
    return link(ActionKind.SKIP, TUESDAY.toordinal(), **more)  # type: ignore[arg-type]


def swap(tip: Tip) -> str:
    """Return the path of the link that sends another tip on Tuesday."""
    return link(ActionKind.SWAP, TUESDAY.toordinal(), tip.id)


def slot_state(unit: Unit) -> SlotState:
    """Return where Tuesday stands."""
    with unit.read() as tx:
        stored_slot = slots.get(tx, TUESDAY)
    return SlotState.OPEN if stored_slot is None else stored_slot.state


def goes(unit: Unit, day: date = TUESDAY) -> list[str | None]:
    """Return which tips go out on a date and a week later."""
    days = [slot for slot in (slot_on(CADENCE, day), slot_on(CADENCE, day + timedelta(days=7))) if slot]
    with unit.read() as tx:
        chosen = lineup(days, tips.all_tips(tx), editions.history(tx), LineupRules())
    return [one.tip.slug if one.tip else None for one in chosen]


def logged(unit: Unit) -> list[tuple[str, str]]:
    """Return what the log of changes says."""
    with unit.read() as tx:
        return [(one.what, one.who) for one in logs.latest(tx)]


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_opening_a_link_changes_nothing(ask: Ask, unit: Unit, first: Tip, method: str) -> None:
    """A scanner that opens every link of a mail skips nothing and swaps nothing."""
    for path in (skip(), swap(first)):
        assert ask(method, path).status_code in {200, 204}
    assert (slot_state(unit), goes(unit), logged(unit)) == (SlotState.OPEN, ["first-tip", "second-tip"], [])


def test_the_page_says_what_the_button_does(ask: Ask, first: Tip) -> None:
    """One button, named for what it does; nothing is loaded from elsewhere, and nobody may keep the page."""
    page = ask("GET", skip())
    assert "Skip Tuesday 3 November 2026?" in page.text
    assert page.text.count("<form") == page.text.count("<button") == 1
    assert page.headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "“Second tip” goes out instead of “First tip”" in ask("GET", swap(first)).text


def test_a_press_skips_the_date_once(ask: Ask, unit: Unit, first: Tip) -> None:
    """The date is skipped with a line in the log; a second press finds it done."""
    assert ask("POST", skip()).status_code == 200
    assert slot_state(unit) is SlotState.SKIPPED
    assert logged(unit) == [("slot skip", "a link in a notice")]
    assert ask("POST", skip()).status_code == 200
    assert ask("GET", skip()).status_code == 409
    assert len(logged(unit)) == 1


def test_a_press_swaps_the_tip_once(ask: Ask, unit: Unit, first: Tip) -> None:
    """The next tip goes instead, this one a week later; a second press does not swap again."""
    assert "“Second tip” goes out on" in ask("POST", swap(first)).text
    assert goes(unit) == ["second-tip", "first-tip"]
    again = ask("POST", swap(first))
    assert (again.status_code, goes(unit)) == (409, ["second-tip", "first-tip"])
    assert "another tip goes out" in again.text.lower()


def test_a_pinned_tip_is_swapped_too(ask: Ask, unit: Unit) -> None:
    """A tip that was pinned to the date loses its pin and goes next."""
    pinned = add_tip(unit, "pinned-tip", pin=TUESDAY)
    add_tip(unit, "other-tip")
    assert ask("POST", swap(pinned)).status_code == 200
    assert goes(unit) == ["other-tip", "pinned-tip"]


def test_a_swap_keeps_the_order_of_a_series(ask: Ask, unit: Unit) -> None:
    """Part two does not go in place of part one."""
    part = add_tip(unit, "part-one", part=TipPart(series="s", number=1))
    add_tip(unit, "part-two", part=TipPart(series="s", number=2))
    assert ask("GET", swap(part)).status_code == 409
    add_tip(unit, "other-tip")
    ask("POST", swap(part))
    assert goes(unit) == ["other-tip", "part-one"]


def test_without_another_tip_nothing_is_swapped(ask: Ask, unit: Unit) -> None:
    """A queue of one has nothing to swap with, and says so."""
    only = add_tip(unit, "only-tip")
    assert "no other approved tip" in ask("POST", swap(only)).text
    assert goes(unit)[0] == "only-tip"


def test_a_link_expires(ask: Ask, unit: Unit, clock: FixedClock, first: Tip) -> None:
    """After its time a link does nothing, whatever is done with it."""
    clock.set(LATER)
    assert [ask(method, skip()).status_code for method in ("GET", "POST")] == [410, 410]
    assert slot_state(unit) is SlotState.OPEN


@pytest.mark.parametrize("kind", [ActionKind.PAUSE, ActionKind.CANCEL])
def test_an_edition_is_stopped(ask: Ask, first: Tip, parts: WebParts, kind: ActionKind) -> None:
    """The links of an edition that goes out pause or cancel it; opening them does not."""
    unit = parts.unit
    add_reader(unit)
    slot = slot_on(CADENCE, TUESDAY)
    assert slot is not None
    render_context = RenderContext(publication=parts.publication, templates=parts.templates, rules=LineupRules())
    edition = freeze(unit, render_context, slot, now=parts.clock.now()).edition
    assert edition is not None
    path = link(kind, edition.id)

    def status() -> EditionStatus:
        with unit.read() as tx:
            return editions.by_id(tx, edition.id).status

    assert (ask("GET", path).status_code, status()) == (200, EditionStatus.SENDING)
    expected_status = EditionStatus.PAUSED if kind is ActionKind.PAUSE else EditionStatus.CANCELLED
    assert (ask("POST", path).status_code, status()) == (200, expected_status)
    assert ask("GET", path).status_code == 409
    if kind is ActionKind.PAUSE:
        # What has begun cannot be skipped any more, and the page says what can be done.
        assert "edition cancel 2026-11-03" in ask("POST", skip()).text


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("kind", [ActionKind.PAUSE, ActionKind.CANCEL])
def test_the_link_of_a_missing_edition(ask: Ask, first: Tip, kind: ActionKind, method: str) -> None:
    """An edition that a restored backup does not know is a conflict, and no error of the database."""
    answer = ask(method, link(kind, 4711))
    assert answer.status_code == 409
    assert "no such edition" in answer.text


def test_skipping_after_a_swap_says_how_to_take_it_back(ask: Ask, unit: Unit) -> None:
    """A tip that is pinned to the date which is skipped gets the commands that free it."""
    pinned = add_tip(unit, "for-this-date", pin=TUESDAY)
    answer = ask("POST", skip())
    assert f"newsletter slot unskip {TUESDAY}" in answer.text
    assert f"newsletter tip unpin {pinned.slug}" in answer.text


def test_a_forged_link_does_nothing(ask: Ask, unit: Unit, first: Tip) -> None:
    """A token under another key, one of another purpose, and one that was cut are all unknown."""
    forged = skip(ring=Keyring(current="another secret of over thirty-two"))
    opt_out = f"/a/{add_reader(unit).token}"
    for path in (forged, opt_out, skip()[:-1], skip() + "A", "/a/", "/a/%00", "/a/" + "A" * 44):
        for method in ("GET", "POST"):
            assert ask(method, path).status_code == 404
    assert slot_state(unit) is SlotState.OPEN


@given(st.text(max_size=60), st.sampled_from(["GET", "POST"]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_token_is_answered(ask: Ask, unit: Unit, token: str, method: str) -> None:
    """Whatever a stranger makes up is answered with a page, never with a fault."""
    quoted = re.sub(
        r"[^A-Za-z0-9_-]", lambda m: "".join(f"%{byte:02X}" for byte in m[0].encode("utf-8", "replace")), token
    )
    assert ask(method, f"/a/{quoted}").status_code == 404


def test_what_others_put_behind_the_link_does_no_harm(ask: Ask, unit: Unit, first: Tip) -> None:
    """A full stop or a campaign parameter behind the link is not part of it."""
    assert ask("POST", f"{skip()}.?utm_source=x").status_code == 200
    assert slot_state(unit) is SlotState.SKIPPED


def test_a_passed_slot_of_the_store_is_reported(ask: Ask, unit: Unit, first: Tip, clock: FixedClock) -> None:
    """A date that was decided otherwise meanwhile says so, and stays."""
    slot = Slot(date=TUESDAY, sends_at=datetime(2026, 11, 3, 14, tzinfo=UTC))
    with unit.write() as tx:
        slots.add(tx, slot, now=clock.now())
        slots.move(tx, TUESDAY, was=SlotState.OPEN, to=SlotState.MISSED, reason="asleep", now=clock.now())
    answer = ask("GET", skip())
    assert answer.status_code == 409
    assert "missed already: asleep" in answer.text

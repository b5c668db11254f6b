"""The queue in the admin area: the lineup of `newsletter queue`, and every change of it with its way back."""

from __future__ import annotations

import re
from datetime import date

import pytest

from newsletter.core.cadence import SlotState
from newsletter.core.lineup import Choice
from newsletter.flows.plan import outlook
from newsletter.store.unit import Unit
from newsletter.testing.clocks import FixedClock
from tests.flows.sign_in_fixtures import ADMIN, EDITOR
from tests.flows.tip_fixtures import RULES, TUESDAYS, logged, queue, stored, tip_file
from tests.web.admin.conftest import AskAs, VisitAs
from tests.web.conftest import Ask


@pytest.fixture
def tips(unit: Unit, clock: FixedClock) -> None:
    """Queue three tips, a pinned one and a draft."""
    files = (
        tip_file("a"),
        tip_file("b"),
        tip_file("c"),
        tip_file("fixed", f"pin: {TUESDAYS[3]}"),
        tip_file("later", status="draft"),
    )
    queue(unit, *files, now=clock.now())


def choices(unit: Unit, clock: FixedClock) -> list[Choice]:
    """Return the lineup of twelve weeks."""
    return list(outlook(unit, RULES, weeks=12, now=clock.now()).choices)


def order(unit: Unit, clock: FixedClock) -> list[str]:
    """Return the tips in the order of their dates."""
    return [choice.tip.slug for choice in choices(unit, clock) if choice.tip is not None]


def field(text: str, name: str) -> str:
    """Return the value of a hidden field of a page."""
    match = re.search(rf'name="{name}" value="([^"]*)"', text)
    assert match is not None, name
    return match[1]


def undo(ask: Ask, text: str) -> None:
    """Send the form that takes the last change back."""
    form = re.search(r'<div class="flash".*?<form method="post" action="([^"]*)">(.*?)</form>', text, re.DOTALL)
    assert form is not None, text
    ask("POST", form[1], data=dict(re.findall(r'name="([^"]*)" value="([^"]*)"', form[2])))


@pytest.mark.usefixtures("tips")
def test_the_page_shows_what_the_command_shows(ask_as: AskAs, unit: Unit, clock: FixedClock) -> None:
    """Each date has its tip and its reason, in the order of the lineup; drafts stand below."""
    text = ask_as(EDITOR)("GET", "/admin/queue").text
    place = 0
    for choice in choices(unit, clock):
        place = text.index(choice.why, place)
        if choice.tip is not None:
            assert choice.tip.title in text
    assert text.index("Title of later") > place


@pytest.mark.usefixtures("tips")
def test_a_tip_moves_and_moves_back(ask_as: AskAs, unit: Unit, clock: FixedClock) -> None:
    """The sentence after a move names the new date, and Undo puts the tip back."""
    editor = ask_as(EDITOR)
    before = order(unit, clock)
    assert before == ["a", "b", "c", "fixed"]
    seen = field(editor("GET", "/admin/queue").text, "seen")
    answer = editor("POST", "/admin/queue/move", data={"tip": "c", "to": "top", "seen": seen})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/admin/queue?changed")
    assert order(unit, clock) == ["c", "a", "b", "fixed"]
    assert logged(unit)[-1] == ("tip move", "c")
    text = editor("GET", "/admin/queue?changed").text
    assert "“Title of c” now goes out on Tuesday 3 November 2026." in text
    undo(editor, text)
    assert order(unit, clock) == before


@pytest.mark.usefixtures("tips")
def test_a_change_of_somebody_else_is_shown_and_kept(ask_as: AskAs, unit: Unit, clock: FixedClock) -> None:
    """Two people move tips of the same page: the second one is told so, and the first move stands."""
    first, second = ask_as(ADMIN), ask_as(EDITOR)
    seen = field(first("GET", "/admin/queue").text, "seen")
    first("POST", "/admin/queue/move", data={"tip": "b", "to": "up", "seen": seen})
    second("POST", "/admin/queue/move", data={"tip": "c", "to": "top", "seen": seen})
    assert order(unit, clock) == ["b", "a", "c", "fixed"]
    assert "Somebody else changed the queue meanwhile" in second("GET", "/admin/queue?changed").text


@pytest.mark.usefixtures("tips")
def test_a_date_is_skipped_and_opened_again(ask_as: AskAs, unit: Unit, clock: FixedClock) -> None:
    """The reason is kept with the date, and Undo opens it."""
    editor, day = ask_as(EDITOR), TUESDAYS[0]
    editor("POST", f"/admin/dates/{day}/skip", data={"because": "holidays"})
    skipped = choices(unit, clock)[0]
    assert (skipped.slot.date, skipped.slot.state, skipped.slot.reason) == (day, SlotState.SKIPPED, "holidays")
    text = editor("GET", "/admin/queue?changed").text
    assert "holidays" in text
    undo(editor, text)
    assert choices(unit, clock)[0].slot.state is SlotState.OPEN
    assert [what for what, _ in logged(unit)[-2:]] == ["slot skip", "slot unskip"]


@pytest.mark.usefixtures("tips")
def test_a_tip_is_pinned_and_unpinned(ask_as: AskAs, unit: Unit, clock: FixedClock) -> None:
    """A pin holds a date, Undo takes it off, and taking a pin off can be taken back too."""
    editor = ask_as(EDITOR)
    editor("POST", "/admin/queue/pin", data={"tip": "a", "date": TUESDAYS[4].isoformat()})
    assert stored(unit)["a"].pin == TUESDAYS[4]
    undo(editor, editor("GET", "/admin/queue?changed").text)
    assert stored(unit)["a"].pin is None
    editor("POST", "/admin/queue/unpin", data={"tip": "fixed"})
    assert stored(unit)["fixed"].pin is None
    undo(editor, editor("GET", "/admin/queue?changed").text)
    assert stored(unit)["fixed"].pin == TUESDAYS[3]


@pytest.mark.usefixtures("tips")
@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("/admin/queue/move", {}),
        ("/admin/queue/move", {"tip": "a", "to": "sideways"}),
        ("/admin/queue/move", {"tip": "a\x00", "to": "top"}),
        ("/admin/queue/pin", {"tip": "a", "date": "someday"}),
        ("/admin/queue/pin", {"tip": "a", "date": "2020-01-07"}),
        ("/admin/queue/pin", {"tip": "a", "date": "9999-12-28"}),
        ("/admin/queue/unpin", {"tip": "<script>"}),
        ("/admin/dates/someday/skip", {}),
        ("/admin/dates/2026-11-04/skip", {"because": "x" * 5000}),
        ("/admin/dates/2026-11-03/unskip", {}),
    ],
)
def test_what_cannot_be_done_is_a_sentence(
    ask_as: AskAs, unit: Unit, clock: FixedClock, path: str, data: dict[str, str]
) -> None:
    """Nothing is changed, and the page says why, or that nothing had to be done."""
    editor = ask_as(EDITOR)
    before = order(unit, clock)
    answer = editor("POST", path, data=data)
    assert answer.status_code == 303
    assert 'class="flash' in editor("GET", "/admin/queue?changed").text
    assert order(unit, clock) == before
    assert date(2026, 11, 3) == choices(unit, clock)[0].slot.date


@pytest.mark.browser
@pytest.mark.usefixtures("tips")
@pytest.mark.parametrize("javascript", [True, False])
def test_a_person_moves_and_skips_by_keyboard(
    visit_as: VisitAs, unit: Unit, clock: FixedClock, *, javascript: bool
) -> None:
    """In a browser, with and without scripts: down, undo, and a date left out for a reason."""
    page = visit_as(EDITOR, "/admin/queue", javascript=javascript, width=390)
    page.get_by_role("button", name="one date later: Title of a").press("Enter")
    assert order(unit, clock) == ["b", "a", "c", "fixed"]
    page.get_by_role("button", name="Undo").press("Enter")
    assert order(unit, clock) == ["a", "b", "c", "fixed"]
    page.locator("summary").nth(1).press("Enter")
    page.get_by_label("Send nothing on this date, because").nth(1).fill("a feast")
    page.get_by_label("Send nothing on this date, because").nth(1).press("Enter")
    page.get_by_text("Nothing goes out on Tuesday 10 November 2026").wait_for()
    assert choices(unit, clock)[1].slot.reason == "a feast"

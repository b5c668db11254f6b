"""The pages in a real browser: a reader leaves by the button, on any screen, in light and dark."""

from __future__ import annotations

import pytest

from newsletter.core.subscriber import SubscriberState
from tests.web.conftest import LOWEST_CONTRAST, Reader, Visit

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("javascript", [True, False])
def test_a_reader_leaves_by_one_button(visit: Visit, reader: Reader, javascript: bool) -> None:  # noqa: FBT001
    """Opening the page changes nothing, pressing the button does, with and without JavaScript."""
    page = visit(f"/u/{reader.token}", javascript=javascript)
    assert page.get_by_role("heading").inner_text() == "Unsubscribe from Tip of the Week?"
    assert reader.state is SubscriberState.ACTIVE
    page.get_by_role("button", name="Unsubscribe").click()
    page.get_by_role("heading", name="You are unsubscribed").wait_for()
    assert reader.state is SubscriberState.UNSUBSCRIBED


def test_a_reader_leaves_by_the_keyboard(visit: Visit, reader: Reader) -> None:
    """Tab finds the button first, shows where it is, and Enter presses it."""
    page = visit(f"/u/{reader.token}")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") == "BUTTON"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="You are unsubscribed").wait_for()
    assert reader.state is SubscriberState.UNSUBSCRIBED


def test_pressing_the_button_twice_and_going_back_is_harmless(visit: Visit, reader: Reader) -> None:
    """Who goes back and presses again reads the same page."""
    page = visit(f"/u/{reader.token}")
    for _ in range(2):
        page.get_by_role("button", name="Unsubscribe").click()
        page.get_by_role("heading", name="You are unsubscribed").wait_for()
        page.goto(f"/u/{reader.token}")
    assert reader.state is SubscriberState.UNSUBSCRIBED


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/u/{token}", "/u/forged", "/elsewhere"])
def test_every_word_can_be_read_on_any_screen(visit: Visit, reader: Reader, path: str, scheme: str) -> None:
    """Nothing runs over the side at 320 pixels, contrast is at least 4.5 to 1 (WCAG 2.2, 1.4.3 and 1.4.10)."""
    page = visit(path.format(token=reader.token), width=320, scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    lowest = page.evaluate(LOWEST_CONTRAST)
    assert lowest["ratio"] >= 4.5, lowest["text"]


@pytest.mark.parametrize(("scheme", "card"), [("light", "rgb(255, 255, 255)"), ("dark", "rgb(28, 33, 36)")])
def test_the_style_is_let_in(visit: Visit, reader: Reader, scheme: str, card: str) -> None:
    """The policy lets the page's own style through, and the page follows the reader's colour scheme."""
    page = visit(f"/u/{reader.token}", scheme=scheme)
    assert page.evaluate("getComputedStyle(document.querySelector('main')).backgroundColor") == card


def test_a_finger_can_hit_the_button(visit: Visit, reader: Reader) -> None:
    """The button is at least 44 pixels high, and as wide as the text on a phone."""
    box = visit(f"/u/{reader.token}", width=360).get_by_role("button").bounding_box()
    assert box is not None
    assert box["height"] >= 44
    assert box["width"] >= 200

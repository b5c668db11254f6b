"""The pages in a real browser: a reader leaves by the button, on any screen, in light and dark."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from newsletter.core.subscriber import SubscriberState
from tests.web.conftest import Ask, Reader, Stage

pytestmark = pytest.mark.browser
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

LOWEST_CONTRAST = """
() => {
  const share = (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const colour = (text) => text.match(/[\\d.]+/g).map(Number);
  const luminance = (c) => [0.2126, 0.7152, 0.0722].reduce((sum, part, i) => sum + part * share(c[i] / 255), 0);
  const ground = (e) => {
    const c = colour(getComputedStyle(e).backgroundColor);
    return c.length === 4 && c[3] === 0 && e.parentElement ? ground(e.parentElement) : c;
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let lowest = { ratio: 99, text: "" };
  while (texts.nextNode()) {
    const text = texts.currentNode.textContent.trim();
    if (!text) continue;
    const e = texts.currentNode.parentElement;
    const pair = [luminance(colour(getComputedStyle(e).color)), luminance(ground(e))].sort((a, b) => b - a);
    const ratio = (pair[0] + 0.05) / (pair[1] + 0.05);
    if (ratio < lowest.ratio) lowest = { ratio, text };
  }
  return lowest;
}
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start Chromium once, or skip."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine; apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


Visit = Callable[..., Page]


@pytest.fixture
def visit(browser: Browser, stage: tuple[Stage, str], ask: Ask) -> Iterator[Visit]:
    """Return a function that opens a path; a page that complains on the console fails the test."""
    complaints: list[str] = []
    pages: list[Page] = []

    def open_path(path: str, *, width: int = 800, scheme: str = "light", javascript: bool = True) -> Page:
        page = browser.new_page(
            base_url=stage[1],
            viewport={"width": width, "height": 800},
            color_scheme="dark" if scheme == "dark" else "light",
            java_script_enabled=javascript,
        )
        pages.append(page)
        page.on("console", lambda message: complaints.append(message.text))
        page.goto(path)
        return page

    yield open_path
    for page in pages:
        page.close()
    # The browser's own note about a 404 is no complaint of the page.
    assert [text for text in complaints if "status of 404" not in text] == []


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

"""The mail in a real browser: wide and narrow, light and dark."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from newsletter.core.message import Recipient
from newsletter.render.mime import CompiledMessage
from tests.browser import browser

__all__ = ["browser"]

Edit = Callable[..., CompiledMessage]

pytestmark = pytest.mark.browser
LOWEST_CONTRAST = """
() => {
  const light = (c) => { const v = c / 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
  const luminance = ([r, g, b]) => 0.2126 * light(r) + 0.7152 * light(g) + 0.0722 * light(b);
  const numbers = (text) => text.match(/[\\d.]+/g).map(Number);
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const c = numbers(getComputedStyle(e).backgroundColor);
      if (c.length < 4 || c[3] > 0) return c;
    }
    return [255, 255, 255];
  };
  let lowest = [99, ""];
  for (const e of document.body.querySelectorAll("*")) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || e.offsetParent === null) continue;
    const [a, b] = [luminance(numbers(getComputedStyle(e).color)), luminance(behind(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < lowest[0]) lowest = [ratio, e.outerHTML.slice(0, 200)];
  }
  return lowest;
}
"""


@pytest.fixture
def opened(browser: Browser, edit: Edit, recipient: Recipient) -> Iterator[Callable[[int, str], Page]]:
    """Open the sample tip at a width and in a colour scheme."""
    html = edit((Path(__file__).parent / "samples" / "tip.md").read_text(encoding="utf-8")).html(recipient)
    pages = []

    def open_page(width: int, scheme: str) -> Page:
        page = browser.new_page(
            viewport={"width": width, "height": 800}, color_scheme="dark" if scheme == "dark" else "light"
        )
        pages.append(page)
        page.set_content(html)
        return page

    yield open_page
    for page in pages:
        page.close()


@pytest.mark.parametrize("width", [320, 360, 600, 1200])
def test_nothing_runs_over_the_side(opened: Callable[[int, str], Page], width: int) -> None:
    """At no width must a reader scroll sideways."""
    assert opened(width, "light").evaluate("document.documentElement.scrollWidth") <= width


def test_the_text_column_is_600_wide_at_most(opened: Callable[[int, str], Page]) -> None:
    """Lines stay short enough to read on a wide screen."""
    assert opened(1200, "light").evaluate("document.querySelector('.column').offsetWidth") == 600


@pytest.mark.parametrize(("scheme", "background"), [("light", "rgb(255, 255, 255)"), ("dark", "rgb(28, 33, 36)")])
def test_the_background_follows_the_colour_scheme(
    opened: Callable[[int, str], Page], scheme: str, background: str
) -> None:
    """In the dark the card is dark, although its light colour is inlined."""
    color = opened(600, scheme).evaluate("getComputedStyle(document.querySelector('.card')).backgroundColor")
    assert color == background


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_word_can_be_read(opened: Callable[[int, str], Page], scheme: str) -> None:
    """Contrast is at least 4.5 to 1 for every text, in both schemes (WCAG 2.2, 1.4.3)."""
    ratio, element = opened(600, scheme).evaluate(LOWEST_CONTRAST)
    assert ratio >= 4.5, element


def test_a_finger_can_hit_the_button(opened: Callable[[int, str], Page]) -> None:
    """The button is at least 44 pixels high on a phone, and its text at least 16."""
    page = opened(360, "light")
    assert page.evaluate("document.querySelector('.button').getBoundingClientRect().height") >= 44
    assert page.evaluate("parseFloat(getComputedStyle(document.querySelector('.tip p')).fontSize)") >= 16


WORDS_ON_TWO_LINES = """
() => {
  const split = [];
  const texts = document.createTreeWalker(document.querySelector(".tip"), NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    for (const word of texts.currentNode.data.matchAll(/[^\\s-]+/g)) {
      const range = document.createRange();
      range.setStart(texts.currentNode, word.index);
      range.setEnd(texts.currentNode, word.index + word[0].length);
      if (new Set([...range.getClientRects()].map((box) => Math.round(box.top))).size > 1) split.push(word[0]);
    }
  }
  return split;
}
"""
TABLE = """
| Instead of | Write | Unfortunately |
|---|---|--:|
| this problem. | a [documented](https://example.com/) solution. | 12,345,678 |

See https://example.com/an/address/that/is/longer/than/any/telephone/is/wide/and/must/be/broken/somewhere.
"""


@pytest.mark.parametrize("width", [320, 360, 600])
def test_words_stay_whole_in_tables_and_addresses_break(
    browser: Browser, edit: Edit, recipient: Recipient, width: int
) -> None:
    """No cell splits a word to make room; a long address breaks, and the page does not scroll sideways."""
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.set_content(edit(TABLE).html(recipient))
    assert [word for word in page.evaluate(WORDS_ON_TWO_LINES) if "://" not in word] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()

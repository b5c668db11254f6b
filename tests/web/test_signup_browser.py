"""Signing up in a real browser: with and without scripts, in the same browser and in another, during a flood."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext

from newsletter.core.subscriber import SubscriberState
from newsletter.store import signup as signups
from newsletter.store import subscriber as subscribers
from newsletter.store.unit import Unit
from newsletter.testing.clocks import FixedClock
from tests.flows.signup_fixtures import ask_for
from tests.web.conftest import LOWEST_CONTRAST, Visit, WebParts
from tests.web.signup_fixtures import ADA, code_of, link_of, mail_to, processor_of

pytestmark = pytest.mark.browser


@pytest.fixture
def reader_browser(browser: Browser) -> Iterator[BrowserContext]:
    """Return a browser of one person, with cookies of its own."""
    context = browser.new_context()
    yield context
    context.close()


def state_of(unit: Unit, email: str = ADA) -> SubscriberState | None:
    """Return the state of an address; None while it is not on the list."""
    with unit.read() as tx:
        person = subscribers.by_canonical(tx, email)
    return None if person is None else person.state


def test_the_browser_that_asked_confirms_by_itself(
    visit: Visit, parts: WebParts, clock: FixedClock, reader_browser: BrowserContext
) -> None:
    """Form, mail, link: opening the link in the same browser is all that is needed."""
    page = visit("/subscribe", context=reader_browser)
    page.get_by_label("E-mail address").fill(ADA)
    page.get_by_label("First name").fill("Ada")
    clock.turn(seconds=10)
    page.get_by_role("button", name="Subscribe").click()
    page.get_by_role("heading", name="One more step").wait_for()
    processor_of(parts).work(clock.now())
    assert state_of(parts.unit) is None
    confirmed = visit(link_of(mail_to(parts)), context=reader_browser)
    confirmed.get_by_role("heading", name="You are subscribed").wait_for()
    assert state_of(parts.unit) is SubscriberState.ACTIVE


@pytest.mark.parametrize("javascript", [True, False])
def test_another_browser_needs_one_press(
    visit: Visit,
    parts: WebParts,
    clock: FixedClock,
    javascript: bool,  # noqa: FBT001
) -> None:
    """A telephone, or a scanner with a whole browser: the page says that nothing has happened yet."""
    ask_for(parts.unit, ADA, now=clock.now())
    processor_of(parts).work(clock.now())
    page = visit(link_of(mail_to(parts)), javascript=javascript)
    page.get_by_role("heading", name="You are not subscribed yet").wait_for()
    page.wait_for_load_state("networkidle")
    assert state_of(parts.unit) is None
    page.get_by_role("button", name="Yes, subscribe me").click()
    page.get_by_role("heading", name="You are subscribed").wait_for()
    assert state_of(parts.unit) is SubscriberState.ACTIVE


def test_without_scripts_the_code_does_it(browser: Browser, visit: Visit, parts: WebParts, clock: FixedClock) -> None:
    """A reader who allows no scripts types the code into the page where she asked."""
    context = browser.new_context(java_script_enabled=False)
    page = visit("/subscribe", context=context)
    page.get_by_label("E-mail address").fill(ADA)
    clock.turn(seconds=10)
    page.get_by_role("button", name="Subscribe").click()
    page.get_by_label("Code from the mail").wait_for()
    processor_of(parts).work(clock.now())
    page.get_by_label("Code from the mail").fill(code_of(mail_to(parts)).lower())
    page.get_by_role("button", name="Confirm").click()
    page.get_by_role("heading", name="You are subscribed").wait_for()
    assert state_of(parts.unit) is SubscriberState.ACTIVE
    context.close()


def test_during_a_flood_the_browser_solves_a_puzzle(visit: Visit, parts: WebParts, clock: FixedClock) -> None:
    """Our own solver satisfies the library; a form without a solution comes back with a sentence."""
    for number in range(300):
        ask_for(parts.unit, f"r{number}@example.org", network=f"2001:db8:{number:x}::/56", now=clock.now())
    for javascript, heading in ((False, "Tip of the Week"), (True, "One more step")):
        page = visit("/subscribe", javascript=javascript)
        page.get_by_label("E-mail address").fill(ADA)
        clock.turn(seconds=10)
        page.get_by_role("button", name="Subscribe").click()
        if not javascript:
            page.get_by_text("your browser must allow JavaScript").wait_for()
            assert page.get_by_label("E-mail address").input_value() == ADA
        page.get_by_role("heading", name=heading).wait_for(timeout=60_000)
        with parts.unit.read() as tx:
            assert len(signups.of_addresses(tx, [ADA])) == int(javascript)


def test_a_mistake_leads_to_its_field(visit: Visit, clock: FixedClock) -> None:
    """The summary links to the field, which says what is wrong and keeps what was typed."""
    page = visit("/subscribe")
    page.evaluate("document.querySelector('form').noValidate = true")
    page.get_by_label("E-mail address").fill("ada.example.org")
    clock.turn(seconds=10)
    page.get_by_role("button", name="Subscribe").click()
    page.get_by_role("alert").get_by_role("link").click()
    field = page.get_by_label("E-mail address")
    assert field.input_value() == "ada.example.org"
    assert field.get_attribute("aria-invalid") == "true"
    assert page.evaluate("document.activeElement.id") == "email"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/subscribe", "/subscribe/sent", "{link}", "/c/forged"])
def test_every_word_can_be_read(visit: Visit, parts: WebParts, clock: FixedClock, path: str, scheme: str) -> None:
    """Nothing runs over the side at 320 pixels, contrast is at least 4.5 to 1, fields are 44 pixels high."""
    ask_for(parts.unit, ADA, now=clock.now())
    processor_of(parts).work(clock.now())
    page = visit(path.format(link=link_of(mail_to(parts))), width=320, scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    lowest = page.evaluate(LOWEST_CONTRAST)
    assert lowest["ratio"] >= 4.5, lowest["text"]
    for field in page.locator("input:visible, button:visible").all():
        box = field.bounding_box()
        assert box is None or box["x"] < 0 or box["height"] >= 44


def test_the_form_weighs_little(visit: Visit) -> None:
    """The first visit is three requests: the page, its style and its script; nothing of another host."""
    page = visit("/subscribe")
    sizes = page.evaluate("performance.getEntriesByType('resource').map(e => [e.name, e.decodedBodySize])")
    assert all(url.startswith(page.url.removesuffix("/subscribe")) for url, _ in sizes)
    weights = {url.rsplit(".", 1)[1]: size for url, size in sizes}
    assert weights["css"] <= 16_384
    assert weights["js"] <= 3_000
    assert len(sizes) == 2

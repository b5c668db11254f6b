"""Signing in with a real browser: by the link, by the code without JavaScript, by a link from the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from newsletter.flows.ask_to_sign_in import make_terminal_token
from newsletter.store import session as sessions
from newsletter.testing.clocks import FixedClock
from tests.flows.sign_in_fixtures import ADMIN, ROSTER, Mailed, mailed, make_sign_in_processor
from tests.web.conftest import KEYRING, Ask, Stage, WebParts

pytestmark = pytest.mark.browser

OpenBrowser = Callable[..., BrowserContext]


@pytest.fixture
def open_browser(browser: Browser, stage: tuple[Stage, str], ask: Ask) -> Iterator[OpenBrowser]:
    """Return a function that opens a browser of its own, with cookies of its own."""
    contexts: list[BrowserContext] = []

    def opened(*, javascript: bool = True, width: int = 1100) -> BrowserContext:
        size = {"width": width, "height": 800}
        contexts.append(browser.new_context(base_url=stage[1], java_script_enabled=javascript, viewport=size))
        return contexts[-1]

    yield opened
    for context in contexts:
        context.close()


def ask_in(context: BrowserContext, parts: WebParts, clock: FixedClock) -> tuple[Page, Mailed]:
    """Type the address into a browser, and return its page and the mail that comes."""
    page = context.new_page()
    page.goto("/admin/")
    page.get_by_label("E-mail address").fill(ADMIN)
    page.get_by_role("button", name="Mail me a link").click()
    page.get_by_role("heading", name="Look into your mailbox").wait_for()
    make_sign_in_processor(parts.unit).work(clock.now())
    return page, mailed(parts.unit)


def test_the_link_signs_in_where_it_was_asked_for(
    open_browser: OpenBrowser, parts: WebParts, clock: FixedClock
) -> None:
    """Opening the link in the same browser is all that is needed; signing out ends it."""
    context = open_browser()
    _, mail = ask_in(context, parts, clock)
    page = context.new_page()
    page.goto(mail.path)
    page.get_by_role("heading", name="How things stand").wait_for()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("heading", name="Sign in").wait_for()
    page.goto("/admin/")
    page.get_by_role("heading", name="Sign in").wait_for()


@pytest.mark.parametrize("javascript", [True, False])
def test_the_mail_is_read_on_a_phone_and_the_code_typed_on_the_laptop(
    open_browser: OpenBrowser,
    parts: WebParts,
    clock: FixedClock,
    javascript: bool,  # noqa: FBT001
) -> None:
    """The phone shows the code and is not signed in; the laptop, with or without JavaScript, takes the code."""
    page, mail = ask_in(open_browser(javascript=javascript), parts, clock)
    phone = open_browser(width=360).new_page()
    phone.goto(mail.path)
    phone.get_by_role("heading", name="Type this code where you asked").wait_for()
    phone.wait_for_load_state("networkidle")
    code = phone.locator(".code").inner_text()
    with parts.unit.read() as tx:
        assert sessions.live(tx, now=clock.now()) == []
    page.get_by_label("Code from the mail").fill(code.lower())
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="How things stand").wait_for()
    phone.goto("/admin/")
    phone.get_by_role("heading", name="Sign in").wait_for()


def test_without_javascript_the_link_has_a_button(
    open_browser: OpenBrowser, parts: WebParts, clock: FixedClock
) -> None:
    """The browser that asked presses it by hand."""
    context = open_browser(javascript=False)
    _, mail = ask_in(context, parts, clock)
    page = context.new_page()
    page.goto(mail.path)
    page.get_by_role("heading", name=f"Sign in as {ADMIN}").wait_for()
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="How things stand").wait_for()


def test_the_terminal_signs_in_when_mail_is_down(open_browser: OpenBrowser, parts: WebParts, clock: FixedClock) -> None:
    """Any browser takes the link, by a press and not by itself, once."""
    token = make_terminal_token(parts.unit, KEYRING, ROSTER, ADMIN, who="root", now=clock.now())
    first, second = open_browser().new_page(), open_browser().new_page()
    for page in (first, second):
        page.goto(f"/admin/in/{token}")
        page.get_by_role("heading", name=f"Sign in as {ADMIN}").wait_for()
    first.get_by_role("button", name="Sign in").click()
    first.get_by_role("heading", name="How things stand").wait_for()
    second.get_by_role("button", name="Sign in").click()
    second.get_by_role("heading", name="This link was used before").wait_for()


def test_a_person_ends_the_sessions_of_other_browsers(
    open_browser: OpenBrowser, parts: WebParts, clock: FixedClock
) -> None:
    """The list names the other browser; a press ends its session at once."""
    pages = []
    for _ in range(2):
        page, mail = ask_in(open_browser(javascript=False), parts, clock)
        page.get_by_label("Code from the mail").fill(mail.code)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("heading", name="How things stand").wait_for()
        pages.append(page)
    lost, kept = pages
    kept.get_by_role("link", name="Sessions").click()
    kept.get_by_role("button", name="End Chrome").click()
    kept.get_by_role("status").get_by_text("has ended").wait_for()
    kept.reload()
    kept.get_by_role("status").get_by_text("has ended").wait_for()
    lost.reload()
    lost.get_by_role("heading", name="Sign in").wait_for()

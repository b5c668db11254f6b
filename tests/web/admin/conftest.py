"""The admin area on the real server: people who are signed in, for requests and for browsers.

`ask` asks as nobody; `ask_as(ADMIN)` as a person who is signed in; `visit_as(ADMIN, "/admin/")` opens a page in their
browser.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import pytest
from jinja2 import Environment
from playwright.sync_api import Browser, BrowserContext, Page

from newsletter.core.access import SignInMethod
from newsletter.core.web_options import WebOptions
from newsletter.store import session as sessions
from newsletter.store.unit import Unit
from newsletter.testing.clocks import FixedClock
from newsletter.web.admin.guard import SESSION_COOKIE, hash_of_session
from newsletter.web.admin.tools import AdminTools, CheckRow, SettingRow
from tests.flows.sign_in_fixtures import ROSTER
from tests.web.conftest import Ask, Stage, WebParts, asking, browser

__all__ = ["browser"]

AskAs = Callable[[str], Ask]
VisitAs = Callable[..., Page]


@pytest.fixture
def parts(unit: Unit, clock: FixedClock, templates: Environment) -> WebParts:
    """Return the parts of an installation that has every page."""
    options = WebOptions(public=True, admin=True, roster=ROSTER)
    return WebParts(unit=unit, clock=clock, templates=templates, web_options=options)


TOOLS = AdminTools(
    settings=lambda: [
        SettingRow(name="NEWSLETTER_NAME", value="Tip <of> the Week", source=".env", sentence="The name."),
        SettingRow(name="NEWSLETTER_SECRET_KEY", value="set", source="environment", sentence="Signs the links."),
        SettingRow(name="NEWSLETTER_REPLY_TO", value="", source="default", sentence="A mailbox."),
    ],
    doctor=lambda: [
        CheckRow(level="ok", about="settings", text="nothing is wrong", todo=""),
        CheckRow(level="warn", about="stock", text="no fresh tip", todo="`newsletter tip new` begins one"),
    ],
)
"""What the command line adds to the pages."""


@pytest.fixture
def ask(stage: tuple[Stage, str], parts: WebParts) -> Iterator[Ask]:
    """Return a function that asks a web part with every page of the admin area."""
    yield from asking(stage, parts, tools=TOOLS)


def add_session(unit: Unit, clock: FixedClock, email: str, cookie: str) -> str:
    """Sign a person in, and return the cookie."""
    with unit.write() as tx:
        sessions.add(
            tx,
            hash_of_session(cookie),
            email=email,
            method=SignInMethod.CODE,
            browser="Firefox on Linux",
            browser_hash="laptop",
            network="192.0.2.0/24",
            now=clock.now(),
        )
    return cookie


@pytest.fixture
def ask_as(ask: Ask, unit: Unit, clock: FixedClock) -> AskAs:
    """Return a function that signs a person in and returns what asks in their name."""
    count = iter(range(100))

    def signed_in(email: str) -> Ask:
        cookie = add_session(unit, clock, email, f"cookie {next(count)}".replace(" ", "-"))

        def request(
            method: str, path: str, *, headers: dict[str, str] | None = None, **named: object
        ) -> httpx.Response:
            return ask(method, path, headers={"Cookie": f"{SESSION_COOKIE}={cookie}", **(headers or {})}, **named)

        return request

    return signed_in


@pytest.fixture
def visit_as(browser: Browser, stage: tuple[Stage, str], ask: Ask, unit: Unit, clock: FixedClock) -> Iterator[VisitAs]:
    """Return a function that opens a path in the browser of a person; a page that complains fails the test."""
    complaints: list[str] = []
    contexts: list[BrowserContext] = []

    def open_path(email: str, path: str, *, width: int = 1100, scheme: str = "light", javascript: bool = True) -> Page:
        context = browser.new_context(
            base_url=stage[1],
            viewport={"width": width, "height": 800},
            color_scheme="dark" if scheme == "dark" else "light",
            java_script_enabled=javascript,
        )
        contexts.append(context)
        if email:
            cookie = add_session(unit, clock, email, f"browser-{len(contexts)}")
            context.add_cookies([browser_cookie(stage[1], cookie)])
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.goto(path)
        return page

    yield open_path
    for context in contexts:
        context.close()
    assert [text for text in complaints if "the server responded with a status of 4" not in text] == []


def browser_cookie(url: str, cookie: str) -> dict[str, object]:
    """Return the cookie of a session as a browser stores it."""
    return {
        "name": SESSION_COOKIE,
        "value": cookie,
        "domain": "127.0.0.1",
        "path": "/",
        "secure": True,
        "httpOnly": True,
        "sameSite": "Lax",
    }

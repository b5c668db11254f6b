"""The web part on a real server on 127.0.0.1, with a real database; httpx asks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta

import httpx
import pytest
from jinja2 import Environment
from playwright.sync_api import Browser, BrowserContext, Page
from starlette.types import ASGIApp, Receive, Scope, Send

from newsletter.clock import Clock
from newsletter.core.breaker import BreakerLimits
from newsletter.core.cadence import Cadence
from newsletter.core.edition import EditionId
from newsletter.core.lineup import LineupRules
from newsletter.core.message import Publication, PublicationLinks
from newsletter.core.subscriber import SubscriberId, SubscriberState
from newsletter.core.token import Keyring, LinkPurpose, LinkToken, make_link_token, make_unsubscribe_token
from newsletter.core.web_options import WebOptions
from newsletter.core.webhooks.base import ProviderWebhook
from newsletter.flows.freeze import RenderContext
from newsletter.flows.overview import Overview, overview
from newsletter.flows.plan import PlanRules
from newsletter.flows.queue_tip import TipValidation
from newsletter.render.environment import make_environment
from newsletter.store import subscriber as subscribers
from newsletter.store.schema import subscriber
from newsletter.store.unit import Unit
from newsletter.testing.clocks import FixedClock
from newsletter.web.admin.tools import AdminTools
from newsletter.web.app import create_app
from newsletter.web.serve import serve
from tests.browser import browser
from tests.conftest import SECRET

__all__ = ["browser"]

KEYRING = Keyring(current=SECRET)
PUBLICATION = Publication(
    name="Tip of the Week",
    from_email="tips@news.example.com",
    reply_to="hello@news.example.com",
    postal_address="Example Society\n1 Example Street\nSpringfield",
    base_url="https://news.example.com",
    links=PublicationLinks(signup_url="https://www.example.com/join"),
)
PUBLIC = WebOptions(public=True, form_origins=("https://www.example.com",))
CADENCE = Cadence(weekday=1, at=time(9), zone="America/New_York")
ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@dataclass(frozen=True, slots=True, kw_only=True)
class WebParts:
    """What the web part needs, as `wiring.Application` has it."""

    unit: Unit
    clock: Clock
    keyring: Keyring = KEYRING
    publication: Publication = PUBLICATION
    templates: Environment
    web_options: WebOptions = PUBLIC
    webhooks: Mapping[str, ProviderWebhook] = field(default_factory=dict)
    breaker_limits: BreakerLimits = field(default_factory=BreakerLimits)
    confirm_subscription: Callable[[str], object] = str

    @property
    def plan_rules(self) -> PlanRules:
        """Return what the coming dates rest on: Tuesdays at nine in New York."""
        return PlanRules(cadence=CADENCE, lineup=LineupRules(), grace=timedelta(hours=36))

    def overview(self) -> Overview:
        """Return how things stand."""
        with self.unit.read() as tx:
            return overview(tx, self.plan_rules, now=self.clock.now())

    def review(self, now: datetime) -> TipValidation:
        """Return what a tip is judged by."""
        render_context = RenderContext(publication=self.publication, templates=self.templates, rules=LineupRules())
        return TipValidation(render_context=render_context, cadence=CADENCE, now=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """One subscriber, and the token of her mail."""

    unit: Unit
    id: SubscriberId
    token: str

    @property
    def state(self) -> SubscriberState | None:
        """Return her state as the database has it; None once she is erased."""
        with self.unit.read() as tx:
            person = subscribers.by_id(tx, self.id)
        return None if person is None else person.state


Ask = Callable[..., httpx.Response]


@pytest.fixture(scope="session")
def templates() -> Environment:
    """Return the shipped templates."""
    return make_environment(None)


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Return a SQLite database: what databases differ in, `test_opt_out_effect.py` tests on both."""
    return sqlite_url


@pytest.fixture
def parts(unit: Unit, clock: FixedClock, templates: Environment) -> WebParts:
    """Return the parts of an installation."""
    return WebParts(unit=unit, clock=clock, templates=templates)


def add_reader(unit: Unit, name: str = "ann", edition: int | None = 7) -> Reader:
    """Add an active subscriber who got a mail of an edition."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    values = {
        "email": f"{name}@example.com",
        "canonical": f"{name}@example.com",
        "state": "active",
        "state_since": now,
        "created_at": now,
    }
    with unit.write() as tx:
        added = tx.execute(subscriber.insert().values(**values).returning(subscriber.c.id)).scalar_one()
    token = make_unsubscribe_token(KEYRING, SubscriberId(added), None if edition is None else EditionId(edition))
    return Reader(unit=unit, id=SubscriberId(added), token=token)


@pytest.fixture
def reader(unit: Unit) -> Reader:
    """Return a subscriber."""
    return add_reader(unit)


@pytest.fixture
def private(reader: Reader, clock: FixedClock) -> str:
    """Return the path of a private link."""
    link = LinkToken(purpose=LinkPurpose.PRIVATE, id=reader.id, expires_at=clock.now() + timedelta(days=1))
    return f"/me/{make_link_token(KEYRING, link)}"


class Stage:
    """Passes each request on to the application of the test that runs: a server of its own would cost each 0.3 s."""

    def __init__(self) -> None:
        self.app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        assert self.app is not None
        await self.app(scope, receive, send)


@pytest.fixture(scope="session")
def stage() -> Iterator[tuple[Stage, str]]:
    """Run one server for all tests, and return its stage and its address."""
    stage = Stage()
    with serve(stage, "127.0.0.1", 0, stop=threading.Event()) as server:
        yield stage, f"http://127.0.0.1:{server.port}"


def asking(
    stage: tuple[Stage, str],
    parts: WebParts,
    *,
    patience: float = 20.0,
    metrics_token: str = "",
    tools: AdminTools | None = None,
) -> Iterator[Ask]:
    """Put a web part on the stage and yield a function that asks it; it never follows a redirect."""
    stage[0].app = create_app(parts, patience=patience, metrics_token=metrics_token, tools=tools)
    with httpx.Client(base_url=stage[1], trust_env=False, timeout=30) as client:
        yield client.request
    stage[0].app = None


@pytest.fixture
def ask(stage: tuple[Stage, str], parts: WebParts) -> Iterator[Ask]:
    """Return a function that asks the running web part."""
    yield from asking(stage, parts)


@pytest.fixture
def ask_after_rotation(stage: tuple[Stage, str], parts: WebParts) -> Iterator[Ask]:
    """Return a function that asks a web part whose secret was replaced since."""
    rotated = replace(parts, keyring=Keyring(current="the secret of thirty-two letters", old=(SECRET,)))
    yield from asking(stage, rotated)


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


Visit = Callable[..., Page]


@pytest.fixture
def visit(browser: Browser, stage: tuple[Stage, str], ask: Ask) -> Iterator[Visit]:
    """Return a function that opens a path; a page that complains on the console fails the test."""
    complaints: list[str] = []
    pages: list[Page] = []

    def open_path(
        path: str,
        *,
        width: int = 800,
        scheme: str = "light",
        javascript: bool = True,
        context: BrowserContext | None = None,
    ) -> Page:
        if context is not None:
            page = context.new_page()
            pages.append(page)
            page.goto(stage[1] + path)
            return page
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
    # The browser's own note about a status is no complaint of the page.
    assert [text for text in complaints if "the server responded with a status of 4" not in text] == []

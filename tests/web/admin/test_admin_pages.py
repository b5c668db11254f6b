"""Every page of the admin area: valid HTML, no barrier that axe finds, readable on a phone, light in weight."""

from __future__ import annotations

from datetime import timedelta

import html5lib
import pytest
from axe_playwright_python.sync_playwright import Axe

from newsletter.flows.ask_to_sign_in import make_terminal_token
from newsletter.testing.clocks import FixedClock
from tests.flows.sign_in_fixtures import ADMIN, ROSTER, ask, mailed, make_sign_in_processor
from tests.web.admin.conftest import AskAs, VisitAs
from tests.web.conftest import KEYRING, LOWEST_CONTRAST, Ask, WebParts

OPEN_PAGES = (
    "/admin/sign-in",
    "/admin/sign-in/code",
    "/admin/in/forged",
    "/admin/in/{terminal}",
    "/admin/in/{expired}",
    "{mailed}",
)
"""Pages without a session."""
PAGES = (
    "/admin/",
    "/admin/log",
    "/admin/log?about=nothing",
    "/admin/settings",
    "/admin/settings/checks",
    "/admin/queue",
    "/admin/sessions",
    "/admin/sessions?changed",
    "/admin/confirm-identity",
    "/admin/nowhere",
)
"""Pages of a person who is signed in; add yours."""


@pytest.fixture
def tokens(parts: WebParts, clock: FixedClock) -> dict[str, str]:
    """Return what the addresses need."""
    before = clock.now() - timedelta(minutes=11)
    expired = make_terminal_token(parts.unit, KEYRING, ROSTER, ADMIN, who="root", now=before)
    terminal = make_terminal_token(parts.unit, KEYRING, ROSTER, ADMIN, who="root", now=clock.now())
    ask(parts.unit, now=clock.now())
    make_sign_in_processor(parts.unit).work(clock.now())
    return {"terminal": terminal, "expired": expired, "mailed": mailed(parts.unit).path}


def test_the_pages_are_valid_html(ask: Ask, ask_as: AskAs, tokens: dict[str, str]) -> None:
    """The strict parser of the HTML standard has no complaint."""
    admin = ask_as(ADMIN)
    # Refused, so that the page after it has a sentence to show.
    admin("POST", "/admin/sessions/4711/end")
    for path in PAGES:
        html5lib.HTMLParser(strict=True).parse(admin("GET", path).text)
    for path in OPEN_PAGES:
        html5lib.HTMLParser(strict=True).parse(ask("GET", path.format(**tokens)).text)
    html5lib.HTMLParser(strict=True).parse(ask("POST", "/admin/sign-in", data={"email": "ada"}).text)


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_have_no_barrier(visit_as: VisitAs, tokens: dict[str, str], scheme: str) -> None:
    """Axe finds no violation, every word has enough contrast, and nothing runs over the side of a small phone."""
    axe = Axe()
    for email, paths in ((ADMIN, PAGES), ("", OPEN_PAGES)):
        page = visit_as(email, "/admin/sign-in", scheme=scheme, width=320)
        for path in paths:
            page.goto(path.format(**tokens))
            violations = axe.run(page).response["violations"]
            assert [(path, rule["id"], [node["html"] for node in rule["nodes"]]) for rule in violations] == []
            assert page.evaluate("document.documentElement.scrollWidth") <= 320, path
            lowest = page.evaluate(LOWEST_CONTRAST)
            assert lowest["ratio"] >= 4.5, (path, lowest["text"])


@pytest.mark.browser
def test_a_first_visit_weighs_little(visit_as: VisitAs) -> None:
    """The home page with its styles and scripts is at most 60 KB, all of it from this host."""
    page = visit_as(ADMIN, "/admin/")
    sizes = page.evaluate(
        "performance.getEntries().filter(e => e.decodedBodySize).map(e => [e.name, e.decodedBodySize])"
    )
    assert sum(size for _, size in sizes) <= 60_000
    assert all(url.startswith(page.url.removesuffix("/admin/")) for url, _ in sizes)

"""Every public page and state: valid HTML, and no barrier that axe finds, in light and dark."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import html5lib
import pytest
from axe_playwright_python.sync_playwright import Axe

from newsletter.core.address import parse_address
from newsletter.core.token import LinkPurpose, LinkToken, make_link_token
from newsletter.flows.change_address import ask_to_change_address
from newsletter.store import address_change as address_changes
from newsletter.store import signup as signups
from newsletter.testing.clocks import FixedClock
from tests.flows.signup_fixtures import ask_for
from tests.web.conftest import KEYRING, Ask, Reader, Visit
from tests.web.signup_fixtures import ADA

PAGES = (
    *("/subscribe", "/subscribe/sent", "/c/{confirm}", "/c/forged", "/c/{expired}", "/u/{leave}", "/u/forged"),
    *(
        "/undo/{undo}",
        "/p/{leave}",
        "/me/{private}",
        "/me/{private}?saved",
        "/me/{private}/erase",
        "/me/forged",
        "/me/{private}?asked",
        "/address/{address}",
        "/block/{block}",
        "/subscribe/sent?again",
        "/imprint",
        "/privacy",
        "/elsewhere",
    ),
)


@pytest.fixture
def tokens(reader: Reader, clock: FixedClock) -> dict[str, str]:
    """Return a token of each kind."""
    ask_for(reader.unit, ADA, now=clock.now())
    new = parse_address("ann@work.example")
    ask_to_change_address(reader.unit, reader.id, new, network="", browser_hash="browser", now=clock.now())
    with reader.unit.read() as tx:
        [stored] = signups.of_addresses(tx, [ADA])
        [change] = address_changes.of_person(tx, reader.id)
    ends = clock.now() + timedelta(minutes=20)
    confirm = LinkToken(purpose=LinkPurpose.CONFIRM, id=stored.request.id, expires_at=ends)
    links = {
        "confirm": confirm,
        "expired": replace(confirm, expires_at=clock.now()),
        "block": replace(confirm, purpose=LinkPurpose.BLOCK),
        "undo": replace(confirm, purpose=LinkPurpose.UNDO, id=reader.id),
        "private": replace(confirm, purpose=LinkPurpose.PRIVATE, id=reader.id),
        "address": replace(confirm, purpose=LinkPurpose.ADDRESS, id=change.change.id),
    }
    return {name: make_link_token(KEYRING, link) for name, link in links.items()} | {"leave": reader.token}


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_valid_html(ask: Ask, tokens: dict[str, str], path: str) -> None:
    """The strict parser of the HTML standard has no complaint."""
    html5lib.HTMLParser(strict=True).parse(ask("GET", path.format(**tokens)).text)


@pytest.mark.parametrize(
    "fields", [{"email": ""}, {"email": "ada", "first_name": "x" * 101, "time_zone": "Nowhere/Never"}]
)
def test_a_page_with_mistakes_is_valid_html(ask: Ask, fields: dict[str, str]) -> None:
    """The form that comes back with sentences is as strict."""
    html5lib.HTMLParser(strict=True).parse(ask("POST", "/subscribe", data=fields).text)


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_a_barrier(visit: Visit, tokens: dict[str, str], scheme: str) -> None:
    """Names, roles, contrast, order of headings, size of targets: axe finds no violation of its rules."""
    axe = Axe()
    for path in PAGES:
        page = visit(path.format(**tokens), scheme=scheme)
        violations = axe.run(page).response["violations"]
        assert [(path, rule["id"], [node["html"] for node in rule["nodes"]]) for rule in violations] == []

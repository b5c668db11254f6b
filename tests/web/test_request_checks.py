"""What every route keeps to: reading changes nothing, and forms of other sites are refused."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
from jinja2 import Environment
from sqlalchemy import select
from starlette.datastructures import Headers
from starlette.routing import Route

from newsletter.core.address import parse_address
from newsletter.core.subscriber import SubscriberState
from newsletter.core.token import ActionKind, ActionToken, LinkPurpose, LinkToken, make_action_token, make_link_token
from newsletter.flows.change_address import ask_to_change_address
from newsletter.store import address_change as address_changes
from newsletter.store import signup as signups
from newsletter.store.schema import metadata
from newsletter.store.unit import Unit
from newsletter.testing.clocks import FixedClock
from newsletter.web.app import create_app
from newsletter.web.request_checks import SAFE_METHODS, same_origin
from tests.flows.signup_fixtures import ask_for
from tests.web.conftest import CADENCE, KEYRING, PUBLICATION, Ask, Reader, Stage, WebParts, asking

OWN = "https://news.example.com"
METRICS_TOKEN = "t" * 32


@pytest.fixture
def ask(stage: tuple[Stage, str], parts: WebParts) -> Iterator[Ask]:
    """Return a function that asks a web part with every route there is."""
    yield from asking(stage, parts, metrics_token=METRICS_TOKEN)


def database_digest(unit: Unit) -> str:
    """Return a digest of every row of every table."""
    digest = hashlib.sha256()
    with unit.read() as tx:
        for table in metadata.sorted_tables:
            rows = sorted(repr(tuple(row)) for row in tx.execute(select(table)))
            digest.update(f"{table.name}\n{rows}".encode())
    return digest.hexdigest()


Paths = Callable[[str], list[str]]


@pytest.fixture
def paths(reader: Reader, clock: FixedClock) -> Paths:
    """Return a function that gives, for the path of a route, addresses that are genuine where a token is needed."""
    date = clock.now().date().toordinal() + (CADENCE.weekday - clock.now().weekday()) % 7
    action = ActionToken(kind=ActionKind.SKIP, target=date, expires_at=clock.now() + timedelta(days=1))
    ask_for(reader.unit, "ada@example.org", now=clock.now())
    new = parse_address("ann@work.example")
    ask_to_change_address(reader.unit, reader.id, new, network="", browser_hash="browser", now=clock.now())
    with reader.unit.read() as tx:
        [change] = address_changes.of_person(tx, reader.id)
        [stored] = signups.of_addresses(tx, ["ada@example.org"])
    link = LinkToken(purpose=LinkPurpose.CONFIRM, id=stored.request.id, expires_at=clock.now() + timedelta(days=1))
    tokens = {
        "u": reader.token,
        "p": reader.token,
        "a": make_action_token(KEYRING, action),
        "c": make_link_token(KEYRING, link),
        "undo": make_link_token(KEYRING, replace(link, purpose=LinkPurpose.UNDO, id=reader.id)),
        "address": make_link_token(KEYRING, replace(link, purpose=LinkPurpose.ADDRESS, id=change.change.id)),
        "block": make_link_token(KEYRING, replace(link, purpose=LinkPurpose.BLOCK)),
        "me": make_link_token(KEYRING, replace(link, purpose=LinkPurpose.PRIVATE, id=reader.id)),
    }

    def addresses(path: str) -> list[str]:
        spelled = path.replace("{token:path}", "{token}")
        acts = ("data.json", "erase", "leave") if "{act}" in path else ("",)
        both = (tokens.get(path.split("/")[1], ""), "forged")
        return [spelled.replace("{token}", token).replace("{act}", act) for token in both for act in acts]

    return addresses


def routes(parts: WebParts) -> list[str]:
    """Return the path of every route there is."""
    app = create_app(parts, metrics_token=METRICS_TOKEN)
    return [route.path for route in app.routes if isinstance(route, Route)]


def test_get_head_and_options_change_nothing(ask: Ask, parts: WebParts, unit: Unit, paths: Paths) -> None:
    """On every route, with a genuine token and a forged one, the database is the same before and after."""
    before = database_digest(unit)
    for path in routes(parts):
        for address in paths(path):
            for method in SAFE_METHODS:
                ask(method, address, headers={"Authorization": f"Bearer {METRICS_TOKEN}"})
                assert database_digest(unit) == before, (method, address)


def test_a_form_of_another_site_is_refused(ask: Ask, parts: WebParts, unit: Unit, paths: Paths) -> None:
    """On every route but the opt-out, a form that another site sent changes nothing and says so."""
    before = database_digest(unit)
    foreign = (
        {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example.net"},
        {"Sec-Fetch-Site": "same-site", "Origin": "https://other.example.com"},
        {"Origin": "https://evil.example.net"},
    )
    for path in routes(parts):
        if path.split("/")[1] == "u":
            continue
        for address in paths(path):
            for headers in foreign:
                answer = ask("POST", address, headers=headers)
                assert (answer.status_code, "Nothing was changed" in answer.text) == (403, True), (address, headers)
    assert database_digest(unit) == before


def test_the_opt_out_comes_from_anywhere(ask: Ask, reader: Reader) -> None:
    """RFC 8058, section 3.1: nothing but the token counts."""
    answer = ask("POST", f"/u/{reader.token}", headers={"Sec-Fetch-Site": "cross-site", "Origin": "https://x.example"})
    assert (answer.status_code, reader.state) == (200, SubscriberState.UNSUBSCRIBED)


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, True),
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": OWN}, False),
        ({"Origin": OWN}, True),
        ({"Origin": "http://127.0.0.1:8080", "Host": "127.0.0.1:8080"}, True),
        ({"Origin": "null"}, True),
        ({"Origin": "https://news.example.com.evil.example"}, False),
        ({"Origin": "https://other.example.com"}, False),
    ],
)
def test_the_origin_of_a_form(headers: dict[str, str], allowed: bool) -> None:  # noqa: FBT001
    """`Sec-Fetch-Site` decides where it is sent, `Origin` elsewhere."""
    assert same_origin(Headers(headers), own_origin=OWN) is allowed


def test_browsers_are_kept_on_https(ask: Ask) -> None:
    """Where the newsletter has an https address, every answer says for a year that only https counts."""
    assert ask("GET", "/nothing").headers["Strict-Transport-Security"] == "max-age=31536000"


def test_a_plain_http_address_promises_no_https(unit: Unit, clock: FixedClock, templates: Environment) -> None:
    """On loopback there is no certificate, so nothing is said."""
    publication = replace(PUBLICATION, base_url="http://localhost:8080")
    app = create_app(WebParts(unit=unit, clock=clock, templates=templates, publication=publication))
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=publication.base_url)
    answer = asyncio.run(client.get("/nothing"))
    assert "Strict-Transport-Security" not in answer.headers

"""A security scanner with a whole browser opens every link of every mail: nothing is confirmed, left or changed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from email import message_from_string, policy

import pytest
from playwright.sync_api import Browser, BrowserContext
from sqlalchemy import select

from newsletter.core.address import parse_address
from newsletter.core.message import settings_url
from newsletter.core.message_identity import MessageIdentity
from newsletter.core.notice import READER_KINDS, NoticeKind
from newsletter.core.signup import SignupId
from newsletter.core.token import LinkPurpose, LinkToken, make_link_token
from newsletter.flows.change_address import ask_to_change_address, confirm_address
from newsletter.flows.confirm_signup import ConfirmedBy, confirm_signup
from newsletter.flows.own_settings import ask_for_link
from newsletter.store import address_change as address_changes
from newsletter.store import signup as signups
from newsletter.store.schema import notice
from newsletter.store.unit import Unit
from newsletter.testing.clocks import FixedClock
from tests.flows.people_fixtures import put
from tests.flows.signup_fixtures import ask_for
from tests.web.conftest import KEYRING, PUBLICATION, Ask, Reader, Stage, WebParts
from tests.web.signup_fixtures import processor_of
from tests.web.test_request_checks import database_digest

pytestmark = pytest.mark.browser

OTHER_KINDS = {NoticeKind.SIGN_IN, NoticeKind.NEW_BROWSER, NoticeKind.MISSED_TIP}
"""Mails of the admin area, which has a test of its own, and the message of an edition."""
LINK = re.compile(r"https://news\.example\.com(/[^\s\"<>]+)")


@pytest.fixture
def scanner(browser: Browser, stage: tuple[Stage, str]) -> Iterator[BrowserContext]:
    """Return a browser that runs scripts and has no cookie of the person."""
    context = browser.new_context(java_script_enabled=True, base_url=stage[1])
    yield context
    context.close()


def write_every_mail(parts: WebParts, reader: Reader, clock: FixedClock) -> None:
    """Cause each kind of mail that a reader gets, each with its links still open."""
    unit, now, processor = parts.unit, clock.now(), processor_of(parts)
    for number, email in enumerate(("confirmed@example.org", "open@example.org", "ann@example.com")):
        ask_for(unit, email, now=now, network=f"2001:db8:{number:x}::/56", browser_hash=email)
    ask_for_link(unit, reader.id, now=now)
    movers = [put(unit, f"{name}@example.net") for name in ("moved", "moving")]
    for person in movers:
        new = parse_address(f"new-{person.email}")
        ask_to_change_address(unit, person.id, new, network="", browser_hash="browser", now=now)
    processor.work(now)
    by = ConfirmedBy.SAME_BROWSER
    with unit.read() as tx:
        request = signups.of_addresses(tx, ["confirmed@example.org"])[0].request.id
        change = address_changes.of_person(tx, movers[0].id)[0].change.id
    confirm_signup(unit, KEYRING, SignupId(request), by=by, network="", now=now)
    confirm_address(unit, KEYRING, change, by=by, network="", now=now)
    processor.work(now)


def links_of_mails(unit: Unit) -> dict[NoticeKind, set[str]]:
    """Return the paths that the mails to readers link to, in any of their parts, by the kind of mail."""
    links: dict[NoticeKind, set[str]] = {}
    with unit.read() as tx:
        rows = tx.execute(select(notice.c.kind, notice.c.message)).all()
    for kind, text in rows:
        message = message_from_string(text, policy=policy.SMTP)
        parts = [part.get_content() for part in message.walk() if part.get_content_maintype() == "text"]  # type: ignore[attr-defined]
        links.setdefault(NoticeKind(kind), set()).update(LINK.findall("\n".join(parts)))
    return links


def test_a_scanner_changes_nothing(
    ask: Ask, parts: WebParts, reader: Reader, clock: FixedClock, scanner: BrowserContext
) -> None:
    """Every link of every mail to readers, with GET, HEAD and a browser that runs scripts: each row stays as it is."""
    write_every_mail(parts, reader, clock)
    links = links_of_mails(parts.unit)
    assert links.keys() == set(READER_KINDS) - OTHER_KINDS
    edition = MessageIdentity(PUBLICATION, KEYRING, 7, "nonce").unsubscribe_url(reader.id)  # type: ignore[arg-type]
    undo = LinkToken(purpose=LinkPurpose.UNDO, id=reader.id, expires_at=clock.now() + timedelta(minutes=20))
    paths = {path for linked in links.values() for path in linked}
    paths |= {LINK.findall(url)[0] for url in (edition, settings_url(edition))}
    paths |= {f"/undo/{make_link_token(KEYRING, undo)}"}
    assert {path.split("/")[1] for path in paths} == {"c", "block", "u", "p", "me", "address", "undo"}
    before = database_digest(parts.unit)
    for path in sorted(paths):
        assert ask("HEAD", path).status_code in {200, 409, 410}
        page = scanner.new_page()
        response = page.goto(path)
        page.wait_for_load_state("networkidle")
        assert response is not None
        assert response.status < 500
        assert page.evaluate("document.scripts.length") == 0, path
        # A scanner follows what a page links to as well.
        for further in page.eval_on_selector_all("a[href^='/']", "links => links.map(link => link.href)"):
            scanner.request.get(further)
        page.close()
        assert database_digest(parts.unit) == before, path
    assert scanner.cookies() == []

"""What the tests of signing in share: people of the settings, a browser that asks, and the mails it gets."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime
from email import message_from_string, policy

from newsletter.core.access import Roster, SignIn, SignInId, SignInOrigin
from newsletter.core.token import LinkPurpose, read_link_token
from newsletter.flows.ask_to_sign_in import SignInReply, ask_to_sign_in
from newsletter.flows.sign_in import Visitor
from newsletter.operations.reader_mail import ReaderMailRenderer
from newsletter.operations.sign_in_processor import SignInProcessor
from newsletter.operations.sign_in_texts import SignInLetters
from newsletter.render.texts import load_texts
from newsletter.store import notice as notices
from newsletter.store.unit import Unit
from tests.flows.people_fixtures import KEYRING
from tests.flows.signup_fixtures import PUBLICATION, TEMPLATES

ADMIN, EDITOR, STRANGER = "ada@example.org", "ed@example.org", "mallory@example.org"
ROSTER = Roster(admins=(ADMIN,), editors=(EDITOR,))
BROWSER = Visitor(
    session_hash="session 1",
    former_hash="none",
    asked_hash="asked",
    browser_hash="laptop",
    browser="Firefox on Linux",
    network="192.0.2.0/24",
)
OTHER_BROWSER = replace(BROWSER, session_hash="session 2", asked_hash="", browser_hash="phone")


def request_of(email: str, *, now: datetime, network: str = "192.0.2.0/24", browser_hash: str = "asked") -> SignIn:
    """Return a request of the browser."""
    return SignIn(
        id=SignInId(0),
        email=email,
        origin=SignInOrigin.PAGE,
        browser_hash=browser_hash,
        browser="Firefox on Linux",
        network=network,
        back="",
        asked_at=now,
    )


def ask(unit: Unit, email: str = ADMIN, *, now: datetime, network: str = "192.0.2.0/24") -> SignInReply:
    """Ask to sign in."""
    return ask_to_sign_in(unit, KEYRING, request_of(email, now=now, network=network), now=now)


def make_sign_in_processor(unit: Unit, roster: Roster = ROSTER) -> SignInProcessor:
    """Return the processor that stands beside the pages."""
    letters = SignInLetters(
        publication=PUBLICATION, keyring=KEYRING, zone="America/New_York", texts=load_texts(TEMPLATES, "en")
    )
    renderer = ReaderMailRenderer(publication=PUBLICATION, templates=TEMPLATES)
    return SignInProcessor(unit=unit, letters=letters, renderer=renderer, roster=roster)


def mails_to(unit: Unit, email: str) -> list[str]:
    """Return the text of each mail to an address, oldest first."""
    with unit.read() as tx:
        messages = [message_from_string(item.message, policy=policy.SMTP) for item in notices.to_addresses(tx, [email])]
    return [str(message.get_body(("plain",)).get_content()) for message in messages]  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Mailed:
    """What the newest mail says."""

    id: SignInId
    path: str
    code: str


def mailed(unit: Unit, email: str = ADMIN) -> Mailed:
    """Return the link and the code of the newest mail."""
    text = [text for text in mails_to(unit, email) if "/admin/in/" in text][-1]
    [token] = re.findall(r"https://news\.example\.com/admin/in/(\S+)", text)
    link = read_link_token(KEYRING, token, LinkPurpose.SIGN_IN)
    assert link is not None
    [code] = re.findall(r"\b[0-9A-Z]{4}-[0-9A-Z]{4}\b", text)
    return Mailed(id=SignInId(link.id), path=f"/admin/in/{token}", code=code)

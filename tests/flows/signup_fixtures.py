"""What the tests of sign-ups share: a request, and a processor that decides about it."""

from __future__ import annotations

from datetime import datetime, time

from newsletter.core.address import parse_address
from newsletter.core.cadence import Cadence
from newsletter.core.message import Publication
from newsletter.core.signup import Signup, SignupId
from newsletter.flows.ask_to_subscribe import Consented, SignupReply, ask_to_subscribe
from newsletter.operations.own_request_processor import OwnRequestProcessor
from newsletter.operations.reader_mail import ReaderMailRenderer
from newsletter.operations.signup_processor import SignupProcessor
from newsletter.operations.signup_texts import SignupLetters
from newsletter.render.environment import make_environment
from newsletter.render.texts import load_texts
from newsletter.store.unit import Unit
from newsletter.testing.clocks import START
from tests.flows.people_fixtures import KEYRING

CONSENTED = Consented(text="I want it once a week.", language="en")
PUBLICATION = Publication(
    name="Tip of the Week",
    from_email="tips@news.example.com",
    reply_to="hello@news.example.com",
    postal_address="Example Society\n1 Example Street",
    base_url="https://news.example.com",
)
CADENCE = Cadence(weekday=1, at=time(9), zone="America/New_York")
TEMPLATES = make_environment(None)


def ask_for(
    unit: Unit,
    email: str,
    *,
    now: datetime = START,
    network: str = "192.0.2.0/24",
    browser_hash: str = "browser",
    first_name: str = "",
    time_zone: str = "",
    suspect: str = "",
    puzzle: str = "",
) -> SignupReply:
    """Ask to subscribe an address."""
    address = parse_address(email)
    request = Signup(
        id=SignupId(0),
        email=address.email,
        canonical=address.canonical,
        first_name=first_name,
        time_zone=time_zone,
        wording="",
        network=network,
        browser_hash=browser_hash,
        origin="/subscribe",
        suspect=suspect,
        asked_at=now,
    )
    return ask_to_subscribe(unit, KEYRING, request, CONSENTED, puzzle=puzzle, now=now)


def make_processor(unit: Unit) -> SignupProcessor:
    """Return a processor with the shipped templates."""
    letters = SignupLetters(
        publication=PUBLICATION, keyring=KEYRING, cadence=CADENCE, texts=load_texts(TEMPLATES, "en")
    )
    renderer = ReaderMailRenderer(publication=PUBLICATION, templates=TEMPLATES)
    return SignupProcessor(unit=unit, letters=letters, renderer=renderer)


def make_own_request_processor(unit: Unit) -> OwnRequestProcessor:
    """Return the processor of private links and changes of address."""
    processor = make_processor(unit)
    return OwnRequestProcessor(unit=unit, letters=processor.letters, renderer=processor.renderer)

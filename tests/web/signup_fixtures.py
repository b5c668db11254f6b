"""What the tests of the sign-up pages share: a reader who asks, and the mail that she gets."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from email import message_from_string, policy

import httpx

from newsletter.operations.own_request_processor import OwnRequestProcessor
from newsletter.operations.reader_mail import ReaderMailRenderer
from newsletter.operations.signup_processor import SignupProcessor
from newsletter.operations.signup_texts import SignupLetters
from newsletter.render.texts import load_texts
from newsletter.store import notice as notices
from newsletter.testing.clocks import FixedClock
from newsletter.web.asking_browser import ASKED_COOKIE
from tests.web.conftest import CADENCE, KEYRING, PUBLICATION, Ask, WebParts

ADA = "ada@example.org"


@dataclass(frozen=True)
class Processors:
    """What stands beside the pages."""

    signups: SignupProcessor
    own_requests: OwnRequestProcessor

    def work(self, now: datetime) -> int:
        """Let each do what waits."""
        return self.signups.work(now) + self.own_requests.work(now)


def processor_of(parts: WebParts) -> Processors:
    """Return the processors that stand beside the pages."""
    texts = load_texts(parts.templates, "en")
    letters = SignupLetters(publication=PUBLICATION, keyring=KEYRING, cadence=CADENCE, texts=texts)
    renderer = ReaderMailRenderer(publication=PUBLICATION, templates=parts.templates)
    return Processors(
        signups=SignupProcessor(unit=parts.unit, letters=letters, renderer=renderer),
        own_requests=OwnRequestProcessor(unit=parts.unit, letters=letters, renderer=renderer),
    )


def stamp_of(html: str) -> str:
    """Return the signed time of a form."""
    return re.findall(r'name="shown" value="([^"]+)"', html)[0]


def post_form(ask: Ask, clock: FixedClock, email: str = ADA, **fields: str) -> httpx.Response:
    """Open the form, take some seconds, and send it."""
    stamp = stamp_of(ask("GET", "/subscribe").text)
    clock.turn(seconds=10)
    return ask("POST", "/subscribe", data={"email": email, "shown": stamp, **fields})


def cookie_of(response: httpx.Response) -> dict[str, str]:
    """Return the cookie that a browser would send from now on; httpx keeps no secure one for plain http."""
    value = re.findall(rf"{ASKED_COOKIE}=([^;]+)", response.headers["Set-Cookie"])[0]
    return {"Cookie": f"{ASKED_COOKIE}={value}"}


def mail_to(parts: WebParts, email: str = ADA) -> str:
    """Return the text of the newest mail to an address."""
    with parts.unit.read() as tx:
        message = message_from_string(notices.to_addresses(tx, [email])[-1].message, policy=policy.SMTP)
    body = message.get_body(("plain",))  # type: ignore[attr-defined]
    return str(body.get_content())


def link_of(text: str) -> str:
    """Return the path of the link that confirms."""
    return re.findall(r"https://news\.example\.com(/c/\S+)", text)[0]


def code_of(text: str) -> str:
    """Return the code that confirms."""
    return re.findall(r"\b[0-9A-Z]{4}-[0-9A-Z]{4}\b", text)[0]

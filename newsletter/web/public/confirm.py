"""Confirming a sign-up: `/c/{token}`.

In: a request from a reader of the mail, which may be a scanner. Out: a page. GET changes nothing. In the browser that
asked, known by its cookie, the page presses its button by itself; in another one a person presses it; a scanner has no
cookie, so nothing presses it there.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from newsletter.core.address import mask_address
from newsletter.core.cadence import describe_date, describe_instant, is_zone, local
from newsletter.core.signup import SignupId
from newsletter.core.token import LinkPurpose, LinkToken, read_link_token
from newsletter.flows.confirm_signup import (
    Confirmation,
    Confirmed,
    ConfirmedBy,
    confirm_signup,
    look_at_signup,
)
from newsletter.flows.next_issue import next_issue_at
from newsletter.store import page_list
from newsletter.web.asking_browser import browser_hash
from newsletter.web.client_address import client_network
from newsletter.web.forms import path_token
from newsletter.web.public.frame import PublicFrame
from newsletter.web.responses import KIND_HEADERS, RETRY_SECONDS, ResponseKind
from newsletter.web.site import Area, Busy, Site

logger = logging.getLogger(__name__)

CONFIRMED_TIPS_COUNT = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """What a new reader may expect."""

    first: str = ""
    """When the first tip comes, in words."""
    latest: Sequence[tuple[str, str, str]] = ()
    """Date, title and path of the latest tips of the archive."""


class ConfirmationPages:
    """The answers of `/c/{token}`, and the page of a person who has confirmed."""

    def __init__(self, site: Site, frame: PublicFrame) -> None:
        self._site = site
        self._frame = frame
        self._unknown = frame.message("unknown")
        self._trouble = frame.message("trouble")
        self._expired = frame.message("expired", button_path="/subscribe")
        frame.page("confirm", words=frame.section("confirm"), same_browser=True)
        frame.page("confirmed", words=frame.section("confirmed"), first="", latest=())

    async def __call__(self, request: Request) -> Response:
        """Answer one request."""
        if request.method == "OPTIONS":
            return Response(status_code=204, headers={**KIND_HEADERS[ResponseKind.SECRET], "Allow": "GET, HEAD, POST"})
        link = read_link_token(self._site.keyring, path_token(request), LinkPurpose.CONFIRM)
        if link is None:
            return self._unknown.response(404)
        if self._site.clock.now() >= link.expires_at:
            return self._expired.response(410)
        try:
            return await self._answer(request, link)
        except Busy:
            return self._trouble.response(503, {"Retry-After": str(RETRY_SECONDS)})

    async def _answer(self, request: Request, link: LinkToken) -> Response:
        site, signup_id = self._site, SignupId(link.id)
        about = f"confirmation of sign-up {signup_id}"
        standing = await site.ask(
            lambda: look_at_signup(site.unit, signup_id, now=site.clock.now()), about=about, area=Area.PUBLIC
        )
        same_browser = standing.signup is not None and standing.signup.browser_hash == browser_hash(request)
        if request.method != "POST":
            return self.result(standing, Beginning(), same_browser=same_browser)
        network = client_network(request, self._frame.options.trusted_proxies)
        by = ConfirmedBy.SAME_BROWSER if same_browser else ConfirmedBy.OTHER_BROWSER

        def question() -> tuple[Confirmation, Beginning]:
            now = site.clock.now()
            result = confirm_signup(site.unit, site.keyring, signup_id, by=by, network=network, now=now)
            return result, self.beginning(result, now)

        result, beginning = await site.ask(question, about=about, area=Area.PUBLIC)
        if result.outcome is Confirmed.NOW:
            logger.info("%s: subscriber %s", about, result.subscriber_id)
        return self.result(result, beginning)

    def beginning(self, result: Confirmation, now: datetime) -> Beginning:
        """Return what a person who has just confirmed may expect: the first tip, in words, and the latest ones."""
        if result.outcome is not Confirmed.NOW or result.signup is None:
            return Beginning()
        cadence, zone = self._site.plan_rules.cadence, result.signup.time_zone
        with self._site.unit.read() as tx:
            next_at = next_issue_at(tx, cadence, zone, now=now)
            entries = page_list.newest(tx, count=CONFIRMED_TIPS_COUNT)
        own = is_zone(zone)
        day = describe_instant(next_at, zone if own else cadence.zone)
        sender = self._frame.publication.from_email
        return Beginning(
            first=self._frame.words("confirmed", "first_local" if own else "first", day=day, sender=sender),
            latest=[
                (describe_date(entry.published_on), entry.title, f"/tips/{quote(entry.slug, safe='')}")
                for entry in entries
            ],
        )

    def result(self, result: Confirmation, beginning: Beginning, *, same_browser: bool = False) -> Response:
        """Return the page of an outcome."""
        frame = self._frame
        match result.outcome:
            case Confirmed.OPEN:
                address = mask_address(result.signup.email) if result.signup else ""
                words = frame.section("confirm", address=address)
                page = frame.page("confirm", scripted=same_browser, words=words, same_browser=same_browser)
                return page.response(200)
            case Confirmed.NOW:
                words = frame.section("confirmed", sender=frame.publication.from_email)
                return frame.page("confirmed", words=words, first=beginning.first, latest=beginning.latest).response(
                    200
                )
            case Confirmed.BEFORE:
                zone = self._site.plan_rules.cadence.zone
                day = describe_date(local(result.confirmed_at, zone).date()) if result.confirmed_at else ""
                return frame.message("used", button_path="/subscribe", day=day).response(200)
            case Confirmed.EXPIRED:
                return self._expired.response(410)
            case _:
                return self._unknown.response(404)

"""Confirming a change of address: `/address/{token}`, the link in the mail to the new address.

In: a request from a reader of that mail, which may be a scanner. Out: a page. GET changes nothing; as with a sign-up,
the page presses its button by itself only in the browser that asked, known by its cookie.
"""

from __future__ import annotations

import logging

from starlette.requests import Request
from starlette.responses import Response

from newsletter.core.address import mask_address
from newsletter.core.address_change import AddressChangeId
from newsletter.core.token import LinkPurpose, LinkToken, read_link_token
from newsletter.flows.change_address import AddressConfirmation, ChangedAddress, confirm_address, look_at_change
from newsletter.flows.confirm_signup import ConfirmedBy
from newsletter.web.asking_browser import browser_hash
from newsletter.web.client_address import client_network
from newsletter.web.forms import path_token
from newsletter.web.pages import Page
from newsletter.web.public.frame import PublicFrame
from newsletter.web.responses import RETRY_SECONDS
from newsletter.web.site import Area, Busy, Site

logger = logging.getLogger(__name__)

_MESSAGES = {
    ChangedAddress.NOW: ("address_now", 200),
    ChangedAddress.BEFORE: ("address_used", 200),
    ChangedAddress.TAKEN: ("address_taken", 409),
    ChangedAddress.EXPIRED: ("address_expired", 410),
}


class NewAddressPages:
    """The answers of `/address/{token}`."""

    def __init__(self, site: Site, frame: PublicFrame) -> None:
        self._site = site
        self._frame = frame
        self._unknown = frame.message("unknown")
        self._trouble = frame.message("trouble")
        self._expired = frame.message("address_expired")
        self._button("ann@example.com", same_browser=True)

    async def __call__(self, request: Request) -> Response:
        """Answer one request."""
        link = read_link_token(self._site.keyring, path_token(request), LinkPurpose.ADDRESS)
        if link is None:
            return self._unknown.response(404)
        if self._site.clock.now() >= link.expires_at:
            return self._expired.response(410)
        try:
            return await self._answer(request, link)
        except Busy:
            return self._trouble.response(503, {"Retry-After": str(RETRY_SECONDS)})

    async def _answer(self, request: Request, link: LinkToken) -> Response:
        site, change_id = self._site, AddressChangeId(link.id)
        about = f"change of address {change_id}"
        standing = await site.ask(
            lambda: look_at_change(site.unit, change_id, now=site.clock.now()), about=about, area=Area.PUBLIC
        )
        same_browser = standing.change is not None and standing.change.browser_hash == browser_hash(request)
        if request.method != "POST":
            return self._result(standing, same_browser=same_browser)
        network = client_network(request, self._frame.options.trusted_proxies)
        by = ConfirmedBy.SAME_BROWSER if same_browser else ConfirmedBy.OTHER_BROWSER

        def question() -> AddressConfirmation:
            return confirm_address(site.unit, site.keyring, change_id, by=by, network=network, now=site.clock.now())

        result = await site.ask(question, about=about, area=Area.PUBLIC)
        if result.outcome is ChangedAddress.NOW:
            logger.info("%s: done", about)
        return self._result(result)

    def _result(self, result: AddressConfirmation, *, same_browser: bool = False) -> Response:
        new = mask_address(result.change.email) if result.change else ""
        if result.outcome is ChangedAddress.OPEN:
            return self._button(new, same_browser=same_browser).response(200)
        if result.outcome is ChangedAddress.UNKNOWN:
            return self._unknown.response(404)
        section, status = _MESSAGES[result.outcome]
        return self._frame.message(section, new=new).response(status)

    def _button(self, new: str, *, same_browser: bool) -> Page:
        words = self._frame.section("address", new=new)
        return self._frame.page("confirm", scripted=same_browser, words=words, same_browser=same_browser)

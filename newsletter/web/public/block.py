"""Blocking an address: `/block/{token}`, the second link of a mail to confirm.

In: a request from the owner of the address, or a scanner. Out: a page. GET changes nothing; one button blocks the
address, and the page after it has one that takes it back.
"""

from __future__ import annotations

import logging

from starlette.requests import Request
from starlette.responses import Response

from newsletter.core.address import mask_address
from newsletter.core.signup import SignupId
from newsletter.core.token import LinkPurpose, read_link_token
from newsletter.flows.block_address import address_to_block, block_address, unblock_address
from newsletter.web.forms import path_token, read_fields
from newsletter.web.pages import Page
from newsletter.web.public.frame import PublicFrame
from newsletter.web.responses import RETRY_SECONDS
from newsletter.web.site import Area, Busy, Site

logger = logging.getLogger(__name__)


class BlockPages:
    """The answers of `/block/{token}`."""

    def __init__(self, site: Site, frame: PublicFrame) -> None:
        self._site = site
        self._frame = frame
        self._unknown = frame.message("unknown")
        self._trouble = frame.message("trouble")
        self._button("block", "", act="block")

    async def __call__(self, request: Request) -> Response:
        """Answer one request."""
        link = read_link_token(self._site.keyring, path_token(request), LinkPurpose.BLOCK)
        if link is None:
            return self._unknown.response(404)
        if self._site.clock.now() >= link.expires_at:
            return self._unknown.response(410)
        try:
            return await self._answer(request, SignupId(link.id))
        except Busy:
            return self._trouble.response(503, {"Retry-After": str(RETRY_SECONDS)})

    async def _answer(self, request: Request, signup_id: SignupId) -> Response:
        site, about = self._site, f"block, sign-up {signup_id}"
        email = await site.ask(lambda: address_to_block(site.unit, signup_id), about=about, area=Area.PUBLIC)
        if not email:
            return self._unknown.response(410)
        if request.method != "POST":
            return self._button("block", email, act="block").response(200)
        is_undone = (await read_fields(request)).get("act") == "unblock"

        def question() -> bool:
            if is_undone:
                return unblock_address(site.unit, site.keyring, signup_id)
            return block_address(site.unit, site.keyring, signup_id, now=site.clock.now())

        if not await site.ask(question, about=about, area=Area.PUBLIC):
            return self._unknown.response(410)
        logger.info("%s: %s", about, "taken back" if is_undone else "done")
        if is_undone:
            return self._frame.message("unblocked", button_path="/subscribe").response(200)
        return self._button("blocked", email, act="unblock").response(200)

    def _button(self, section: str, email: str, *, act: str) -> Page:
        words = self._frame.section(section, subscriber=mask_address(email) if email else "")
        return self._frame.page("block", words=words, act=act)

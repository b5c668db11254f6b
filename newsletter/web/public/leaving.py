"""The pages around leaving: whose mail it is, and what a person may still say afterwards.

In: a genuine opt-out link, or the token of the page after it. Out: pages. Leaving itself is the business of
`web/one_click.py`, which falls back to pages without an address when the database does not answer.
"""

from __future__ import annotations

import logging

from starlette.requests import Request
from starlette.responses import Response

from newsletter.core.address import mask_address
from newsletter.core.cadence import describe_date, local
from newsletter.core.subscriber import SubscriberId
from newsletter.core.token import LinkPurpose, LinkToken, make_unsubscribe_token, read_link_token
from newsletter.flows.opt_out import OptOut, masked_address
from newsletter.flows.undo_leaving import (
    REASON_LENGTH_MAX,
    AfterLeaving,
    LeavingChange,
    change_after_leaving,
    make_undo_token,
)
from newsletter.web.forms import path_token, read_fields
from newsletter.web.pages import Page
from newsletter.web.public.frame import PublicFrame
from newsletter.web.responses import RETRY_SECONDS
from newsletter.web.site import Area, Busy, Site

logger = logging.getLogger(__name__)

_ACTS = {act.value: act for act in AfterLeaving}


class LeavingPages:
    """The page before leaving, the one after it, and the answers of `/undo/{token}`."""

    def __init__(self, site: Site, frame: PublicFrame) -> None:
        self._site = site
        self._frame = frame
        self._unknown = frame.message("unknown")
        self._trouble = frame.message("trouble")
        self._expired = frame.message("undo_expired", button_path="/subscribe")
        self._button("ann@example.com", "token")
        self._left("ann@example.com", "token")

    async def ask(self, subscriber_id: SubscriberId) -> Page:
        """Return the page with the button; raises `Busy`."""
        site = self._site
        address = await site.ask(
            lambda: masked_address(site.unit, subscriber_id), about="opt-out page", area=Area.OPT_OUT
        )
        return self._button(address, make_unsubscribe_token(site.keyring, subscriber_id))

    def left(self, result: OptOut) -> Page:
        """Return the page after leaving; only a press that changed something can be taken back."""
        if result.person is None:
            return self._left("", "")
        token = ""
        if result.changed and result.before is not None:
            token = make_undo_token(self._site.keyring, result.before, left_at=result.person.state_since)
        return self._left(mask_address(result.person.email), token)

    async def __call__(self, request: Request) -> Response:
        """Answer one request for `/undo/{token}`."""
        link = read_link_token(self._site.keyring, path_token(request), LinkPurpose.UNDO)
        if link is None:
            return self._unknown.response(404)
        if self._site.clock.now() >= link.expires_at:
            return self._expired.response(410)
        if request.method != "POST":
            return self._left("", path_token(request)).response(200)
        fields = await read_fields(request)
        act = _ACTS.get(fields.get("act", ""))
        if act is None:
            return self._left("", path_token(request)).response(422)
        try:
            return await self._change(link, act, fields.get("reason", ""))
        except Busy:
            return self._trouble.response(503, {"Retry-After": str(RETRY_SECONDS)})

    async def _change(self, link: LinkToken, act: AfterLeaving, reason: str) -> Response:
        site = self._site
        about = f"after leaving, {act.value}, subscriber {link.id}"

        def question() -> LeavingChange:
            return change_after_leaving(site.unit, link, act, reason=reason, now=site.clock.now())

        result = await site.ask(question, about=about, area=Area.PUBLIC)
        if result.changed:
            logger.info("%s", about)
        if act is AfterLeaving.REASON:
            return self._frame.message("reason_kept").response(200)
        if not result.changed:
            return self._frame.message("undo_late", button_path="/subscribe").response(409)
        if result.paused_until is None:
            return self._frame.message("back").response(200)
        day = describe_date(local(result.paused_until, site.plan_rules.cadence.zone).date())
        return self._frame.message("paused", day=day).response(200)

    def _button(self, address: str, token: str) -> Page:
        words = self._frame.section("leave", subscriber=address)
        return self._frame.page("leave", words=words, address=address, token=token)

    def _left(self, address: str, token: str) -> Page:
        return self._frame.page(
            "left",
            words=self._frame.section("left", subscriber=address),
            address=address,
            token=token,
            reason_length=str(REASON_LENGTH_MAX),
        )

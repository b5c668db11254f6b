"""A person's own settings: `/p/{token}` mails the private link, `/me/{token}` is where it leads.

In: the opt-out token of a mail, which opens nothing by itself since mails are forwarded, or the token of the private
link. Out: pages. Each form saves alone, and what cannot be undone asks on a page of its own.
"""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from newsletter.core.address import mask_address
from newsletter.core.cadence import describe_date, is_zone, local
from newsletter.core.delivery import DeliveryState
from newsletter.core.subscriber import SubscriberId, SubscriberState
from newsletter.core.token import LinkPurpose, read_link_token, read_unsubscribe_token
from newsletter.errors import InputError
from newsletter.flows.change_address import ask_to_change_address
from newsletter.flows.hold import CANCELLED
from newsletter.flows.opt_out import masked_address
from newsletter.flows.own_settings import (
    PAUSE_MAX,
    OwnChange,
    OwnSettings,
    SentIssue,
    ask_for_link,
    change_own_settings,
    own_data,
    own_settings,
    pause_end,
    pause_oneself,
)
from newsletter.flows.undo_leaving import PAUSE_SPAN
from newsletter.web.asking_browser import hash_of_browser, remember_browser
from newsletter.web.client_address import client_network
from newsletter.web.forms import path_token, read_fields
from newsletter.web.pages import Page
from newsletter.web.public.frame import PublicFrame
from newsletter.web.public.signup_form import read_address
from newsletter.web.public.zone_options import ZoneOptions
from newsletter.web.responses import KIND_HEADERS, RETRY_SECONDS, ResponseKind
from newsletter.web.site import Area, Busy, Site

logger = logging.getLogger(__name__)

_SKIPPED_KEYS = {
    "paused": "skipped_paused",
    "unsubscribed": "skipped_unsubscribed",
    "left": "skipped_unsubscribed",
    CANCELLED: "skipped_cancelled",
}
"""The sentences about a mail that was not sent, by the reason that its row has."""
SERVER_WORDS_LENGTH_MAX = 200
CATCH_UP = "catch-up"
"""The value of the choice to have the missed tips afterwards."""
ADDRESS_ACT = "address"
"""Only asked for here: the new address confirms it on a page of its own."""

_CHANGES = {change.value: change for change in OwnChange}


class OwnSettingsPages:
    """The answers of `/p/{token}`, `/me/{token}` and what lies below it."""

    def __init__(self, site: Site, frame: PublicFrame) -> None:
        self._site = site
        self._frame = frame
        self._zones = ZoneOptions() if site.plan_rules.cadence.locally else None
        self._unknown = frame.message("unknown")
        self._trouble = frame.message("trouble")
        self._gone = frame.message("me_gone")
        self._link_sent = frame.message("link_sent")
        self._erased = frame.message("erased")
        self._link("")
        self._erase("/me/x")
        sample = OwnSettings(
            email="ann@example.com",
            first_name="",
            time_zone="",
            state=SubscriberState.ACTIVE,
            state_why="",
            since=site.clock.now(),
            paused_until=None,
            catches_up=True,
            history=(),
        )
        self._settings("/me/x", sample)

    async def ask(self, request: Request) -> Response:
        """Answer `/p/{token}`: one button, and a mail to the person's own address."""
        link = read_unsubscribe_token(self._site.keyring, path_token(request))
        if link is None:
            return self._unknown.response(404)
        site, who = self._site, link.subscriber_id
        try:
            if request.method != "POST":
                address = await site.ask(lambda: masked_address(site.unit, who), about="private link", area=Area.PUBLIC)
                return self._link(address).response(200)
            await site.ask(
                lambda: ask_for_link(site.unit, who, now=site.clock.now()), about="private link", area=Area.PUBLIC
            )
        except Busy:
            return self._trouble.response(503, {"Retry-After": str(RETRY_SECONDS)})
        return self._link_sent.response(200)

    async def __call__(self, request: Request) -> Response:
        """Answer `/me/{token}` and `/me/{token}/{act}`."""
        token, act = request.path_params["token"], request.path_params.get("act", "")
        link = read_link_token(self._site.keyring, token, LinkPurpose.PRIVATE)
        if link is None or self._site.clock.now() >= link.expires_at:
            return self._gone.response(404 if link is None else 410)
        path, who = f"{self._frame.base_path}/me/{token}", SubscriberId(link.id)
        try:
            if request.method == "POST":
                return await self._change(request, path, who, act)
            return await self._show(request, path, who, act)
        except Busy:
            return self._trouble.response(503, {"Retry-After": str(RETRY_SECONDS)})

    async def _show(self, request: Request, path: str, who: SubscriberId, act: str) -> Response:
        site = self._site
        if act == "data.json":
            known = await site.ask(
                lambda: own_data(site.unit, site.keyring, who, now=site.clock.now()),
                about=f"data of subscriber {who}",
                area=Area.PUBLIC,
            )
            if known is None:
                return self._gone.response(410)
            headers = {"Content-Disposition": 'attachment; filename="my-data.json"', "Content-Type": "application/json"}
            text = json.dumps(known, ensure_ascii=False, indent=2)
            return Response(text, headers={**KIND_HEADERS[ResponseKind.SECRET], **headers})
        if act == "erase":
            return self._erase(path).response(200)
        if act:
            return self._unknown.response(404)
        known_settings = await self._read(who)
        if known_settings is None:
            return self._gone.response(410)
        note = next((name for name in ("saved", "asked") if name in request.query_params), "")
        return self._settings(path, known_settings, note=note).response(200)

    async def _change(self, request: Request, path: str, who: SubscriberId, act: str) -> Response:
        change = _CHANGES.get(act)
        if change is None and act != ADDRESS_ACT:
            return self._unknown.response(404)
        fields = await read_fields(request)
        value = fields.get("value", "")
        if change is None:
            return await self._ask_new_address(request, path, who, value)
        site = self._site

        def question() -> str:
            now = site.clock.now()
            try:
                if change is OwnChange.PAUSE:
                    self._pause(who, fields, now)
                else:
                    change_own_settings(site.unit, site.keyring, who, change, value, now=now)
            except InputError as error:
                return str(error)
            return ""

        mistake = await site.ask(question, about=f"own settings, {act}, subscriber {who}", area=Area.PUBLIC)
        if mistake:
            return await self._refuse(path, who, mistake)
        logger.info("own settings, %s: subscriber %s", act, who)
        if change is OwnChange.ERASE:
            return self._erased.response(200)
        headers = dict(KIND_HEADERS[ResponseKind.SECRET])
        return RedirectResponse(f"{path}?saved", status_code=303, headers=headers)

    def _pause(self, who: SubscriberId, fields: Mapping[str, str], now: datetime) -> None:
        known = own_settings(self._site.unit, who)
        zone = known.time_zone if known and is_zone(known.time_zone) else self._site.plan_rules.cadence.zone
        until = pause_end(fields.get("until", ""), zone, now=now)
        catch_up = fields.get("afterwards") == CATCH_UP
        pause_oneself(self._site.unit, who, until=until, catch_up=catch_up, now=now)

    async def _ask_new_address(self, request: Request, path: str, who: SubscriberId, value: str) -> Response:
        mistakes: dict[str, str] = {}
        address = read_address(self._frame, value.strip(), mistakes)
        if address is None:
            return await self._refuse(path, who, mistakes["email"])
        site, browser = self._site, secrets.token_urlsafe(18)
        network = client_network(request, self._frame.options.trusted_proxies)

        def question() -> str:
            now, hashed = site.clock.now(), hash_of_browser(browser)
            try:
                ask_to_change_address(site.unit, who, address, network=network, browser_hash=hashed, now=now)
            except InputError as error:
                return str(error)
            return ""

        mistake = await site.ask(question, about=f"change of address, subscriber {who}", area=Area.PUBLIC)
        if mistake:
            return await self._refuse(path, who, mistake)
        response = RedirectResponse(f"{path}?asked", status_code=303, headers=dict(KIND_HEADERS[ResponseKind.SECRET]))
        remember_browser(response, browser)
        return response

    async def _refuse(self, path: str, who: SubscriberId, mistake: str) -> Response:
        known = await self._read(who)
        page = self._gone if known is None else self._settings(path, known, mistake=mistake)
        return page.response(422)

    async def _read(self, who: SubscriberId) -> OwnSettings | None:
        site = self._site
        return await site.ask(
            lambda: own_settings(site.unit, who), about=f"settings of subscriber {who}", area=Area.PUBLIC
        )

    def _link(self, address: str) -> Page:
        return self._frame.page("link", words=self._frame.section("link", subscriber=address), address=address)

    def _erase(self, path: str) -> Page:
        return self._frame.page("erase", words=self._frame.section("erase"), path=path)

    def _settings(self, path: str, known: OwnSettings, *, note: str = "", mistake: str = "") -> Page:
        zone = known.time_zone if is_zone(known.time_zone) else self._site.plan_rules.cadence.zone
        since = describe_date(local(known.since, zone).date())
        today = local(self._site.clock.now(), zone).date()
        return self._frame.page(
            "me",
            words=self._frame.section("me", subscriber=mask_address(known.email), day=since),
            standing=self._standing(known, zone),
            can_pause=known.state is SubscriberState.ACTIVE,
            can_resume=known.state is SubscriberState.PAUSED,
            catches_up=known.catches_up,
            first_day=(today + timedelta(days=1)).isoformat(),
            last_day=(today + PAUSE_MAX).isoformat(),
            usual_day=(today + PAUSE_SPAN).isoformat(),
            first_name=known.first_name,
            zone_options=self._zones.chosen(zone) if self._zones else "",
            history=[
                {"day": describe_date(issue.date), "title": issue.title, "outcome": self._outcome(issue)}
                for issue in known.history
            ],
            arriving=self._frame.section("arriving", sender=self._frame.publication.from_email),
            path=path,
            note=self._frame.words("me", note) if note else "",
            mistake=mistake,
        )

    def _standing(self, known: OwnSettings, zone: str) -> str:
        words = self._frame.words
        if known.paused_until is not None:
            return words("me", "paused_until", day=describe_date(local(known.paused_until, zone).date()))
        names = {
            SubscriberState.ACTIVE: "active",
            SubscriberState.PAUSED: "paused",
            SubscriberState.PENDING: "pending",
            SubscriberState.BOUNCED: "bounced",
        }
        return words("me", names.get(known.state, "left"))

    def _outcome(self, issue: SentIssue) -> str:
        words = self._frame.texts["history"]
        if issue.bounced:
            outcome = words["bounced"]
        elif issue.state in {DeliveryState.QUEUED, DeliveryState.SENDING}:
            outcome = words["waiting"]
        else:
            outcome = words[_SKIPPED_KEYS.get(issue.reason, issue.state.value)]
        server_words = " ".join(issue.server_said.split())[:SERVER_WORDS_LENGTH_MAX]
        return f"{outcome} {self._frame.words('history', 'said', words=server_words)}" if server_words else outcome

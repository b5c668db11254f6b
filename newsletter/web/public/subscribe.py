"""Signing up: the form, the page after it, and the puzzle that is asked for while too many requests come.

In: a request by anybody. Out: one row in the database, and the same answer whatever the address is. GET shows the form,
POST takes it; a form on another site of the operator's may post it too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from newsletter.core.cadence import describe_date, describe_instant, local
from newsletter.core.return_address import allowed_return
from newsletter.core.token import make_form_stamp
from newsletter.flows.ask_again import AskedAgain, ask_again
from newsletter.flows.ask_to_subscribe import is_flooded
from newsletter.flows.confirm_signup import Confirmation, Confirmed, confirm_by_code
from newsletter.flows.next_issue import last_issue, next_issue_at
from newsletter.flows.puzzle import make_puzzle
from newsletter.web.asking_browser import browser_hash, remember_browser
from newsletter.web.client_address import client_network
from newsletter.web.forms import read_fields
from newsletter.web.pages import Page
from newsletter.web.public.confirm import Beginning, ConfirmationPages
from newsletter.web.public.frame import PublicFrame
from newsletter.web.public.signup_form import SIGNUP_FIELDS, SignupForm
from newsletter.web.public.signup_intake import SignupIntake
from newsletter.web.public.zone_options import ZoneOptions
from newsletter.web.responses import KIND_HEADERS, RETRY_SECONDS, ResponseKind, cacheable
from newsletter.web.site import Area, Busy, Site

PUBLIC_METHODS = ("GET", "HEAD", "POST", "OPTIONS")
FACTS_AGE_MAX = timedelta(seconds=5)
"""How long the next date and the last title are shown as they were read."""

_STAMP = "stamp-of-the-form"
"""Stands in the kept page where the signed time of a request goes."""


class SubscribePages:
    """The answers of `/` where no archive is, `/subscribe`, `/subscribe/sent`, `/subscribe/again` and `/puzzle`."""

    def __init__(self, site: Site, frame: PublicFrame, confirmations: ConfirmationPages, intake: SignupIntake) -> None:
        self._site = site
        self._frame = frame
        self._confirmations = confirmations
        self._intake = intake
        self._zones = ZoneOptions() if site.plan_rules.cadence.locally else None
        self._empty = self._form_page(SignupForm(), {"next": "", "latest": ""})
        self._empty_until: datetime | None = None
        self._sent = self._sent_page()
        self._sent_again = self._sent_page(note=AskedAgain.DONE.value)
        self._trouble = frame.message("trouble")

    async def form(self, request: Request) -> Response:
        """Answer `/` and `/subscribe`."""
        if request.method == "OPTIONS":
            allowed = {**KIND_HEADERS[ResponseKind.PUBLIC], "Allow": ", ".join(PUBLIC_METHODS)}
            return Response(status_code=204, headers=allowed)
        if request.method == "POST":
            return await self._take(request)
        try:
            page = await self._empty_form()
        except Busy:
            return self._trouble.response(503, {"Retry-After": str(RETRY_SECONDS)})
        return cacheable(request, page.response(200))

    async def _empty_form(self) -> Page:
        """Return the form with nothing filled in: rendered again when it is some seconds old."""
        now = self._site.clock.now()
        if self._empty_until is None or not self._empty_until - FACTS_AGE_MAX <= now < self._empty_until:
            self._empty = await self._site.ask(
                lambda: self._shown(SignupForm()), about="sign-up form", area=Area.PUBLIC
            )
            self._empty_until = now + FACTS_AGE_MAX
        return self._stamped(self._empty)

    def _stamped(self, page: Page) -> Page:
        """Put the signed time of this moment into a form."""
        return replace(
            page, html=page.html.replace(_STAMP, make_form_stamp(self._site.keyring, self._site.clock.now()))
        )

    async def sent(self, request: Request) -> Response:
        """Answer `/subscribe/sent`: the same page for everybody, whose form takes the code."""
        if request.method != "POST":
            return (self._sent_again if "again" in request.query_params else self._sent).response(200)
        code = (await read_fields(request)).get("code", "")
        browser = browser_hash(request)
        network = client_network(request, self._frame.options.trusted_proxies)
        site = self._site

        def question() -> tuple[Confirmation, Beginning]:
            now = site.clock.now()
            result = confirm_by_code(site.unit, site.keyring, browser, code, network=network, now=now)
            return result, self._confirmations.beginning(result, now)

        try:
            result, beginning = await site.ask(question, about="sign-up, code", area=Area.PUBLIC)
        except Busy:
            return self._trouble.response(503, {"Retry-After": str(RETRY_SECONDS)})
        if result.outcome in {Confirmed.WRONG_CODE, Confirmed.UNKNOWN}:
            mistake = "wrong_code" if result.outcome is Confirmed.WRONG_CODE else "no_code"
            return self._sent_page(mistake=mistake).response(422)
        return self._confirmations.result(result, beginning)

    async def again(self, request: Request) -> Response:
        """Answer `/subscribe/again`: the mail once more, at a press in the browser that asked."""
        browser, site = browser_hash(request), self._site
        network = client_network(request, self._frame.options.trusted_proxies)

        def question() -> AskedAgain:
            return ask_again(site.unit, site.keyring, browser, network=network, now=site.clock.now())

        try:
            asked = await site.ask(question, about="sign-up, once more", area=Area.PUBLIC)
        except Busy:
            return self._trouble.response(503, {"Retry-After": str(RETRY_SECONDS)})
        headers = dict(KIND_HEADERS[ResponseKind.SECRET])
        if asked is AskedAgain.DONE:
            return RedirectResponse(f"{self._frame.base_path}/subscribe/sent?again", status_code=303, headers=headers)
        if asked is AskedAgain.EARLY:
            return self._sent_page(note=asked.value).response(429, {"Retry-After": str(RETRY_SECONDS)})
        return self._sent_page(mistake=asked.value).response(422)

    async def puzzle(self, _request: Request) -> Response:
        """Answer `/puzzle`: a puzzle while too many requests come, else nothing."""
        site = self._site

        def question() -> bool:
            with site.unit.read() as tx:
                return is_flooded(tx, site.keyring, now=site.clock.now())

        headers = dict(KIND_HEADERS[ResponseKind.SECRET])
        try:
            flooded = await site.ask(question, about="puzzle", area=Area.PUBLIC)
        except Busy:
            flooded = False
        if not flooded:
            return Response(status_code=204, headers=headers)
        return JSONResponse(dict(make_puzzle(site.keyring, now=site.clock.now())), headers=headers)

    async def _take(self, request: Request) -> Response:
        fields = await read_fields(request)
        try:
            signup = await self._intake.take(request, fields)
        except Busy:
            return self._trouble.response(503, {"Retry-After": str(RETRY_SECONDS)})
        reply = signup.reply
        if reply is None:
            return await self._refuse(signup.form, 422)
        if reply.needs_puzzle:
            return await self._refuse(signup.form, 429)
        if reply.again_at is not None:
            return self._limited(reply.again_at)
        # A form on another site of the operator's may bring its reader back there.
        back = self._intake.listed_origin(request) and allowed_return(
            fields.get("return_to", ""), self._frame.options.form_origins
        )
        location = back or f"{self._frame.base_path}/subscribe/sent"
        response = RedirectResponse(location, status_code=303, headers=dict(KIND_HEADERS[ResponseKind.SECRET]))
        remember_browser(response, signup.browser)
        return response

    async def _refuse(self, form: SignupForm, status: int) -> Response:
        """Show the form again with what was typed, and what is wrong with it."""
        try:
            page = await self._site.ask(lambda: self._shown(form), about="sign-up form", area=Area.PUBLIC)
        except Busy:
            return self._trouble.response(503, {"Retry-After": str(RETRY_SECONDS)})
        return self._stamped(page).response(status, KIND_HEADERS[ResponseKind.SECRET])

    def _limited(self, again_at: datetime) -> Response:
        zone = self._site.plan_rules.cadence.zone
        wait = max(1, int((again_at - self._site.clock.now()).total_seconds()))
        time = f"{local(again_at, zone):%H:%M} ({zone})"
        return self._frame.message("limited", time=time).response(429, {"Retry-After": str(wait)})

    def _shown(self, form: SignupForm) -> Page:
        """Return the form with the next date and the last title, as the database has them."""
        site, now = self._site, self._site.clock.now()
        cadence = site.plan_rules.cadence
        with site.unit.read() as tx:
            next_at = next_issue_at(tx, cadence, "", now=now)
            last = last_issue(tx, cadence.zone)
        words = self._frame.words
        latest = words("subscribe", "latest", title=last.title, day=describe_date(last.date)) if last else ""
        facts = {"next": words("subscribe", "next", day=describe_instant(next_at, cadence.zone)), "latest": latest}
        return self._form_page(form, facts)

    def _form_page(self, form: SignupForm, facts: Mapping[str, str]) -> Page:
        values = self.form_values(form, facts)
        return self._frame.page("subscribe", kind=ResponseKind.PUBLIC, scripted=True, **values)

    def form_values(self, form: SignupForm, facts: Mapping[str, str]) -> Mapping[str, Any]:
        """Return what the template of the form needs, on whichever page it stands; its `stamp` is still to be set."""
        cadence = self._site.plan_rules.cadence
        return {
            "words": self._frame.section("subscribe"),
            "summary": self._frame.words("mistakes", "summary"),
            "form": form,
            "mistakes": dict.fromkeys(SIGNUP_FIELDS, "") | dict(form.mistakes),
            "facts": facts,
            "stamp": _STAMP,
            "zone_options": self._zones.chosen(form.time_zone or cadence.zone) if self._zones else "",
        }

    def _sent_page(self, *, note: str = "", mistake: str = "") -> Page:
        words = self._frame.section("sent")
        return self._frame.page("sent", words=words, note=words.get(note, ""), mistake=words.get(mistake, ""))

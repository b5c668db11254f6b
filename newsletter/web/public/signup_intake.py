"""Taking a sign-up, from the form of a page or from a program: one row in the database, whatever the address is.

In: the fields of a request, and where it came from. Out: what was typed with its mistakes, or whether it was taken.
The page and the JSON twin answer with it, each in its own form.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace

from starlette.requests import Request

from newsletter.core.signup import Signup, SignupId
from newsletter.flows.ask_to_subscribe import Consented, SignupReply, ask_to_subscribe
from newsletter.flows.puzzle import solved_puzzle
from newsletter.web.asking_browser import hash_of_browser
from newsletter.web.client_address import client_network
from newsletter.web.public.frame import PublicFrame
from newsletter.web.public.signup_form import SignupForm, read_signup_form
from newsletter.web.site import Area, Site

OWN_PAGE = "/subscribe"
"""What the evidence names as the page of a sign-up that came from our own form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenSignup:
    """What came of a request; without a reply the form has mistakes."""

    form: SignupForm
    reply: SignupReply | None = None
    browser: str = ""
    """The cookie by which the browser confirms without a further press."""


class SignupIntake:
    """Reads forms and writes requests."""

    def __init__(self, site: Site, frame: PublicFrame) -> None:
        self._site = site
        self._frame = frame
        self._consented = Consented(text=frame.words("subscribe", "consent"), language=frame.publication.language)

    def listed_origin(self, request: Request) -> str:
        """Return the site that a request came from if it is one of the operator's others; empty else."""
        origin = request.headers.get("Origin", "")
        return origin if origin in self._frame.options.form_origins else ""

    async def take(self, request: Request, fields: Mapping[str, str]) -> TakenSignup:
        """Take a request, unless something in it is wrong; raises `Busy`."""
        site, frame, now = self._site, self._frame, self._site.clock.now()
        origin = self.listed_origin(request)
        form = read_signup_form(frame, site.keyring, fields, own_form=not origin, now=now)
        if form.mistakes or form.address is None:
            return TakenSignup(form=form)
        browser = secrets.token_urlsafe(18)
        signup = Signup(
            id=SignupId(0),
            email=form.address.email,
            canonical=form.address.canonical,
            first_name=form.first_name,
            time_zone=form.time_zone,
            wording="",
            network=client_network(request, frame.options.trusted_proxies),
            browser_hash=hash_of_browser(browser),
            origin=origin or OWN_PAGE,
            suspect=form.suspect,
            asked_at=now,
        )
        payload = fields.get("puzzle", "")

        def question() -> SignupReply:
            puzzle = solved_puzzle(site.keyring, payload, now=now)
            return ask_to_subscribe(site.unit, site.keyring, signup, self._consented, puzzle=puzzle, now=now)

        reply = await site.ask(question, about="sign-up", area=Area.PUBLIC)
        if reply.needs_puzzle:
            form = replace(form, mistakes={"form": frame.words("mistakes", "puzzle")})
        return TakenSignup(form=form, reply=reply, browser=browser)

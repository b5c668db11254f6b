"""Signing in to the admin area: the address, the mail's link or code, and showing once more that it is you.

In: requests of anybody. Out: pages that are the same whatever address was typed, and a session for the browser that
asked. GET changes nothing: a scanner that opens the link of the mail has no cookie, so it sees a code and gets nothing.
"""

from __future__ import annotations

import logging
import re
import secrets

from starlette.requests import Request
from starlette.responses import Response

from newsletter.core.access import SESSION_LIFE_MAX, Needed, SignIn, SignInId, SignInOrigin
from newsletter.core.address import parse_address
from newsletter.core.browser_words import browser_words
from newsletter.core.cadence import local
from newsletter.core.token import Keyring, LinkPurpose, read_link_token, sign_in_code
from newsletter.errors import InputError
from newsletter.flows.ask_to_sign_in import ask_to_sign_in
from newsletter.flows.end_session import sign_out
from newsletter.flows.sign_in import SignedIn, SignInResult, Visitor, look_at_sign_in, sign_in_by_code, sign_in_by_link
from newsletter.web.admin.frame import AdminFrame
from newsletter.web.admin.guard import SESSION_COOKIE, hash_of_session
from newsletter.web.admin.route import CONFIRM_PATH, HOME_PATH, SIGN_IN_PATH, AdminRequest, AdminRoute
from newsletter.web.asking_browser import ASKED_COOKIE, hash_of_browser, remember_browser
from newsletter.web.client_address import client_network
from newsletter.web.forms import path_token, read_fields
from newsletter.web.pages import Page
from newsletter.web.site import Area, Site

logger = logging.getLogger(__name__)

BROWSER_COOKIE = "__Host-browser"
"""By it a browser is a known one at the next sign-in; it opens nothing."""
BROWSER_COOKIE_SECONDS = 400 * 24 * 3600
"""Browsers keep no cookie longer."""
CODE_PATH = "/admin/sign-in/code"
_ADDRESS_LENGTH_MAX = 254
_BACK = re.compile(r"/admin/(?!sign-in|in/|out|confirm-identity)[A-Za-z0-9/_.~%-]*(\?[A-Za-z0-9&=_.~%+-]*)?")


class SignInPages:
    """The answers of the pages for signing in and out."""

    def __init__(self, site: Site, frame: AdminFrame, keyring: Keyring) -> None:
        self._site = site
        self._frame = frame
        self._keyring = keyring
        self._form("", "")
        self._code_page("")
        self._link_page(SignInResult(outcome=SignedIn.OPEN))

    @property
    def routes(self) -> tuple[AdminRoute, ...]:
        """Return the routes of these pages."""
        both = ("GET", "HEAD", "POST")
        return (
            AdminRoute(path=SIGN_IN_PATH, handler=self.ask, needed=Needed.NOTHING, methods=both),
            AdminRoute(path=CODE_PATH, handler=self.type_code, needed=Needed.NOTHING, methods=both),
            AdminRoute(path="/admin/in/{token:path}", handler=self.open_link, needed=Needed.NOTHING, methods=both),
            AdminRoute(path=CONFIRM_PATH, handler=self.confirm, needed=Needed.EDITOR, methods=both),
            AdminRoute(path="/admin/out", handler=self.leave, needed=Needed.EDITOR, methods=("POST",)),
        )

    async def ask(self, asked: AdminRequest) -> Response:
        """Show the form for the address; take it."""
        request = asked.request
        if request.method != "POST":
            if asked.session is not None:
                return self._frame.redirect(HOME_PATH)
            return self._form("", safe_back(request.query_params.get("back", ""))).response(200)
        fields = await read_fields(request)
        typed = fields.get("email", "").strip()[:_ADDRESS_LENGTH_MAX]
        back = safe_back(fields.get("back", ""))
        try:
            canonical = parse_address(typed).canonical
        except InputError as error:
            mistake = self._frame.words("sign_in", "mistake", reason=str(error))
            return self._form(typed, back, mistake=mistake).response(422)
        return await self._take(asked, canonical, back)

    async def confirm(self, asked: AdminRequest) -> Response:
        """Ask a person who is signed in to show once more that it is them."""
        request = asked.request
        if request.method != "POST":
            back = safe_back(request.query_params.get("back", ""))
            page = self._frame.page("confirm_identity", asked, words=self._frame.section("confirm_identity"), back=back)
            return page.response(200)
        fields = await read_fields(request)
        return await self._take(asked, asked.person.email, safe_back(fields.get("back", "")))

    async def type_code(self, asked: AdminRequest) -> Response:
        """Show the field for the code of the mail; take it."""
        if asked.request.method != "POST":
            return self._code_page("").response(200)
        typed = (await read_fields(asked.request)).get("code", "")
        site, cookie = self._site, secrets.token_urlsafe(32)
        known_browser = self._browser_cookie(asked.request)
        visitor = self._visitor(asked.request, cookie, known_browser)

        def question() -> SignInResult:
            return sign_in_by_code(site.unit, self._keyring, visitor, asked.roster, typed, now=asked.now)

        result = await site.ask(question, about="sign-in, code", area=Area.ADMIN)
        if result.outcome is SignedIn.NOW:
            return self._welcome(result, cookie, known_browser)
        about = result.sign_in.id if result.sign_in else "unknown"
        logger.warning("sign-in %s: refused (%s), %s", about, result.outcome.value, visitor.network)
        mistake = "wrong_code" if result.outcome is SignedIn.WRONG_CODE else "no_code"
        return self._code_page(self._frame.words("code", mistake)).response(422)

    async def open_link(self, asked: AdminRequest) -> Response:
        """Show what the link of a mail or of the terminal does; do it when the button is pressed."""
        request = asked.request
        link = read_link_token(self._keyring, path_token(request), LinkPurpose.SIGN_IN)
        if link is None:
            return self._frame.message("link_unknown").response(404)
        if asked.now >= link.expires_at:
            return self._frame.message("link_expired").response(410)
        site, cookie, sign_in_id = self._site, secrets.token_urlsafe(32), SignInId(link.id)
        known_browser = self._browser_cookie(request)
        visitor = self._visitor(request, cookie, known_browser)
        press = sign_in_by_link if request.method == "POST" else look_at_sign_in

        def question() -> SignInResult:
            return press(site.unit, sign_in_id, visitor, asked.roster, now=asked.now)

        result = await site.ask(question, about=f"sign-in {link.id}", area=Area.ADMIN)
        if result.outcome is SignedIn.NOW:
            return self._welcome(result, cookie, known_browser)
        if request.method == "POST":
            logger.warning("sign-in %s: refused (%s), %s", link.id, result.outcome.value, visitor.network)
        return self._link_page(result, refused=request.method == "POST")

    async def leave(self, asked: AdminRequest) -> Response:
        """End the session of this browser."""
        site, session = self._site, asked.person
        await site.ask(
            lambda: sign_out(site.unit, session, asked.roster, now=asked.now), about="sign-out", area=Area.ADMIN
        )
        response = self._frame.redirect(SIGN_IN_PATH)
        response.delete_cookie(SESSION_COOKIE, path="/", secure=True, httponly=True, samesite="lax")
        return response

    async def _take(self, asked: AdminRequest, canonical: str, back: str) -> Response:
        site, browser = self._site, secrets.token_urlsafe(18)
        request = SignIn(
            id=SignInId(0),
            email=canonical,
            origin=SignInOrigin.PAGE,
            browser_hash=hash_of_browser(browser),
            browser=browser_words(asked.request.headers.get("User-Agent", "")),
            network=self._network(asked.request),
            back=back,
            asked_at=asked.now,
        )
        reply = await site.ask(
            lambda: ask_to_sign_in(site.unit, self._keyring, request, now=asked.now), about="sign-in", area=Area.ADMIN
        )
        if reply.again_at is not None:
            wait = max(1, int((reply.again_at - asked.now).total_seconds()))
            time = f"{local(reply.again_at, self._frame.zone):%H:%M} ({self._frame.zone})"
            return self._frame.message("limited", time=time).response(429, {"Retry-After": str(wait)})
        response = self._frame.redirect(CODE_PATH)
        remember_browser(response, browser)
        return response

    def _welcome(self, result: SignInResult, cookie: str, known_browser: str) -> Response:
        """Give the browser its new session; one that it brought along never becomes one."""
        back = result.sign_in.back if result.sign_in else ""
        response = self._frame.redirect(safe_back(back) or HOME_PATH)
        for name, value, seconds in (
            (SESSION_COOKIE, cookie, int(SESSION_LIFE_MAX.total_seconds())),
            (BROWSER_COOKIE, known_browser, BROWSER_COOKIE_SECONDS),
        ):
            response.set_cookie(name, value, max_age=seconds, path="/", secure=True, httponly=True, samesite="lax")
        return response

    def _visitor(self, request: Request, cookie: str, known_browser: str) -> Visitor:
        asked = request.cookies.get(ASKED_COOKIE, "")
        return Visitor(
            session_hash=hash_of_session(cookie),
            former_hash=hash_of_session(request.cookies.get(SESSION_COOKIE, "")),
            asked_hash=hash_of_browser(asked) if asked else "",
            browser_hash=hash_of_browser(known_browser),
            browser=browser_words(request.headers.get("User-Agent", "")),
            network=self._network(request),
        )

    def _browser_cookie(self, request: Request) -> str:
        """Return the cookie by which the browser is known; a new one when it has none of ours."""
        cookie = request.cookies.get(BROWSER_COOKIE, "")
        return cookie if re.fullmatch(r"[A-Za-z0-9_-]{24}", cookie) else secrets.token_urlsafe(18)

    def _network(self, request: Request) -> str:
        return client_network(request, self._site.web_options.trusted_proxies)

    def _form(self, typed: str, back: str, *, mistake: str = "") -> Page:
        words = self._frame.section("sign_in")
        return self._frame.page("sign_in", words=words, typed=typed, back=back, mistake=mistake)

    def _code_page(self, mistake: str) -> Page:
        return self._frame.page("code", words=self._frame.section("code"), mistake=mistake)

    def _link_page(self, result: SignInResult, *, refused: bool = False) -> Response:
        frame, request = self._frame, result.sign_in
        match result.outcome:
            case SignedIn.OPEN:
                by_mail = request is not None and request.origin is SignInOrigin.PAGE
                words = frame.section("link", address=request.email if request else "")
                return frame.page("link", words=words, press=by_mail, scripted=by_mail).response(200)
            case SignedIn.OTHER_BROWSER:
                code = sign_in_code(self._keyring, request.id, request.browser_hash) if request else ""
                page = frame.page("other_browser", words=frame.section("other_browser"), code=code)
                return page.response(403 if refused else 200)
            case SignedIn.USED:
                return frame.message("link_used").response(410)
            case SignedIn.EXPIRED:
                return frame.message("link_expired").response(410)
            case _:
                return frame.message("link_unknown").response(404)


def safe_back(path: str) -> str:
    """Return the path of a page of the admin area to return to; empty for anything else, such as another site."""
    return path if _BACK.fullmatch(path) and "//" not in path and ".." not in path else ""

"""The links of notices: `/a/{token}` skips or swaps a date, pauses or cancels an edition, once a button is pressed.

In: a request from a reader of the mail. Out: a page. GET and HEAD change nothing, since scanners open every link of a
mail; POST does the one thing the token names, through the same flow as the command. The token is never logged in full.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from jinja2 import Environment
from starlette.requests import Request
from starlette.responses import Response

from newsletter.core.message import Publication
from newsletter.core.token import ActionToken, read_action_token
from newsletter.errors import InputError, NotNow
from newsletter.flows.answer_link import LinkWords, ask_link, follow_link
from newsletter.web.forms import path_token
from newsletter.web.pages import METHODS, Page, render_page
from newsletter.web.responses import KIND_HEADERS, RETRY_SECONDS, ResponseKind
from newsletter.web.site import Busy, Site

logger = logging.getLogger(__name__)

UNKNOWN_LINK = LinkWords(
    title="This link does not work",
    text="A part of it is missing or was changed on its way to you. Nothing has changed. The commands below the links "
    "in the mail do the same.",
)
EXPIRED = LinkWords(
    title="This link has expired",
    text="What it was for is over, so nothing was changed. `newsletter queue` shows what comes next.",
)
TROUBLE = LinkWords(
    title="That did not work; please try again",
    text="The database did not answer in time. Press the button once more in a minute; a second press does no harm.",
    button="Try again",
)


class ActionEndpoint:
    """The answers of `/a/{token}`."""

    def __init__(self, site: Site, templates: Environment, publication: Publication) -> None:
        self._site = site
        self._templates = templates
        self._publication = publication
        # A template that is wrong is told at the start, never to an editor.
        self._page(UNKNOWN_LINK)

    async def __call__(self, request: Request) -> Response:
        """Answer one request."""
        if request.method == "OPTIONS":
            return Response(status_code=204, headers={**KIND_HEADERS[ResponseKind.SECRET], "Allow": ", ".join(METHODS)})
        action = read_action_token(self._site.keyring, path_token(request))
        if action is None:
            return self._page(UNKNOWN_LINK).response(404)
        if self._site.clock.now() >= action.expires_at:
            return self._page(EXPIRED).response(410)
        return await self._answer(action, press=request.method == "POST")

    async def _answer(self, action: ActionToken, *, press: bool) -> Response:
        site = self._site
        about = f"the link of a notice: {action.kind.name.lower()} {action.target}"

        def question() -> tuple[int, LinkWords]:
            do: Callable[..., LinkWords] = follow_link if press else ask_link
            try:
                return 200, do(site.unit, action, site.plan_rules, site.review(site.clock.now()))
            except (InputError, NotNow) as error:
                return 409, LinkWords(title="Nothing was changed", text=_sentence(str(error)))

        try:
            status, words = await site.ask(question, about=about)
        except Busy:
            return self._page(TROUBLE).response(503, {"Retry-After": str(RETRY_SECONDS)})
        if press:
            logger.info("%s: %s", about, words.title)
        return self._page(words).response(status)

    def _page(self, words: LinkWords) -> Page:
        parts = [(part, at % 2 == 1) for at, part in enumerate(words.text.split("`"))]
        return render_page(
            self._templates, "action", self._publication, kind=ResponseKind.SECRET, words=words, parts=parts
        )


def _sentence(text: str) -> str:
    """Return an error as a sentence of its own."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")

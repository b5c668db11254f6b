"""The pages that the law asks for: `/imprint`, who publishes the newsletter, and `/privacy`, what is kept of a reader.

In: settings, through the frame. Out: two pages that are the same for everybody, rendered once. An operator fills them
by settings, replaces their sentences in the words file, or replaces the whole templates.
"""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from newsletter.core.signup import CONFIRM_WITHIN, KEEP_SIGNUPS
from newsletter.web.pages import Page
from newsletter.web.public.frame import PublicFrame
from newsletter.web.responses import ResponseKind, cacheable

LEGAL_PATHS = ("/imprint", "/privacy")


class LegalPages:
    """The answers of `/imprint` and `/privacy`."""

    def __init__(self, frame: PublicFrame) -> None:
        options, publication = frame.options, frame.publication
        imprint = [line.strip() for line in options.imprint.splitlines() if line.strip()]
        periods = {
            "confirm_days": str(CONFIRM_WITHIN.days),
            "signup_days": str(KEEP_SIGNUPS.days),
            "delivery_days": str(options.keep_deliveries_days),
        }

        def page(name: str, words: Mapping[str, str]) -> Page:
            postal = publication.postal_address.splitlines()
            kind = ResponseKind.PUBLIC
            return frame.page(name, kind=kind, words=words, postal_lines=postal, imprint_lines=imprint)

        self.pages: Mapping[str, Page] = {
            "/imprint": page("imprint", frame.section("imprint")),
            "/privacy": page("privacy", frame.section("privacy", **periods)),
        }

    async def __call__(self, request: Request) -> Response:
        """Answer one request."""
        return cacheable(request, self.pages[request.scope["path"]].response(200))

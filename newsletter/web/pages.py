"""The pages that people see, rendered once when the service starts.

In: the templates and the publication. Out: ready responses. No page differs from person to person, so a template that
is wrong is told at the start, never to a reader, and a page needs neither the database nor a token.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from jinja2 import Environment
from starlette.responses import HTMLResponse

from newsletter.core.message import Publication
from newsletter.render.environment import render_template

METHODS = ("GET", "HEAD", "POST", "OPTIONS")
"""The methods that the pages behind a link in a mail answer."""

RETRY_SECONDS = 30
"""What `Retry-After` says while the database cannot be reached."""

HEADERS: Mapping[str, str] = {
    # The address of the page is a secret of the reader: no cache, no search engine and no other site may learn it.
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex",
    "X-Content-Type-Options": "nosniff",
}
"""What every response bears, whatever its kind."""

_STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One rendered page, with the policy that lets its own style in and nothing else."""

    html: str
    policy: str

    def response(self, status: int, headers: Mapping[str, str] | None = None) -> HTMLResponse:
        """Return the page as an answer."""
        every = {**HEADERS, "Content-Security-Policy": self.policy, **(headers or {})}
        return HTMLResponse(self.html, status_code=status, headers=every)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages:
    """Every page there is."""

    unsubscribe: Page
    """One button; opening it changes nothing."""
    unsubscribed: Page
    unknown: Page
    """The link is not genuine, and what to do then."""
    trouble: Page
    """The opt-out could not be recorded, and what to do then."""
    not_found: Page


def render_pages(templates: Environment, publication: Publication) -> Pages:
    """Render every page; an `InputError` names the file and the line of a template that is wrong."""
    return Pages(
        unsubscribe=render_page(templates, "unsubscribe", publication),
        unsubscribed=render_page(templates, "done", publication),
        unknown=render_page(templates, "unknown", publication),
        trouble=render_page(templates, "trouble", publication),
        not_found=render_page(templates, "not_found", publication),
    )


def render_page(templates: Environment, name: str, publication: Publication, **values: object) -> Page:
    """Render a page, with values of its own where it differs from request to request."""
    html = render_template(templates, f"web/{name}.html", {"publication": publication, **values})
    return Page(html=html, policy=_policy(html))


def _policy(html: str) -> str:
    """Allow the style sheets of the page by their hashes: an operator's own template is allowed its own."""
    hashes = [base64.b64encode(hashlib.sha256(style.encode()).digest()).decode() for style in _STYLE.findall(html)]
    styles = " ".join(f"'sha256-{item}'" for item in hashes) or "'none'"
    return f"default-src 'none'; style-src {styles}; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

"""The pages that people see, rendered once when the service starts.

In: the templates and the publication. Out: ready responses. No page differs from person to person, so a template that
is wrong is told at the start, never to a reader, and a page needs neither the database nor a token.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from jinja2 import Environment
from starlette.responses import HTMLResponse

from newsletter.core.message import Publication
from newsletter.render.environment import render_template
from newsletter.web.csp import PAGE_POLICY, Policy, merge_policies, policy_header, style_policy
from newsletter.web.responses import KIND_HEADERS, ResponseKind

METHODS = ("GET", "HEAD", "POST", "OPTIONS")
"""The methods that the pages behind a link in a mail answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One rendered page, with the policy that lets its own style in and nothing else."""

    html: str
    policy: Policy
    kind: ResponseKind = ResponseKind.SECRET

    def response(self, status: int, headers: Mapping[str, str] | None = None) -> HTMLResponse:
        """Return the page as an answer."""
        policy = {"Content-Security-Policy": policy_header(self.policy)}
        return HTMLResponse(
            self.html, status_code=status, headers={**KIND_HEADERS[self.kind], **policy, **(headers or {})}
        )


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
    foreign_form: Page
    """A form of another site was sent here; nothing was changed."""


def render_pages(templates: Environment, publication: Publication) -> Pages:
    """Render every page; an `InputError` names the file and the line of a template that is wrong."""
    return Pages(
        unsubscribe=render_page(templates, "unsubscribe", publication),
        unsubscribed=render_page(templates, "done", publication),
        unknown=render_page(templates, "unknown", publication),
        trouble=render_page(templates, "trouble", publication),
        not_found=render_page(templates, "not_found", publication),
        foreign_form=render_page(templates, "foreign_form", publication),
    )


def render_page(
    templates: Environment,
    name: str,
    publication: Publication,
    *,
    kind: ResponseKind = ResponseKind.SECRET,
    policy: Policy | None = None,
    **values: object,
) -> Page:
    """Render a page, with values of its own where it differs from request to request; `policy` is what it adds."""
    # A template writes `publication.signup_url`, as in a mail.
    publication_values = asdict(publication) | asdict(publication.links)
    html = render_template(templates, f"web/{name}.html", {"publication": publication_values, **values})
    return Page(html=html, policy=merge_policies(PAGE_POLICY, style_policy(html), policy or {}), kind=kind)

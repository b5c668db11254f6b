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
from newsletter.render.texts import fill_section, load_texts, words_language
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
    texts = load_texts(templates, publication.language)
    names = {"name": publication.name, "address": publication.reply_to}
    language = words_language(templates, publication.language)

    def page(template: str, section: str) -> Page:
        words = fill_section(texts, section, names)
        return render_page(templates, template, publication, words=words, words_language=language)

    return Pages(
        unsubscribe=page("unsubscribe", "leave"),
        unsubscribed=page("done", "left"),
        unknown=page("unknown", "leave_unknown"),
        trouble=page("trouble", "leave_trouble"),
        not_found=page("not_found", "not_found"),
        foreign_form=page("foreign_form", "foreign_form"),
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

"""What the public pages share: their templates with sentences and addresses filled in.

In: the parts of the application. Out: pages. Every page is rendered once when the service starts, so that a template
that is wrong is told then, with its file and line.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from jinja2 import Environment

from newsletter.core.message import Publication
from newsletter.core.web_options import WebOptions
from newsletter.render.environment import templates_digest
from newsletter.render.texts import Texts, fill_section, load_texts, words_language
from newsletter.web.assets import Assets
from newsletter.web.csp import OWN_SITE, Policy
from newsletter.web.pages import Page, render_page
from newsletter.web.responses import ResponseKind

STYLED: Policy = {"style-src": (OWN_SITE,)}
SCRIPTED: Policy = {"script-src": (OWN_SITE,), "connect-src": (OWN_SITE,)}


class PublicFrame:
    """Renders pages with the sentences of the newsletter's language."""

    def __init__(self, templates: Environment, publication: Publication, options: WebOptions, assets: Assets) -> None:
        self.publication = publication
        self.options = options
        self.texts: Texts = load_texts(templates, publication.language)
        self.base_path = urlsplit(publication.base_url).path.rstrip("/")
        self.assets = assets
        self.templates = templates
        self._language = words_language(templates, publication.language)
        self.digest = templates_digest(templates, "web/")

    def words(self, section: str, key: str, **values: str) -> str:
        """Return a sentence with its names filled in."""
        known = {"name": self.publication.name, "address": self.publication.reply_to} | values
        return self.texts[section][key].format(**known)

    def section(self, name: str, **values: str) -> Mapping[str, str]:
        """Return the sentences of a section; a name that `values` does not have is left out."""
        known = {"name": self.publication.name, "address": self.publication.reply_to} | values
        return fill_section(self.texts, name, known)

    def page(
        self,
        name: str,
        *,
        kind: ResponseKind = ResponseKind.SECRET,
        scripted: bool = False,
        policy: Policy | None = None,
        **values: object,
    ) -> Page:
        """Render a public page; a `scripted` one may run our own scripts, and `policy` is what it adds."""
        common = {
            "has_archive": self.options.archive,
            "site": self.section("site"),
            "base_path": self.base_path,
            "words_language": self._language,
            "assets": self.assets.urls,
            "imprint_url": f"{self.base_path}/imprint",
            "privacy_url": self.options.privacy_url or f"{self.base_path}/privacy",
        }
        policy = {**STYLED, **(SCRIPTED if scripted else {}), **(policy or {})}
        return render_page(
            self.templates, f"public/{name}", self.publication, kind=kind, policy=policy, **common, **values
        )

    def message(self, section: str, *, button_path: str = "", **values: str) -> Page:
        """Render a page that says one thing, with a way on where there is one."""
        return self.page("message", words=self.section(section, **values), button_path=button_path)

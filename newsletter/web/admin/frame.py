"""What the pages of the admin area share: templates, sentences, navigation, and the line about the last change.

In: the parts of the application. Out: pages, answers of the database, and redirects after a change. A page reads by
`read`, and changes by `change`, which calls one flow and leads back to a page with GET.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import quote, urlsplit

from jinja2 import Environment
from starlette.responses import RedirectResponse, Response

from newsletter.core.access import Flash, Needed, Role, SessionId
from newsletter.core.message import Publication
from newsletter.errors import InputError, NotNow
from newsletter.flows.use_session import keep_flash
from newsletter.render.texts import Texts, load_texts
from newsletter.web.admin.route import AdminRequest
from newsletter.web.assets import Assets
from newsletter.web.csp import OWN_SITE, Policy, merge_policies
from newsletter.web.pages import Page, render_page
from newsletter.web.responses import KIND_HEADERS, ResponseKind
from newsletter.web.site import Area, Site

T = TypeVar("T")

ADMIN_WORDS_FOLDER = "web/admin/words"
CHANGED_QUERY = "changed"
"""Stands in the address after a change: the page then shows the sentence about it, also when it is loaded again."""

ADMIN_STYLED: Policy = {"style-src": (OWN_SITE,)}
ADMIN_SCRIPTED: Policy = {"script-src": (OWN_SITE,), "connect-src": (OWN_SITE,)}


@dataclass(frozen=True, slots=True, kw_only=True)
class NavItem:
    """One link of the navigation."""

    name: str
    """The key of its word in the section `nav`."""
    path: str
    needed: Needed = Needed.EDITOR


NAVIGATION = (
    NavItem(name="home", path="/admin/"),
    NavItem(name="queue", path="/admin/queue"),
    NavItem(name="log", path="/admin/log", needed=Needed.ADMIN),
    NavItem(name="settings", path="/admin/settings", needed=Needed.ADMIN),
    NavItem(name="sessions", path="/admin/sessions"),
)
"""The links at the top of each page, for those who may open them."""

_PLACE = re.compile(r"\{[^}]*\}")
"""A parameter in the path of a route."""


class AdminFrame:
    """Renders the pages of the admin area, and asks the database for them."""

    def __init__(self, site: Site, templates: Environment, publication: Publication, assets: Assets) -> None:
        self.publication = publication
        self.assets = assets
        self.base_path = urlsplit(publication.base_url).path.rstrip("/")
        self.zone = site.plan_rules.cadence.zone
        # The commands and their reasons are in English, so the area is too, whatever language the newsletter has.
        self.texts: Texts = load_texts(templates, "en", folder=ADMIN_WORDS_FOLDER)
        self._site = site
        self._templates = templates
        self._shapes: frozenset[str] = frozenset()

    def learn_routes(self, paths: Iterable[str]) -> None:
        """Keep which addresses there are, so that a page links to no other."""
        self._shapes = frozenset(_PLACE.sub("{}", path) for path in paths)

    def link(self, route: str, *names: str) -> str:
        """Return the address of a page, such as `/admin/tips/{}` with its slug; empty where the area has none."""
        if route not in self._shapes or not all(names):
            return ""
        return self.base_path + route.format(*(quote(name, safe="") for name in names))

    def words(self, section: str, key: str, **values: object) -> str:
        """Return a sentence with its names filled in."""
        return self.texts[section][key].format(name=self.publication.name, **values)

    def section(self, name: str, **values: object) -> Mapping[str, str]:
        """Return the sentences of a section; a name that `values` does not have is left out."""
        known = defaultdict(str, {"name": self.publication.name} | values)
        return {key: sentence.format_map(known) for key, sentence in self.texts[name].items()}

    def page(
        self,
        name: str,
        asked: AdminRequest | None = None,
        *,
        policy: Policy | None = None,
        scripted: bool = False,
        **values: object,
    ) -> Page:
        """Render `web/admin/NAME.html`; `asked` gives it the navigation, `scripted` lets our own scripts run."""
        common = {
            "frame": self.section("frame"),
            "base_path": self.base_path,
            "assets": self.assets.urls,
            "nav": self._navigation(asked),
            "person": asked.who if asked and asked.session else "",
            "flash": self._flash(asked),
        }
        policies = (ADMIN_STYLED, ADMIN_SCRIPTED if scripted else {}, policy or {})
        return render_page(
            self._templates,
            f"admin/{name}",
            self.publication,
            kind=ResponseKind.ADMIN,
            policy=merge_policies(*policies),
            **common,
            **values,
        )

    def message(self, section: str, *, asked: AdminRequest | None = None, **values: object) -> Page:
        """Render a page that says one thing."""
        return self.page("message", asked, words=self.section(section, **values), url=values.get("url", ""))

    def trouble(self) -> Page:
        """Return the page that says that the database did not answer."""
        return self.message("trouble")

    async def read(self, question: Callable[[], T], *, about: str) -> T:
        """Ask the database for a page; raises `Busy`, which the guard answers."""
        return await self._site.ask(question, about=about, area=Area.ADMIN)

    async def change(self, asked: AdminRequest, flow: Callable[[], Flash], *, about: str, back: str) -> Response:
        """Run one flow, keep its sentence for the next page, and lead there (303).

        What the flow refuses (`InputError`, `NotNow`) becomes the sentence, and nothing is changed.
        """
        session = asked.person

        def question() -> None:
            try:
                flash = flow()
            except (InputError, NotNow) as error:
                flash = Flash(text=as_sentence(str(error)), trouble=True)
            keep_flash(self._site.unit, SessionId(session.id), flash)

        await self._site.ask(question, about=about, area=Area.ADMIN)
        return self.redirect(f"{back}{'&' if '?' in back else '?'}{CHANGED_QUERY}")

    def redirect(self, path: str) -> Response:
        """Lead to a page of the area."""
        headers = dict(KIND_HEADERS[ResponseKind.ADMIN])
        return RedirectResponse(f"{self.base_path}{path}", status_code=303, headers=headers)

    def _navigation(self, asked: AdminRequest | None) -> list[Mapping[str, object]]:
        if asked is None or asked.session is None:
            return []
        current = asked.request.scope["path"]
        return [
            {
                "label": self.texts["nav"][item.name],
                "url": f"{self.base_path}{item.path}",
                "current": current == item.path,
            }
            for item in NAVIGATION
            if may_open(item.needed, asked.role) and item.path in self._shapes
        ]

    def _flash(self, asked: AdminRequest | None) -> Flash | None:
        if asked is None or asked.session is None or CHANGED_QUERY not in asked.request.query_params:
            return None
        return asked.session.flash


def may_open(needed: Needed, role: Role | None) -> bool:
    """Tell whether a role reaches a route, recent sign-in or not."""
    return role is Role.ADMIN or (role is Role.EDITOR and needed in {Needed.EDITOR, Needed.RECENT_EDITOR})


def as_sentence(text: str) -> str:
    """Return an error of a flow as a sentence of its own."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")

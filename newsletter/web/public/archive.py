"""What the pages of the archive share: their frame, their counts, and one read that tells a browser it has the page.

In: a request, and what a page shows of the tables of pages. Out: the page, a redirect from an address of an archive
before this one, 304, or 404 with a search. Every page of the archive is made of the same `archive_version`, so that
this number, the templates and the settings are the validator of all of them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from newsletter import __version__
from newsletter.core.old_path import old_path
from newsletter.render.environment import check_templates
from newsletter.store import page_list, redirect
from newsletter.store.page import archive_version
from newsletter.store.page_list import ArchiveCounts
from newsletter.store.unit import Tx
from newsletter.web.csp import PAGE_POLICY, Policy, policy_header
from newsletter.web.pages import Page
from newsletter.web.public.frame import PublicFrame
from newsletter.web.responses import KIND_HEADERS, PUBLIC_SECONDS, RETRY_SECONDS, ResponseKind, known_tags
from newsletter.web.site import Area, Busy, Site

ARCHIVE_METHODS = ("GET", "HEAD", "OPTIONS")
TEMPLATE_FOLDERS = ("web/public/archive/", "web/public/part/", "web/feed/")
"""Compiled when the service starts: a mistake of an operator's own is told then, with its file and line."""
STALE_SECONDS = 86_400
"""How long a cache may show an old copy while it fetches the new one."""
CACHE_CONTROL = f"public, max-age={PUBLIC_SECONDS}, stale-while-revalidate={STALE_SECONDS}"

_PICTURE = re.compile(r'<img\b[^>]*\bsrc="(https://[^"/?#]+)')


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveView:
    """What a page of the archive is rendered from; all of it was read in one transaction."""

    template: str
    path: str
    """The address of the page below the public address, for search engines."""
    values: Mapping[str, object] = field(default_factory=dict)
    indexed: bool = True
    """Whether search engines may list it."""
    scripted: bool = False
    article: str = ""
    """The HTML of its article, whose pictures the policy of the page lets in."""
    state: str = ""
    """What the page shows besides the archive, and changes with time; its bytes may differ within one state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveDocument:
    """A document for programs: a feed, a sitemap."""

    render: Callable[[], str]
    """Called when the transaction is closed."""
    media_type: str


Show = Callable[[Tx, ArchiveCounts], ArchiveView | ArchiveDocument | None]
"""Reads what an answer shows; None where there is no such page."""


class Archive:
    """The frame of the archive; one per process."""

    def __init__(self, site: Site, frame: PublicFrame) -> None:
        self.site = site
        self.frame = frame
        self.address = frame.publication.base_url
        self._fixed = f"{__version__} {frame.digest} {frame.publication} {frame.options}"
        self._counts: ArchiveCounts | None = None
        for folder in TEMPLATE_FOLDERS:
            check_templates(frame.templates, folder)
        self._trouble = frame.message("trouble")
        self._not_found = self._render(ArchiveView(template="not_found", path="", indexed=False))

    def tag(self, version: int, path: str, state: str = "") -> str:
        """Return the validator of a page: weak where its bytes differ within one state."""
        digest = hashlib.sha256(f"{version} {path} {state} {self._fixed}".encode()).hexdigest()[:32]
        return f'W/"{digest}"' if state else f'"{digest}"'

    def counts(self, tx: Tx, version: int) -> ArchiveCounts:
        """Return how many pages there are; counted once for each version of the archive."""
        kept = self._counts
        if kept is None or kept.version != version:
            kept = self._counts = page_list.counts(tx, version=version)
        return kept

    async def answer(self, request: Request, show: Show, *, about: str, state: str = "") -> Response:
        """Answer a request for a page; `state` is what it shows besides the archive."""
        if request.method == "OPTIONS":
            return Response(status_code=204, headers={"Allow": ", ".join(ARCHIVE_METHODS), **_headers()})
        known = known_tags(request)
        address = f"{request.scope['path']}?{request.url.query}"

        def question() -> tuple[str, Response | None]:
            with self.site.unit.read() as tx:
                version = archive_version(tx)
                tag = self.tag(version, address, state)
                if tag.removeprefix("W/") in known:
                    return tag, Response(status_code=304, headers=_headers())
                shown = show(tx, self.counts(tx, version))
            # Rendered with the transaction closed.
            return tag, self._response(shown)

        try:
            tag, response = await self.site.ask(question, about=about, area=Area.PUBLIC)
        except Busy:
            return self._trouble.response(503, {"Retry-After": str(RETRY_SECONDS)})
        if response is None:
            return await self.missing(request)
        response.headers["ETag"] = tag
        return response

    async def missing(self, request: Request) -> Response:
        """Answer a request for an address that is not of this archive: it may be of the one before."""
        path = old_path(f"{request.scope['path']}?{request.url.query}")

        def question() -> str | None:
            with self.site.unit.read() as tx:
                return redirect.find(tx, path)

        slug = None
        if path and request.method in ARCHIVE_METHODS:
            try:
                slug = await self.site.ask(question, about="old address", area=Area.PUBLIC)
            except Busy:
                return self._trouble.response(503, {"Retry-After": str(RETRY_SECONDS)})
        if slug is None:
            return self._not_found.response(404, {"Cache-Control": "no-store"})
        return RedirectResponse(f"{self.frame.base_path}/tips/{slug}", status_code=301, headers=_headers())

    def _response(self, shown: ArchiveView | ArchiveDocument | None) -> Response | None:
        if shown is None:
            return None
        if isinstance(shown, ArchiveView):
            return self._render(shown).response(200, {"Cache-Control": CACHE_CONTROL})
        policy = {"Content-Security-Policy": policy_header(PAGE_POLICY)}
        return Response(shown.render(), media_type=shown.media_type, headers={**_headers(), **policy})

    def _render(self, view: ArchiveView) -> Page:
        words = self.frame.section("archive")
        policy: Policy = {"img-src": hosts} if (hosts := picture_hosts(view.article)) else {}
        return self.frame.page(
            f"archive/{view.template}",
            kind=ResponseKind.PUBLIC,
            scripted=view.scripted,
            policy=policy,
            archive=words,
            address=self.address,
            canonical=f"{self.address}{view.path}",
            indexed=view.indexed,
            **view.values,
        )


def picture_hosts(html: str) -> tuple[str, ...]:
    """Return the sites that the pictures of an article come from."""
    hosts = {urlsplit(url).netloc for url in _PICTURE.findall(html)}
    return tuple(f"https://{host}" for host in sorted(hosts) if re.fullmatch(r"[\w.-]+(:[0-9]+)?", host))


def _headers() -> Mapping[str, str]:
    return {**KIND_HEADERS[ResponseKind.PUBLIC], "Cache-Control": CACHE_CONTROL}

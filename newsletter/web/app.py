"""The web part: puts its areas together, and nothing else.

In: the parts of the application. Out: an ASGI application with the opt-out, the links of notices, the webhooks of mail
providers, health and metrics, and the public pages and the admin area where they are allowed. It loads nothing from
elsewhere.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Protocol
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from newsletter.web.action import ActionEndpoint
from newsletter.web.admin.area import AdminArea
from newsletter.web.admin.tools import AdminTools
from newsletter.web.assets import Assets
from newsletter.web.base_path import BasePath
from newsletter.web.health import Health
from newsletter.web.hooks import HookEndpoint, HookParts
from newsletter.web.metrics import Metrics
from newsletter.web.one_click import OneClickEndpoint
from newsletter.web.pages import METHODS, Pages, render_pages
from newsletter.web.public.archive import ARCHIVE_METHODS, Archive
from newsletter.web.public.archive_routes import archive_endpoints
from newsletter.web.public.block import BlockPages
from newsletter.web.public.confirm import ConfirmationPages
from newsletter.web.public.frame import PublicFrame
from newsletter.web.public.home import ArchiveHome
from newsletter.web.public.leaving import LeavingPages
from newsletter.web.public.legal import LEGAL_PATHS, LegalPages
from newsletter.web.public.new_address import NewAddressPages
from newsletter.web.public.own_settings import OwnSettingsPages
from newsletter.web.public.signup_api import SIGNUPS_METHODS, SIGNUPS_PATH, SignupApi
from newsletter.web.public.signup_intake import SignupIntake
from newsletter.web.public.subscribe import SubscribePages
from newsletter.web.request_checks import RequestChecks
from newsletter.web.site import DATABASE_WAIT_SECONDS, Parts, Site


class WebParts(Parts, HookParts, Protocol):
    """What all areas together need; `wiring.Application` has it."""


def create_app(
    parts: WebParts,
    *,
    patience: float = DATABASE_WAIT_SECONDS,
    metrics_token: str = "",
    tools: AdminTools | None = None,
) -> Starlette:
    """Make the application from an `Application` or what resembles it; without a token there is no `/metrics`.

    Without `tools` the admin area does not show the settings.

    Raises `InputError` when a template of a page is wrong, and `Stop` when there is no database.
    """
    pages = render_pages(parts.templates, parts.publication)
    site = Site(parts, patience=patience)
    app = Starlette()
    # A slash added by a redirect would lose a one-click POST (RFC 8058 §3.1).
    app.router.redirect_slashes = False
    options = parts.web_options
    assets = Assets(parts.templates, urlsplit(parts.publication.base_url).path.rstrip("/"))
    archive, leaving = _add_public_pages(app, site, parts, assets) if options.public else (None, None)
    if options.admin:
        _add_admin_area(app, AdminArea(site, parts, assets, tools))
    if options.public or options.admin:
        app.add_route("/static/{name}", assets.__call__, methods=["GET", "HEAD"])
    one_click, health = OneClickEndpoint(site, pages, leaving), Health(site)
    action = ActionEndpoint(site, parts.templates, parts.publication)

    async def leave(request: Request) -> Response:
        return await one_click(request)

    async def act(request: Request) -> Response:
        return await action(request)

    async def healthz(request: Request) -> Response:
        return await health(request)

    app.add_route("/hooks/{provider}", HookEndpoint(site, parts).__call__, methods=list(METHODS))
    app.add_route("/u/{token:path}", leave, methods=list(METHODS))
    app.add_route("/u", leave, methods=list(METHODS))
    app.add_route("/a/{token:path}", act, methods=list(METHODS))
    app.add_route("/healthz", healthz, methods=["GET"])
    if metrics_token:
        metrics = Metrics(site, parts.plan_rules, metrics_token)

        async def measure(request: Request) -> Response:
            return await metrics(request)

        app.add_route("/metrics", measure, methods=["GET"])
    _add_error_pages(app, pages, archive)
    app.add_middleware(
        RequestChecks,
        base_url=parts.publication.base_url,
        # RFC 8058 section 3.1: a one-click request comes from anywhere and carries nothing but its token.
        any_origin=("/u",),
        form_paths=("/subscribe", SIGNUPS_PATH),
        form_origins=options.form_origins,
        cookie_path="/admin",
        refused=pages.foreign_form.response(403),
    )
    app.add_middleware(BasePath, base_path=urlsplit(parts.publication.base_url).path)
    return app


def _add_error_pages(app: Starlette, pages: Pages, archive: Archive | None) -> None:
    async def refuse(request: Request, error: Exception) -> Response:
        status, headers = (error.status_code, error.headers) if isinstance(error, HTTPException) else (404, None)
        if archive is not None and status == HTTPStatus.NOT_FOUND:
            return await archive.missing(request)
        return pages.not_found.response(status, headers)

    async def apologise(_request: Request, _error: Exception) -> Response:
        return pages.trouble.response(503, {"Retry-After": "120"})

    app.add_exception_handler(HTTPException, refuse)
    app.add_exception_handler(Exception, apologise)


def _add_admin_area(app: Starlette, area: AdminArea) -> None:
    for route, endpoint in area.endpoints():
        app.add_route(route.path, endpoint, methods=list(route.methods))


def _add_public_pages(app: Starlette, site: Site, parts: Parts, assets: Assets) -> tuple[Archive | None, LeavingPages]:
    """Add the routes of the public pages; return the archive if there is one, and the pages that the opt-out shows."""
    frame = PublicFrame(parts.templates, parts.publication, parts.web_options, assets)
    archive = Archive(site, frame) if parts.web_options.archive else None
    confirmations = ConfirmationPages(site, frame)
    intake = SignupIntake(site, frame)
    subscribing = SubscribePages(site, frame, confirmations, intake)
    leaving = LeavingPages(site, frame)
    own = OwnSettingsPages(site, frame)
    new_address = NewAddressPages(site, frame)
    blocking = BlockPages(site, frame)

    async def confirm(request: Request) -> Response:
        return await confirmations(request)

    async def show_own(request: Request) -> Response:
        return await own(request)

    async def change_address(request: Request) -> Response:
        return await new_address(request)

    async def block(request: Request) -> Response:
        return await blocking(request)

    async def undo(request: Request) -> Response:
        return await leaving(request)

    legal = LegalPages(frame)

    async def show_legal(request: Request) -> Response:
        return await legal(request)

    for path in LEGAL_PATHS:
        app.add_route(path, show_legal, methods=["GET", "HEAD"])
    app.add_route("/subscribe", subscribing.form, methods=list(METHODS))
    if archive is None:
        app.add_route("/", subscribing.form, methods=list(METHODS))
    else:
        app.add_route("/", ArchiveHome(archive, subscribing).show, methods=list(METHODS))
        for path, endpoint in archive_endpoints(archive):
            app.add_route(path, endpoint, methods=list(ARCHIVE_METHODS))
    app.add_route(SIGNUPS_PATH, SignupApi(site, intake).__call__, methods=list(SIGNUPS_METHODS))
    app.add_route("/subscribe/sent", subscribing.sent, methods=["GET", "HEAD", "POST"])
    app.add_route("/subscribe/again", subscribing.again, methods=["POST"])
    app.add_route("/block/{token:path}", block, methods=["GET", "HEAD", "POST"])
    app.add_route("/puzzle", subscribing.puzzle, methods=["GET"])
    app.add_route("/c/{token:path}", confirm, methods=list(METHODS))
    app.add_route("/p/{token:path}", own.ask, methods=["GET", "HEAD", "POST"])
    app.add_route("/me/{token}", show_own, methods=["GET", "HEAD"])
    app.add_route("/me/{token}/{act}", show_own, methods=["GET", "HEAD", "POST"])
    app.add_route("/address/{token:path}", change_address, methods=["GET", "HEAD", "POST"])
    app.add_route("/undo/{token:path}", undo, methods=["GET", "HEAD", "POST"])
    return archive, leaving

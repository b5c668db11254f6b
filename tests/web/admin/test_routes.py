"""Every route of the admin area, for every kind of visitor: a route that this table does not name fails a test."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from starlette.routing import Route

from newsletter.store.unit import Unit
from newsletter.testing.clocks import FixedClock
from newsletter.web.app import create_app
from newsletter.web.request_checks import SAFE_METHODS
from tests.flows.sign_in_fixtures import ADMIN, EDITOR
from tests.web.admin.conftest import TOOLS, AskAs
from tests.web.conftest import Ask, WebParts
from tests.web.test_request_checks import database_digest

ROUTES = {
    "/admin": "editor",
    "/admin/": "editor",
    "/admin/sign-in": "nothing",
    "/admin/sign-in/code": "nothing",
    "/admin/in/{token:path}": "nothing",
    "/admin/confirm-identity": "editor",
    "/admin/out": "editor",
    "/admin/queue": "editor",
    "/admin/queue/move": "editor",
    "/admin/queue/pin": "editor",
    "/admin/queue/unpin": "editor",
    "/admin/dates/{day}/skip": "editor",
    "/admin/dates/{day}/unskip": "editor",
    "/admin/sessions": "editor",
    "/admin/sessions/{id:int}/end": "editor",
    "/admin/sessions/{id:int}/end-of-other": "recent admin",
    "/admin/sessions/end-others": "editor",
    "/admin/log": "admin",
    "/admin/settings": "admin",
    "/admin/settings/checks": "admin",
    "/admin/{rest:path}": "editor",
}
"""What each route needs: `nothing`, `editor`, `admin`, or `recent editor` and `recent admin` for what is not undone."""

ENDS_SESSION = ("/admin/out",)


def admin_routes(parts: WebParts) -> dict[str, list[str]]:
    """Return the methods of every route of the admin area."""
    routes = [route for route in create_app(parts, tools=TOOLS).routes if isinstance(route, Route)]
    return {route.path: sorted(route.methods or ()) for route in routes if route.path.startswith("/admin")}


def spelled(path: str) -> str:
    """Return an address that fits a route."""
    return re.sub(r"\{\w+(:\w+)?\}", "4711", path)


def calls(parts: WebParts) -> Iterator[tuple[str, str, str]]:
    """Yield method, address and need of everything that can be asked for."""
    for path, methods in admin_routes(parts).items():
        yield from ((method, spelled(path), ROUTES[path]) for method in methods)


def leads_to_sign_in(status: int, location: str) -> bool:
    """Tell whether an answer asks to sign in first."""
    return status == 303 and location.startswith("/admin/sign-in") and not location.startswith("/admin/sign-in/code")


def test_the_table_names_every_route(parts: WebParts) -> None:
    """A new page says here who may open it; an address that is gone leaves the table."""
    assert sorted(admin_routes(parts)) == sorted(ROUTES)


def test_nobody_opens_only_the_pages_for_signing_in(ask: Ask, parts: WebParts) -> None:
    """Without a session every other address leads to the form, and says nothing of what is there."""
    for method, address, needed in calls(parts):
        answer = ask(method, address)
        refused = leads_to_sign_in(answer.status_code, answer.headers.get("Location", ""))
        assert refused == (needed != "nothing"), (method, address)


def test_an_ended_session_opens_nothing(ask_as: AskAs, parts: WebParts) -> None:
    """After signing out, the cookie of the session is worth nothing on any route."""
    ended = ask_as(ADMIN)
    assert ended("POST", "/admin/out").status_code == 303
    for method, address, needed in calls(parts):
        answer = ended(method, address)
        refused = leads_to_sign_in(answer.status_code, answer.headers.get("Location", ""))
        assert refused == (needed != "nothing"), (method, address)


def test_an_idle_session_opens_nothing(ask_as: AskAs, parts: WebParts, clock: FixedClock) -> None:
    """After fourteen days without a request the person signs in again."""
    idle = ask_as(ADMIN)
    clock.turn(days=14)
    for method, address, needed in calls(parts):
        answer = idle(method, address)
        refused = leads_to_sign_in(answer.status_code, answer.headers.get("Location", ""))
        assert refused == (needed != "nothing"), (method, address)


def test_a_removed_address_opens_nothing(ask_as: AskAs, parts: WebParts) -> None:
    """A session whose address the settings no longer name ends at the next request."""
    former = ask_as("former@example.org")
    for method, address, needed in calls(parts):
        answer = former(method, address)
        refused = leads_to_sign_in(answer.status_code, answer.headers.get("Location", ""))
        assert refused == (needed != "nothing"), (method, address)


@pytest.mark.parametrize("email", [ADMIN, EDITOR])
def test_each_role_opens_what_it_may(ask_as: AskAs, parts: WebParts, email: str) -> None:
    """An admin opens every page; an editor those that need an editor, and is refused the others in words."""
    for method, address, needed in calls(parts):
        answer = ask_as(email)(method, address)
        refused = email == EDITOR and needed.endswith("admin")
        assert (answer.status_code == 403) == refused, (method, address)
        if address not in ENDS_SESSION:
            assert not leads_to_sign_in(answer.status_code, answer.headers.get("Location", "")), (method, address)
        assert answer.status_code < 500, (method, address)


def test_what_is_not_undone_needs_a_recent_sign_in(ask_as: AskAs, parts: WebParts, clock: FixedClock) -> None:
    """Ten minutes after the sign-in these routes lead to the page that asks once more."""
    admin = ask_as(ADMIN)
    clock.turn(minutes=10)
    for method, address, needed in calls(parts):
        if address in ENDS_SESSION:
            continue
        location = admin(method, address).headers.get("Location", "")
        assert location.startswith("/admin/confirm-identity") == needed.startswith("recent"), (method, address)


def test_opening_a_page_changes_nothing(ask_as: AskAs, parts: WebParts, unit: Unit) -> None:
    """GET, HEAD and OPTIONS leave every row as it is, on every route, for an admin."""
    admin = ask_as(ADMIN)
    before = database_digest(unit)
    for path in admin_routes(parts):
        for method in SAFE_METHODS:
            admin(method, spelled(path))
            assert database_digest(unit) == before, (method, path)


def test_a_form_of_another_site_changes_nothing(ask_as: AskAs, parts: WebParts, unit: Unit) -> None:
    """Cross-site, same-site, a foreign origin and no origin at all are refused, though the cookie is there."""
    admin = ask_as(ADMIN)
    before = database_digest(unit)
    foreign = (
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example.net"},
        {"Origin": "null"},
    )
    for path, methods in admin_routes(parts).items():
        for headers in foreign if "POST" in methods else ():
            answer = admin("POST", spelled(path), headers=dict(headers))
            assert (answer.status_code, "Nothing was changed" in answer.text) == (403, True), (path, headers)
    assert database_digest(unit) == before


def test_a_form_of_this_site_is_taken(ask_as: AskAs) -> None:
    """Browsers say `same-origin`, older ones name the origin, and a program says neither."""
    for headers in ({"Sec-Fetch-Site": "same-origin"}, {"Origin": "https://news.example.com"}, {}):
        assert ask_as(ADMIN)("POST", "/admin/out", headers=dict(headers)).status_code == 303


def test_every_answer_bears_the_headers_of_the_area(ask_as: AskAs, ask: Ask, parts: WebParts) -> None:
    """No cache keeps a page, no frame shows it, nothing of another host is loaded, and no search engine lists it."""
    for method, address, _ in calls(parts):
        for answer in (ask_as(ADMIN)(method, address), ask(method, address)):
            headers = answer.headers
            assert headers["Cache-Control"] == "no-store, private", (method, address)
            assert headers["X-Robots-Tag"] == "noindex"
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Referrer-Policy"] == "same-origin"
            if answer.status_code != 303:
                policy = headers["Content-Security-Policy"]
                for part in ("default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "object-src 'none'"):
                    assert part in policy
                assert "unsafe" not in policy

"""A bug behind any page of the admin area: a sentence for the reader, a trace in the log, and nothing changed."""

from __future__ import annotations

from dataclasses import replace
from typing import NoReturn

import pytest
from starlette.applications import Starlette

from newsletter.store.unit import Unit
from newsletter.web.admin.area import AdminArea
from newsletter.web.admin.route import AdminRequest
from newsletter.web.assets import Assets
from newsletter.web.site import Site
from tests.flows.sign_in_fixtures import ADMIN
from tests.web.admin.conftest import TOOLS, AskAs
from tests.web.admin.test_routes import spelled
from tests.web.conftest import Stage, WebParts
from tests.web.test_request_checks import database_digest

BUG = "the password is 4711"


async def broken(_asked: AdminRequest) -> NoReturn:
    """Fail as a bug does."""
    raise ZeroDivisionError(BUG)


def test_a_bug_shows_no_trace(
    ask_as: AskAs, stage: tuple[Stage, str], parts: WebParts, unit: Unit, caplog: pytest.LogCaptureFixture
) -> None:
    """Whichever page it is in, the answer is the same page, and the log says where it was."""
    area = AdminArea(Site(parts), parts, Assets(parts.templates, ""), TOOLS)
    app = Starlette()
    for route in area.routes:
        app.add_route(route.path, area.guard.guarded(replace(route, handler=broken)), methods=list(route.methods))
    admin = ask_as(ADMIN)
    stage[0].app = app
    before = database_digest(unit)
    for route in area.routes:
        for method in route.methods:
            caplog.clear()
            answer = admin(method, spelled(route.path))
            assert answer.status_code == 503, (method, route.path)
            assert answer.headers["Retry-After"]
            assert "ZeroDivisionError" not in answer.text
            assert BUG not in answer.text
            assert f"{method} {route.path}: a bug" in caplog.text
    assert database_digest(unit) == before

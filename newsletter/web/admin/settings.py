"""The settings: every one with its value, its source and its sentence, and the checks of `newsletter doctor`.

In: a request of an admin. Out: a page to read. Nothing is changed here: the environment and the `.env` are the truth.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from starlette.responses import Response

from newsletter.core.access import Needed
from newsletter.render.notice import Words
from newsletter.web.admin.frame import AdminFrame
from newsletter.web.admin.route import AdminRequest, AdminRoute
from newsletter.web.admin.tools import AdminTools, CheckRow, SettingRow
from newsletter.web.pages import Page

SETTINGS_PATH = "/admin/settings"
CHECKS_PATH = "/admin/settings/checks"
_DEFAULT = "default"


class SettingsPages:
    """The answers of `/admin/settings` and of the page with the checks."""

    def __init__(self, frame: AdminFrame, tools: AdminTools) -> None:
        self._frame = frame
        self._tools = tools
        self._draw(None, [])
        self._draw_checks(None, [])

    @property
    def routes(self) -> tuple[AdminRoute, ...]:
        """Return the routes of these pages."""
        return (
            AdminRoute(path=SETTINGS_PATH, handler=self.show, needed=Needed.ADMIN),
            AdminRoute(path=CHECKS_PATH, handler=self.check, needed=Needed.ADMIN),
        )

    async def show(self, asked: AdminRequest) -> Response:
        """Show the settings, those that differ from their default first."""
        rows = await self._frame.read(self._tools.settings, about="settings")
        return self._draw(asked, rows).response(200)

    async def check(self, asked: AdminRequest) -> Response:
        """Show what `newsletter doctor` finds now."""
        rows = await self._frame.read(self._tools.doctor, about="doctor")
        return self._draw_checks(asked, rows).response(200)

    def _draw(self, asked: AdminRequest | None, rows: Sequence[SettingRow]) -> Page:
        decided = [row for row in rows if row.source != _DEFAULT]
        defaults = [row for row in rows if row.source == _DEFAULT]
        words = self._frame.section("settings")
        groups = [(words["decided"], "decided", decided), (words["defaults"], "defaults", defaults)]
        return self._frame.page("settings", asked, words=words, groups=groups, checks=CHECKS_PATH)

    def _draw_checks(self, asked: AdminRequest | None, rows: Sequence[CheckRow]) -> Page:
        counts = Counter(row.level for row in rows)
        verdict = "fail" if counts["fail"] else "warn" if counts["warn"] else "ok"
        shown = [(row.level, row.about, Words(row.text).html, Words(row.todo).html) for row in rows]
        words = self._frame.section("checks")
        return self._frame.page("checks", asked, words=words, verdict=words[f"verdict_{verdict}"], rows=shown)

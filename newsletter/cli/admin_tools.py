"""What the admin area shows of the command line: the settings of `config show`, and the findings of `doctor`.

In: the run of the command that serves the pages. Out: the two as functions, since the web part knows neither the
environment nor the commands.
"""

from __future__ import annotations

from collections.abc import Sequence

from newsletter.cli.config import setting_rows
from newsletter.cli.context import State
from newsletter.cli.doctor import examine_all
from newsletter.settings.model import settings_help
from newsletter.web.admin.tools import AdminTools, CheckRow, SettingRow


def admin_tools(invocation: State) -> AdminTools:
    """Return what the settings page shows."""

    def settings() -> Sequence[SettingRow]:
        sentences = {setting.name: setting.description for setting in settings_help()}
        return [
            SettingRow(name=name, value=value, source=source, sentence=sentences[name])
            for name, value, source in setting_rows(invocation)
        ]

    def doctor() -> Sequence[CheckRow]:
        return [
            CheckRow(level=finding.level.value, about=finding.about, text=finding.text, todo=finding.todo)
            for finding in examine_all(invocation)
        ]

    return AdminTools(settings=settings, doctor=doctor)

"""`newsletter config`: the settings in effect, and the source of each.

In: the environment and the `.env` of the home folder. Out: a table or JSON. A secret is shown as set or not set.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from newsletter.cli.context import State, state
from newsletter.cli.output import Json, print_json, table

if TYPE_CHECKING:
    from newsletter.settings.model import Settings

app = typer.Typer(help="The settings in effect.", no_args_is_help=True, rich_markup_mode=None)

DEFAULT_SOURCE = "default"


@app.callback()
def _group() -> None:
    """Keep `show` a verb of its own: typer merges a group with its only command."""


@app.command("show")
def show(
    context: typer.Context,
    *,
    changed: Annotated[bool, typer.Option("--changed", help="Leave out the settings that have their default.")] = False,
    as_json: Json = False,
) -> None:
    """Show each setting, its value and its source; no secrets.

    The source is environment, .env, file (NAME_FILE), default, or the setting that the value follows from.
    """
    rows = [row for row in setting_rows(state(context)) if not changed or row[2] != DEFAULT_SOURCE]
    if as_json:
        print_json([{"name": name, "value": value, "source": source} for name, value, source in rows])
        return
    table(("setting", "value", "source"), rows)


def setting_rows(invocation: State) -> Iterator[tuple[str, str, str]]:
    """Yield name, value and source of each setting, in the order of the documentation."""
    from newsletter.settings.loader import setting_sources
    from newsletter.settings.model import PRIVATE, as_written, setting_name

    settings = invocation.settings
    sources = setting_sources(invocation.environ, invocation.home)
    derived = _derived(settings)
    for attribute, field in type(settings).model_fields.items():
        key = field.alias or attribute
        value, source = as_written(getattr(settings, attribute)), sources.get(key, DEFAULT_SOURCE)
        if key not in sources and key in derived:
            value, source = derived[key]
        if key in PRIVATE:
            value = "set" if value else "not set"
        yield setting_name(key), value, source


def _derived(settings: Settings) -> dict[str, tuple[str, str]]:
    """Return value and source of each setting that follows from another one when it is not set itself."""
    from newsletter.settings.model import as_written, setting_fields, setting_name
    from newsletter.settings.relays import relay_limits

    derived: dict[str, tuple[str, str]] = {}
    if settings.name != setting_fields()["name"].default:
        derived["name"] = (settings.name, setting_name("from"))
    if settings.smtp_preset != "none":
        limits = relay_limits(settings, "")
        values = {
            "smtp_connections": limits.connections,
            "smtp_max_messages": limits.messages,
            "smtp_max_seconds": limits.seconds,
        }
        derived |= {key: (as_written(value), setting_name("smtp_preset")) for key, value in values.items()}
    return derived

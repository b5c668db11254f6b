"""`newsletter log`: who changed what, when, and why; in local time, the newest last."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from newsletter.cli.context import state
from newsletter.cli.output import Json, print_json, say, table
from newsletter.wording import weekday_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from newsletter.store.log import LogEntry
    from newsletter.wiring import Application

_PERSON = re.compile(r"subscriber (\d+)")


def log(
    context: typer.Context,
    *,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many, the newest.")] = 30,
    about: Annotated[
        str, typer.Option("--about", metavar="TEXT", help="Only what names this: a tip, a date, an address, a verb.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Tell who changed what, when and why; the newest last."""
    from newsletter.store import log as logs
    from newsletter.store.log_people import addresses_of

    app = state(context).app
    thing = _thing(app, about.strip())
    with app.unit.read() as tx:
        entries = list(logs.latest(tx, count=limit + 1, containing="" if thing else about.strip(), about=thing))
        shown = entries[:limit][::-1]
        addresses = addresses_of(tx, shown)
    if as_json:
        print_json([_as_data(item, addresses) for item in shown])
        return
    if not shown:
        say(f"Nothing was changed that names {about!r}." if about else "Nothing has been changed yet.")
        return
    _print(app, shown, addresses)
    if len(entries) > limit:
        say()
        say(f"There is more before that; --limit {limit * 10} shows it.")


def _thing(app: Application, about: str) -> str:
    """Return how the log names a person whose address was given; it bears no addresses."""
    if "@" not in about:
        return about if _PERSON.fullmatch(about) else ""
    from newsletter.cli.subscriber_lookup import known

    return f"subscriber {known(app.unit, about).id}"


def _as_data(entry: LogEntry, addresses: Mapping[str, str]) -> dict[str, object]:
    return {
        "at": entry.at.isoformat(),
        "who": entry.who,
        "what": entry.what,
        "about": entry.about,
        "email": addresses.get(entry.about),
        "why": entry.why,
    }


def _print(app: Application, shown: Sequence[LogEntry], addresses: Mapping[str, str]) -> None:
    from newsletter.core.cadence import local

    zone = app.cadence.zone
    rows = [
        (
            f"{weekday_name(local(item.at, zone).weekday())[:3]} {local(item.at, zone):%Y-%m-%d %H:%M:%S}",
            item.who,
            item.what,
            f"{addresses[item.about]} ({item.about})" if item.about in addresses else item.about,
            item.why,
        )
        for item in shown
    ]
    table((f"when ({zone})", "who", "what", "about", "why"), rows)

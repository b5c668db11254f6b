"""`newsletter queue`: the forecast of the coming dates."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from newsletter.cli.context import state
from newsletter.cli.output import Json, plural, print_json, say, table

if TYPE_CHECKING:
    from newsletter.flows.plan import Outlook

LONGEST_WEEKS = 520


def queue(
    context: typer.Context,
    weeks: Annotated[int, typer.Option("--weeks", min=1, max=LONGEST_WEEKS, help="How far to look ahead.")] = 12,
    json: Json = False,
) -> None:
    """Show what goes out when, to how many, and why; and what is wrong with it."""
    from newsletter.flows.plan import outlook

    app = state(context).app
    ahead = outlook(app.unit, app.plan_rules, weeks=weeks, now=app.clock.now())
    if json:
        print_json(_as_data(ahead))
        return
    _print_table(ahead, app.cadence.zone)
    if ahead.due is not None:
        has_tip = any(one.slot.date == ahead.due.date and one.tip is not None for one in ahead.choices)
        wanted = "the service runs" if has_tip else "it has a tip and the service runs"
        say(f"The date of {ahead.due.date} is due: it goes out as soon as {wanted}.")
    if ahead.takes is not None:
        people = plural(ahead.audience, "person", "people")
        say(f"An edition for {people} takes about {_span(ahead.takes)} at the present rate.")
    for warning in ahead.warnings:
        say(f"Warning: {warning}")
    for one in ahead.stranded:
        say(f"Stranded: {one.tip.slug!r} will not go out, {one.why}; pin it to another date, unpin it, or retire it.")


def _as_data(ahead: Outlook) -> list[dict[str, object]]:
    return [
        {
            "date": choice.slot.date.isoformat(),
            "sends_at": choice.slot.sends_at.isoformat(),
            "tip": choice.tip.slug if choice.tip is not None else None,
            "source": choice.source.value,
            "why": choice.why,
            "audience": ahead.audience_of(choice),
            "extra": choice.slot.extra,
            "warnings": list(choice.warnings),
        }
        for choice in ahead.choices
    ]


def _print_table(ahead: Outlook, zone: str) -> None:
    from newsletter.core.cadence import brief_instant

    rows = [
        (
            brief_instant(choice.slot.sends_at, zone) + (" (extra)" if choice.slot.extra else ""),
            choice.tip.slug if choice.tip is not None else "",
            choice.why,
            f"{ahead.audience_of(choice):,}",
        )
        for choice in ahead.choices
    ]
    table(("goes out", "tip", "why", "people"), rows)
    say()


def _span(takes: timedelta) -> str:
    from newsletter.core.cadence import describe_span

    if takes < timedelta(minutes=2):
        return plural(max(1, round(takes.total_seconds())), "second")
    return describe_span(takes)

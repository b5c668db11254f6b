"""`newsletter queue`: the forecast of the coming dates."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from newsletter.cli.context import state
from newsletter.cli.output import Json, print_json, say, say_beside, table
from newsletter.wording import people_words, plural

if TYPE_CHECKING:
    from collections.abc import Iterator

    from newsletter.core.lineup import Choice
    from newsletter.flows.plan import Outlook
    from newsletter.store.unit import Tx

WEEKS_MAX = 520
DRAFTS_SHOWN_MAX = 10


def queue(
    context: typer.Context,
    weeks: Annotated[
        int,
        typer.Option(
            "--weeks",
            min=1,
            max=WEEKS_MAX,
            help="How many weekly dates to look ahead; one that went out early is none.",
        ),
    ] = 12,
    json: Json = False,
) -> None:
    """Show what goes out when, to how many, and why.

    Problems of the queue stand below the table.
    """
    from newsletter.core.tip import TipStatus
    from newsletter.flows.plan import look_ahead
    from newsletter.store import tip as tips

    app = state(context).app
    with app.unit.read() as tx:
        ahead = look_ahead(tx, app.plan_rules, weeks=weeks, now=app.clock.now())
        drafts, draft_count = tips.drafts(tx, limit=DRAFTS_SHOWN_MAX), tips.count_by_status(tx, TipStatus.DRAFT)
        gone = list(_gone(tx, ahead))
    if json:
        print_json(_as_data(ahead, app.cadence.zone))
        return
    _print_table(ahead, app.cadence.zone)
    _print_waves(ahead, app.cadence.zone)
    if gone:
        _say(f"Begun early, and no longer ahead: {'; '.join(gone)}.")
    if ahead.due is not None:
        has_tip = any(tip.slot.date == ahead.due.date and tip.tip is not None for tip in ahead.choices)
        condition = "the service runs" if has_tip else "it has a tip and the service runs"
        _say(f"The date of {ahead.due.date} is due: it goes out as soon as {condition}.")
    if ahead.takes is not None:
        people = people_words(ahead.audience)
        _say(f"An edition for {people} takes about {_span(ahead.takes)} at the present rate.")
    for warning in ahead.warnings:
        _say(f"Warning: {warning}")
    for stranded in ahead.stranded:
        name = f"“{stranded.tip.title}” ({stranded.tip.slug})"
        _say(f"Stranded: {name} will not go out, {stranded.why}; pin it to another date, unpin it, or retire it.")
    if drafts:
        names = [f"“{draft.title}” ({draft.slug})" for draft in drafts]
        more = f", and {draft_count - len(drafts):,} more" if draft_count > len(drafts) else ""
        noun = plural(draft_count, "draft is", "drafts are")
        _say(f"{noun} not approved and in no date: {', '.join(names)}{more}.")


def _say(text: str) -> None:
    say_beside("", text, cells=0)


def _gone(tx: Tx, ahead: Outlook) -> Iterator[str]:
    """Name the dates of the calendar that are not in the table, and what became of them."""
    from newsletter.core.cadence import brief_date
    from newsletter.store import edition as editions

    for slot in ahead.gone:
        edition = editions.by_date(tx, slot.date)
        # One without an edition is known from the ledger alone, after a restore.
        became = f" ({edition.tip.slug}, {edition.status.value})" if edition is not None else ""
        yield brief_date(slot.date) + became


def _as_data(ahead: Outlook, zone: str) -> list[dict[str, object]]:
    return [
        {
            "date": choice.slot.date.isoformat(),
            "sends_at": choice.slot.sends_at.isoformat(),
            "tip": choice.tip.slug if choice.tip is not None else None,
            "title": choice.tip.title if choice.tip is not None else None,
            "source": choice.source.value,
            "why": choice.why,
            "audience": ahead.audience_of(choice),
            "extra": choice.slot.extra,
            "warnings": list(choice.warnings),
        }
        | _waves_data(ahead, choice, zone)
        for choice in ahead.choices
    ]


def _waves_data(ahead: Outlook, choice: Choice, zone: str) -> dict[str, object]:
    """Return what is known of the waves of a date; nothing where all get it at one instant."""
    from newsletter.core.cadence import local

    if choice.slot.home is None:
        return {}
    return {
        "sends_at_home": choice.slot.home.isoformat(),
        "waves": [
            {
                "not_before": wave.not_before.isoformat(),
                "local": local(wave.not_before, wave.clock).isoformat(),
                "at_home": local(wave.not_before, zone).isoformat(),
                "zones": [item or None for item in wave.zones],
                "people": wave.people,
            }
            for wave in ahead.waves_of(choice)
        ],
    }


def _print_waves(ahead: Outlook, zone: str) -> None:
    """Show how the next edition goes round the world."""
    from newsletter.core.cadence import brief_instant, describe_slot

    coming = next((choice for choice in ahead.choices if ahead.waves_of(choice)), None)
    if coming is None:
        return
    say(f"The next edition goes out {describe_slot(coming.slot, zone)}:")
    rows = [
        (
            wave.label,
            brief_instant(wave.not_before, wave.clock),
            brief_instant(wave.not_before, zone),
            f"{wave.people:,}",
        )
        for wave in ahead.waves
    ]
    table(("zone", "their time", "your time", "people"), rows)
    say()


def _print_table(ahead: Outlook, zone: str) -> None:
    from newsletter.core.cadence import brief_slot

    rows = [
        (
            brief_slot(choice.slot, zone) + (" (extra)" if choice.slot.extra else ""),
            f"{choice.tip.title} ({choice.tip.slug})" if choice.tip is not None else "",
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

"""`newsletter slot`: dates. Skip one on purpose, take that back, add one beside the weekly ones, remove it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from newsletter.cli.context import state
from newsletter.cli.output import Json, one_line, print_json, say, table, warn
from newsletter.errors import InputError

if TYPE_CHECKING:
    from datetime import time

    from newsletter.core.cadence import Slot
    from newsletter.core.edition import EditionStatus
    from newsletter.wiring import Application

app = typer.Typer(help="Skip, add and remove dates.", no_args_is_help=True, rich_markup_mode=None)

Day = Annotated[str, typer.Argument(metavar="DATE", help="The local date, such as 2026-12-22.")]


@app.command("skip")
def skip(
    context: typer.Context,
    day: Day,
    because: Annotated[str, typer.Option("--because", metavar="TEXT", help="Why; for the queue and the log.")] = "",
) -> None:
    """Send nothing on a date, on purpose."""
    from newsletter.cli.tip_names import read_date
    from newsletter.flows.change_slot import skip_slot

    invocation = state(context)
    now = invocation.app.clock.now()
    result = skip_slot(
        invocation.app.unit,
        read_date(day),
        invocation.app.plan_rules,
        who=invocation.who,
        because=one_line(because),
        now=now,
    )
    say(f"{_described(invocation.app, result.slot)}: {'skipped' if result.new else 'was skipped already'}.")
    if result.tip is not None:
        slug = result.tip.slug
        warn(
            f"{slug} is pinned to this date, which is skipped: "
            f"it goes out only after `newsletter tip pin {slug} DATE` or `newsletter tip unpin {slug}`."
        )


@app.command("unskip")
def unskip(context: typer.Context, day: Day) -> None:
    """Send on a skipped date after all.

    Possible until the time of the date.
    """
    from newsletter.cli.tip_names import read_date
    from newsletter.flows.change_slot import unskip_slot

    invocation = state(context)
    result = unskip_slot(
        invocation.app.unit, read_date(day), invocation.app.cadence, who=invocation.who, now=invocation.app.clock.now()
    )
    say(f"{_described(invocation.app, result.slot)}: {'open again' if result.new else 'was open already'}.")


@app.command("add")
def add(
    context: typer.Context,
    day: Day,
    at: Annotated[
        str | None, typer.Argument(metavar="TIME", help="Such as 14:30; otherwise the time of the weekly mail.")
    ] = None,
    tip: Annotated[str | None, typer.Option("--tip", metavar="TIP", help="Pin this tip to the date.")] = None,
) -> None:
    """Add a date beside the weekly ones."""
    from newsletter.cli.tip_names import find_tip, read_date
    from newsletter.core.tip import TipStatus
    from newsletter.flows.change_slot import add_slot

    invocation = state(context)
    app_ = invocation.app
    chosen = find_tip(app_.unit, tip) if tip is not None else None
    review = app_.review(app_.clock.now())
    result = add_slot(app_.unit, read_date(day), _time(at), review, tip=chosen, who=invocation.who)
    text = f" for {result.tip.slug}" if result.tip is not None else ", for the next tip of the queue"
    say(f"{_described(app_, result.slot)}: added{text}.")
    if result.tip is not None and result.tip.status is TipStatus.DRAFT:
        warn(f"It is a draft and goes out only once approved: newsletter tip approve {result.tip.slug}")


@app.command("remove")
def remove(context: typer.Context, day: Day) -> None:
    """Remove an added date on which nothing was sent."""
    from newsletter.cli.tip_names import read_date
    from newsletter.flows.change_slot import remove_slot

    invocation = state(context)
    result = remove_slot(
        invocation.app.unit, read_date(day), invocation.app.cadence, who=invocation.who, now=invocation.app.clock.now()
    )
    say(f"{_described(invocation.app, result.slot)}: removed.")


@app.command("list")
def list_slots(context: typer.Context, json: Json = False) -> None:
    """List the dates that have a record.

    Sent, skipped, missed, empty and added dates.
    """
    from newsletter.core.cadence import SlotState, slot_order
    from newsletter.core.edition import EditionKind
    from newsletter.store import edition as editions
    from newsletter.store import slot as slots

    app_ = state(context).app
    with app_.unit.read() as tx:
        stored = sorted(slots.since(tx, None), key=slot_order)
        frozen = [item.date for item in stored if item.state is SlotState.FROZEN]
        # The newest of a date comes first, and tells how the date stands; a correction is beside the date's own mail.
        newest = reversed(editions.latest(tx, count=3 * len(frozen))) if frozen else ()
        statuses = {item.date: item.status for item in newest if item.kind is not EditionKind.CORRECTION}
    if json:
        print_json(
            [
                {
                    "date": item.date.isoformat(),
                    "sends_at": item.sends_at.isoformat(),
                    "extra": item.extra,
                    "state": item.state.value,
                    "edition": statuses[item.date].value if item.date in statuses else None,
                    "reason": item.reason,
                }
                for item in stored
            ]
        )
        return
    if not stored:
        say("Nothing is recorded of any date yet; `newsletter queue` shows the coming ones.")
        return
    rows = ((_brief(app_, item), _became(item, statuses.get(item.date)), item.reason) for item in stored)
    table(("date", "state", "why"), rows)


def _became(slot: Slot, edition: EditionStatus | None) -> str:
    """Say in a word what became of a date; of an edition that only the ledger knows, it was sent."""
    from newsletter.core.cadence import SlotState
    from newsletter.core.edition import EditionStatus

    if slot.state is not SlotState.FROZEN:
        return slot.state.value
    return "sent" if edition in {None, EditionStatus.FINISHED} else str(edition)


def _brief(app_: Application, slot: Slot) -> str:
    """Name a slot in a table: its local date, which is its key, and its hour if that is on this date."""
    from newsletter.core.cadence import brief_date, brief_instant, brief_slot, local, retimed

    zone = app_.cadence.zone
    ahead = retimed(app_.cadence, slot) if slot.sends_at > app_.clock.now() else None
    if ahead is not None and ahead.home is not None:
        # Each reader gets it by a clock of their own: an hour of ours beside it would be true for few.
        return brief_slot(ahead, zone) + (" (extra)" if slot.extra else "")
    # An edition of which only the ledger tells bears the hour at which it was sent, perhaps on another day.
    known = local(slot.sends_at, zone).date() == slot.date
    return (brief_instant(slot.sends_at, zone) if known else brief_date(slot.date)) + (" (extra)" if slot.extra else "")


def _described(app_: Application, slot: Slot) -> str:
    from newsletter.core.cadence import describe_slot

    return describe_slot(slot, app_.cadence.zone)


def _time(text: str | None) -> time | None:
    from newsletter.core.cadence import parse_time

    if text is None:
        return None
    try:
        return parse_time(text)
    except ValueError as error:
        raise InputError(str(error)) from error

"""`newsletter tip`: what the queue is made of. Reading is a query; every change is one flow.

The commands that read files stand in `cli/tip_files.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from newsletter.cli import tip_files, tip_output
from newsletter.cli.confirmation import Yes, confirm
from newsletter.cli.context import State, state
from newsletter.cli.output import Json, one_line, print_json, say, table, warn
from newsletter.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import date

    from newsletter.core.tip import Tip, TipId, TipStatus
    from newsletter.store.tip import TipEntry
    from newsletter.store.unit import Tx

app = typer.Typer(help="Write, review and order tips.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(tip_files.app)
app.add_typer(tip_output.app)

TipName = Annotated[str, typer.Argument(metavar="TIP", help="A slug, or the beginning of one.")]
TipNames = Annotated[list[str], typer.Argument(metavar="TIP", help="Slugs, or beginnings of them.")]

_LIST_ORDER = {"sent": 1, "retired": 2}


@app.command("list")
def list_tips(
    context: typer.Context,
    state_: Annotated[
        str | None, typer.Option("--state", help="Only draft, approved, sent or retired ones.", metavar="STATE")
    ] = None,
    json: Json = False,
) -> None:
    """List tips with their dates.

    The queue with its drafts, in its order; then sent tips, then retired ones.
    """
    from newsletter.core.tip import TipStatus

    if state_ is not None and state_ not in set(TipStatus):
        raise InputError(f"{state_!r} is not a state of a tip; use one of {', '.join(TipStatus)}.")
    invocation = state(context)
    rows = _rows(invocation, tuple(TipStatus) if state_ is None else (TipStatus(state_),))
    if json:
        print_json(rows)
        return
    if not rows:
        say("There is no tip yet." if state_ is None else f"No tip is {state_}.")
        return
    headings = ("title", "tip", "state", "goes out", "last sent", "remarks")
    keys = ("title", "slug", "state", "goes_out", "last_sent")
    table(headings, ([*(row[key] for key in keys), _remarks(row)] for row in rows))


@app.command("show")
def show(context: typer.Context, tip: TipName, json: Json = False) -> None:
    """Show a tip: where it stands, and its file."""
    from newsletter.cli.tip_names import find_tip, named
    from newsletter.core.tip import draft_of
    from newsletter.core.tip_file import render_tip_file

    invocation = state(context)
    known = find_tip(invocation.app.unit, tip)
    with invocation.app.unit.read() as tx:
        row = _row(known, _Dates.read(invocation, tx, [known.id]))
    if json:
        print_json(row | {"body": known.body})
        return
    say(f"{named(known)}: {known.status}" + (f" ({_remarks(row)})" if _remarks(row) else ""))
    if row["goes_out"]:
        say(f"Goes out: {row['goes_out']}")
    if row["sent"]:
        say(f"Went out: {', '.join(map(str, row['sent']))}")  # type: ignore[call-overload]
    say()
    say(render_tip_file(draft_of(known)).rstrip("\n"))


@app.command("approve")
def approve(context: typer.Context, tips: TipNames) -> None:
    """Approve tips, so that they go out.

    A tip that could not be sent is refused with the reason.
    """
    from newsletter.cli.tip_names import TIP_DATE_WEEKS, find_tip, named, tell_due, when
    from newsletter.flows.change_tip import approve_tips
    from newsletter.flows.plan import outlook

    invocation = state(context)
    app_ = invocation.app
    now = app_.clock.now()
    chosen = [find_tip(app_.unit, text) for text in tips]
    fresh = {tip.id for tip in approve_tips(app_.unit, chosen, app_.review(now), who=invocation.who)}
    ahead = outlook(app_.unit, app_.plan_rules, weeks=TIP_DATE_WEEKS, now=now)
    for tip in chosen:
        outcome = "approved" if tip.id in fresh else "was approved already"
        say(f"{named(tip)}: {outcome}; {when(app_, ahead, tip)}")
    if fresh:
        tell_due(app_, now)


@app.command("retire")
def retire(
    context: typer.Context,
    tip: TipName,
    because: Annotated[str, typer.Option("--because", metavar="TEXT", help="Why; kept in the log.")] = "",
) -> None:
    """Take a tip out of the queue and free its date.

    Approving it brings it back.
    """
    from newsletter.cli.tip_names import find_tip, named
    from newsletter.flows.change_tip import retire_tip

    invocation = state(context)
    known = find_tip(invocation.app.unit, tip)
    after = retire_tip(
        invocation.app.unit, known, who=invocation.who, why=one_line(because), now=invocation.app.clock.now()
    )
    say(f"{named(known)}: " + ("was retired already" if after == known else "retired"))


@app.command("pin")
def pin(
    context: typer.Context,
    tip: TipName,
    on: Annotated[str, typer.Argument(metavar="DATE", help="The date, such as 2026-12-22.")],
) -> None:
    """Choose the one date on which a tip goes out."""
    from newsletter.cli.tip_names import TIP_DATE_WEEKS, find_tip, named, read_date
    from newsletter.core.cadence import describe_date
    from newsletter.core.tip import TipStatus
    from newsletter.flows.change_tip import pin_tip
    from newsletter.flows.plan import outlook

    invocation = state(context)
    app_ = invocation.app
    now = app_.clock.now()
    known = find_tip(app_.unit, tip)
    day = read_date(on)
    after = pin_tip(app_.unit, known, day, app_.review(now), who=invocation.who)
    outcome = "was pinned to that date already" if after == known else f"pinned to {describe_date(day)}"
    say(f"{named(known)}: {outcome}")
    if after.status is TipStatus.DRAFT:
        warn(f"It is a draft and goes out only once approved: newsletter tip approve {known.slug}")
        return
    ahead = outlook(app_.unit, app_.plan_rules, weeks=TIP_DATE_WEEKS, now=now)
    for warning in (text for choice in ahead.choices if choice.slot.date == day for text in choice.warnings):
        warn(f"Warning: {warning}")


@app.command("unpin")
def unpin(context: typer.Context, tip: TipName) -> None:
    """Give a tip back to the queue, at its own place."""
    from newsletter.cli.tip_names import find_tip, named
    from newsletter.flows.change_tip import unpin_tip

    invocation = state(context)
    known = find_tip(invocation.app.unit, tip)
    unpin_tip(invocation.app.unit, known, who=invocation.who, now=invocation.app.clock.now())
    say(f"{named(known)}: " + (f"no longer pinned to {known.pin}" if known.pin else "was not pinned"))


@app.command("move")
def move(
    context: typer.Context,
    tip: TipName,
    before: Annotated[str | None, typer.Option("--before", metavar="TIP", help="Put it before this one.")] = None,
    first: Annotated[bool, typer.Option("--first", help="Put it first.")] = False,
    last: Annotated[bool, typer.Option("--last", help="Put it last.")] = False,
) -> None:
    """Change the place of a tip in the queue."""
    from newsletter.cli.tip_names import TIP_DATE_WEEKS, find_tip, named, when
    from newsletter.core.tip import TipStatus
    from newsletter.flows.change_tip import move_tip
    from newsletter.flows.plan import outlook

    if (before is not None) + first + last != 1:
        raise InputError("say where to: one of --before TIP, --first and --last")
    invocation = state(context)
    app_ = invocation.app
    now = app_.clock.now()
    known = find_tip(app_.unit, tip)
    other = find_tip(app_.unit, before) if before is not None else None
    moved = move_tip(app_.unit, known, before=other, first=first, who=invocation.who, now=now)
    place = f"before {named(other)}" if other is not None else "first" if first else "last"
    say(f"{named(known)}: now {place} in the queue")
    if moved.pin:
        warn(f"It is pinned to {moved.pin}, which counts before its place.")
    elif moved.evergreen:
        warn("It is an evergreen: it takes no place of the queue, and goes out when the queue has nothing.")
    elif moved.status is TipStatus.APPROVED:
        ahead = outlook(app_.unit, app_.plan_rules, weeks=TIP_DATE_WEEKS, now=now)
        say(f"{named(known)}: {when(app_, ahead, moved)}")


@app.command("delete")
def delete(context: typer.Context, tip: TipName, yes: Yes = False) -> None:
    """Delete a tip that never went out; `tip retire` keeps it."""
    from newsletter.cli.tip_names import find_tip, named
    from newsletter.flows.change_tip import delete_tip, refuse_used

    invocation = state(context)
    app_ = invocation.app
    known = find_tip(app_.unit, tip)
    refuse_used(app_.unit, known)
    confirm(f"Delete “{known.title}” ({known.slug})? Its text is gone for good.", yes=yes)
    delete_tip(app_.unit, known, who=invocation.who, now=app_.clock.now())
    say(f"{named(known)}: deleted")


def _rows(invocation: State, statuses: Sequence[TipStatus]) -> list[dict[str, object]]:
    """Return the tips of these states as data: the queue in its order, then what was sent, then what was retired."""
    from newsletter.store import tip as tips

    with invocation.app.unit.read() as tx:
        dates = _Dates.read(invocation, tx)
        entries = tips.entries(tx, statuses=statuses)
    return [_row(tip, dates) for tip in sorted(entries, key=lambda tip: _LIST_ORDER.get(tip.status, 0))]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Dates:
    """When tips go out and went out, and why some do not, by tip."""

    goes_out: Mapping[TipId, date]
    sent: Mapping[TipId, list[date]]
    stranded: Mapping[TipId, str]

    @classmethod
    def read(cls, invocation: State, tx: Tx, only: Collection[TipId] | None = None) -> _Dates:
        """Read the forecast, and what went out: of some tips, or of all."""
        from newsletter.cli.tip_names import TIP_DATE_WEEKS
        from newsletter.flows.plan import look_ahead
        from newsletter.store import edition as editions

        history = editions.history(tx) if only is None else editions.history_of(tx, only)
        ahead = look_ahead(tx, invocation.app.plan_rules, weeks=TIP_DATE_WEEKS, now=invocation.app.clock.now())
        goes_out: dict[TipId, date] = {}
        for choice in ahead.choices:
            if choice.tip is not None:
                goes_out.setdefault(choice.tip.id, choice.slot.date)
        sent: dict[TipId, list[date]] = {}
        for sending in history:
            sent.setdefault(sending.tip, []).append(sending.date)
        return cls(goes_out=goes_out, sent=sent, stranded={item.tip.id: item.why for item in ahead.stranded})


def _row(tip: Tip | TipEntry, dates: _Dates) -> dict[str, object]:
    sent = dates.sent.get(tip.id, [])
    return {
        "slug": tip.slug,
        "title": tip.title,
        "subject": tip.subject,
        "state": tip.status.value,
        "goes_out": dates.goes_out.get(tip.id),
        "sent": sent,
        "last_sent": max(sent, default=tip.first_published),
        "pin": tip.pin,
        "evergreen": tip.evergreen,
        "season": str(tip.season) if tip.season else None,
        "series": tip.part and tip.part.series,
        "part": tip.part and tip.part.number,
        "author": tip.author,
        "tags": list(tip.tags),
        "stranded": dates.stranded.get(tip.id, ""),
    }


def _remarks(row: dict[str, object]) -> str:
    season = f" in {row['season']}" if row["season"] else ""
    parts = [
        f"pinned to {row['pin']}" if row["pin"] else "",
        f"evergreen{season}" if row["evergreen"] else "",
        f"part {row['part']} of {row['series']}" if row["series"] else "",
        f"will not go out: {row['stranded']}" if row["stranded"] else "",
    ]
    return "; ".join(part for part in parts if part)

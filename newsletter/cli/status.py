"""`newsletter status`: how things stand, as a person wants to read it in the morning; exit code 1 if one is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from newsletter.cli.context import state
from newsletter.cli.output import Json, one_line, print_json, say, say_beside
from newsletter.wording import plural

if TYPE_CHECKING:
    from datetime import datetime

    from newsletter.core.lineup import Choice
    from newsletter.flows.overview import Overview
    from newsletter.store.snapshot import EditionSnapshot, PartState

_LABEL_WIDTH = 10


def status(context: typer.Context, as_json: Json = False) -> None:
    """Show the next and the last edition, and what needs you.

    Exit code 1 if anything needs you.
    """
    app = state(context).app
    zone = app.cadence.zone
    summary = app.overview()
    if as_json:
        print_json(_as_data(summary))
    else:
        _print_needs(summary, app.settings.name, zone)
        if not summary.beside:
            _print(summary, zone, app.settings.low_stock_weeks)
    if summary.needs:
        raise typer.Exit(1)


def _print_needs(summary: Overview, name: str, zone: str) -> None:
    from newsletter.core.cadence import describe_instant

    say(typer.style(one_line(name), bold=True) + f" · {describe_instant(summary.now, zone)}")
    say()
    if summary.needs:
        count = len(summary.needs)
        text = plural(count, "thing needs you:", "things need you:")
        say(typer.style(text, fg=typer.colors.RED, bold=True))
        for need in summary.needs:
            _wrapped("  ! ", one_line(need))
    elif all(part.runs for part in summary.snapshot.parts.values()):
        say(typer.style("All is well. Nothing needs you.", fg=typer.colors.GREEN))
    else:
        say(typer.style("Nothing needs you today. The service is not running.", fg=typer.colors.YELLOW))


def _print(summary: Overview, zone: str, low_stock_weeks: int) -> None:
    from newsletter.flows.overview_words import describe_overview

    words = describe_overview(summary, zone, low_stock_weeks)
    say()
    for label, lines in (
        ("next", words.next.lines),
        ("now", words.now),
        ("last", words.last),
        ("service", words.service),
        ("stock", words.stock),
        ("people", words.people),
    ):
        for number, line in enumerate(lines):
            _wrapped(f"{label if number == 0 else '':<{_LABEL_WIDTH}}", one_line(line))


def _wrapped(head: str, text: str) -> None:
    say_beside(typer.style(head, dim=True), text, cells=len(head))


def _as_data(summary: Overview) -> dict[str, object]:
    return {
        "ok": not summary.needs,
        "now": summary.now.isoformat(timespec="seconds"),
        "needs": list(summary.needs),
        "alerts": [
            {
                "kind": alert.kind.value,
                "about": alert.about,
                "message": alert.message,
                "raised_at": alert.raised_at.isoformat(),
            }
            for alert in summary.snapshot.alerts
        ],
        "next": _choice_data(summary, summary.next) if summary.next else None,
        "next_state": summary.next_state.value,
        "skipped": [_choice_data(summary, item) for item in summary.skipped],
        "running": [_story_data(item, summary.now) for item in summary.snapshot.running],
        "last": summary.snapshot.last.receipt.to_dict() if summary.snapshot.last else None,
        "senders": [
            {
                "process": sender.name,
                "machine": sender.machine,
                "alive": sender.alive,
                "started_at": sender.since.isoformat(),
                "silent_seconds": round(sender.silent_for.total_seconds(), 1),
                "blocks": sender.blocks,
                "connections": sender.connections,
            }
            for sender in summary.snapshot.senders
        ],
        "jobs": summary.snapshot.jobs,
        "parts": {name: _part_data(part, summary.now) for name, part in summary.snapshot.parts.items()},
        "stock": {
            "weeks": summary.outlook.stock.fresh,
            "evergreens": summary.outlook.stock.evergreen,
            "drafts": summary.drafts,
            "stranded": [item.tip.slug for item in summary.outlook.stranded],
        },
        "audience": summary.outlook.audience,
        "changes": {
            "came": summary.changes.came,
            "left": summary.changes.left,
            "bounced": summary.changes.bounced,
            "complained": summary.changes.complained,
        },
    }


def _choice_data(summary: Overview, choice: Choice) -> dict[str, object]:
    due = summary.outlook.due
    return {
        "date": choice.slot.date.isoformat(),
        "sends_at": choice.slot.sends_at.isoformat(),
        "due": due is not None and due.date == choice.slot.date,
        "tip": choice.tip.slug if choice.tip else None,
        "source": choice.source.value,
        "why": choice.why,
        "audience": summary.outlook.audience_of(choice),
    }


def _story_data(summary: EditionSnapshot, now: datetime) -> dict[str, object]:
    left = summary.left(now)
    return {
        **summary.receipt.to_dict(),
        "settled": summary.receipt.settled,
        "seconds_left": round(left.total_seconds()) if left else None,
        "waits_for_server": summary.away.name if summary.away else None,
        "next_wave": wave.to_dict() if (wave := summary.next_wave(now)) else None,
    }


def _part_data(part: PartState, now: datetime) -> dict[str, object]:
    return {
        "alive": part.alive,
        "liveness": part.liveness.value,
        "seen_at": part.seen_at.isoformat() if part.seen_at else None,
        "age_seconds": round((now - part.seen_at).total_seconds(), 1) if part.seen_at else None,
        "process": part.process,
    }

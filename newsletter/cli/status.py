"""`newsletter status`: how things stand, as a person wants to read it in the morning; exit code 1 if one is needed."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import typer

from newsletter.cli.context import state
from newsletter.cli.output import Json, one_line, print_json, say, say_beside
from newsletter.wording import people_words, plural

if TYPE_CHECKING:
    from collections.abc import Iterator

    from newsletter.core.lineup import Choice
    from newsletter.flows.overview import Overview
    from newsletter.store.snapshot import EditionSnapshot, PartState

_LABEL_WIDTH = 10


def status(context: typer.Context, as_json: Json = False) -> None:
    """Show the next and the last edition, and what needs you.

    Exit code 1 if anything needs you.
    """
    from newsletter.cli.foreign_journals import list_foreign_journals
    from newsletter.flows.adopt import ledger_gap
    from newsletter.flows.overview import overview
    from newsletter.store.installation import get

    app = state(context).app
    zone = app.cadence.zone
    gap = ledger_gap(app.unit, app.home)
    with app.unit.read() as tx:
        summary = overview(
            tx,
            app.plan_rules,
            now=app.clock.now(),
            held=gap.words(zone) if gap else "",
        )
        installation = get(tx)
    beside = gap is not None and gap.beside
    if gap is not None and beside:
        # Dates, heartbeats and alerts came along with the copy: they are the original's.
        summary = replace(summary, needs=[gap.words(zone)], snapshot=summary.snapshot.without_service())
    else:
        summary = replace(summary, needs=[*summary.needs, *list_foreign_journals(app, installation)])
    if as_json:
        print_json(_as_data(summary))
    else:
        _print_needs(summary, app.settings.name, zone)
        if not beside:
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
    say()
    for label, lines in (
        ("next", _next(summary, zone)),
        ("now", _running(summary, zone)),
        ("last", _last(summary)),
        ("service", _service(summary)),
        ("stock", _stock(summary, low_stock_weeks)),
    ):
        for number, line in enumerate(lines):
            _wrapped(f"{label if number == 0 else '':<{_LABEL_WIDTH}}", one_line(line))


def _wrapped(head: str, text: str) -> None:
    say_beside(typer.style(head, dim=True), text, cells=len(head))


def _next(summary: Overview, zone: str) -> Iterator[str]:
    from newsletter.core.cadence import describe_date, describe_slot, describe_span

    for skipped in summary.skipped:
        why = f": {skipped.slot.reason}" if skipped.slot.reason else ""
        yield f"{describe_date(skipped.slot.date)} is skipped{why}"
    coming = summary.next
    if coming is None:
        yield "no date is near"
        return
    when = describe_slot(coming.slot, zone)
    extra = " (an extra date)" if coming.slot.extra else ""
    if summary.outlook.due is not None and coming.slot.date == summary.outlook.due.date:
        yield f"{when}{extra}: due now"
    else:
        yield f"{when}{extra}, in {describe_span(coming.slot.sends_at - summary.now)}"
    if coming.tip is None:
        yield f"nothing would go out: {coming.why}"
        return
    yield f"“{coming.tip.title}” ({coming.tip.slug}): {coming.why}"
    people = people_words(summary.outlook.audience)
    takes = f", in about {_span(summary.outlook.takes)}" if summary.outlook.takes else ""
    yield f"to {people}{takes}" if summary.outlook.audience else "to no reader: no subscriber is active"


def _running(summary: Overview, zone: str) -> Iterator[str]:
    from newsletter.core.cadence import describe_instant
    from newsletter.core.wave import zone_of
    from newsletter.core.worker_view import clock_words

    for worker in summary.snapshot.running:
        receipt = worker.receipt
        share = 100 * worker.receipt.reached // receipt.edition.audience if receipt.edition.audience else 100
        left = worker.left(summary.now)
        soon = f"; about {_span(left)} left" if left else ""
        people = f"{worker.receipt.reached:,} of {people_words(receipt.edition.audience)}"
        title, status = worker.edition.title, worker.edition.status.value
        yield f"{receipt.edition.name} “{title}” is {status}: {people} done ({share} %){soon}"
        if worker.away is not None and receipt.counts.open:
            again = (
                f"; tried again at {clock_words(worker.away.again_at, zone, summary.now)}"
                if worker.away.again_at
                else ""
            )
            yield f"it waits for the mail server {worker.away.name}{again}: {worker.away.trouble}"
        if receipt.again:
            due = f", the next {describe_instant(receipt.next_attempt_at, zone)}" if receipt.next_attempt_at else ""
            yield f"{plural(receipt.again, 'person waits', 'people wait')} for another try{due}"
        if receipt.awaiting:
            yield f"{plural(receipt.awaiting, 'person waits', 'people wait')} for the outcome of the edition before"
        if (wave := worker.next_wave(summary.now)) is not None:
            hour, own = describe_instant(wave.not_before, zone), zone_of(wave.label)
            theirs = "" if own == zone else f", {describe_instant(wave.not_before, own)} there"
            people = people_words(wave.people)
            yield f"the next wave, {wave.label}, goes out to {people} on {hour}{theirs}"


def _last(summary: Overview) -> Iterator[str]:
    from newsletter.core.cadence import describe_date

    if summary.snapshot.last is None:
        if not summary.snapshot.running:
            yield "no edition has been sent yet"
        return
    edition, receipt = summary.snapshot.last.edition, summary.snapshot.last.receipt
    second = f" ({receipt.edition.name})" if edition.number > 1 else ""
    cancelled = ", cancelled" if edition.status.value == "cancelled" else ""
    yield f"{describe_date(edition.date)}{second}: “{edition.title}”{cancelled}"
    rest = [
        (receipt.counts.rejected, "refused"),
        (receipt.counts.uncertain, "uncertain"),
        (receipt.counts.expired, "given up"),
        (receipt.counts.skipped, "left out"),
    ]
    others = ", ".join(f"{count:,} {word}" for count, word in rest if count)
    yield (
        f"{receipt.counts.accepted:,} of {receipt.edition.audience:,} handed to your mail provider"
        + (f"; {others}" if others else "")
        + f" (`newsletter edition show {receipt.edition.name}`)"
    )


def _service(summary: Overview) -> Iterator[str]:
    from newsletter.core.monitor import ServicePart

    ticker, sender = summary.snapshot.parts[ServicePart.SCHEDULER], summary.snapshot.parts[ServicePart.SENDER]
    shared = len(summary.snapshot.senders) > 1 or any(item.name != ticker.process for item in summary.snapshot.senders)
    if not shared and ticker.alive and sender.alive and ticker.process == sender.process:
        age = _ago(summary.now, min(_seen(ticker), _seen(sender)))
        yield f"running: process {ticker.process}, last heartbeat {age}"
        return
    for name, part in summary.snapshot.parts.items():
        if name == "sender" and shared:
            continue
        if part.seen_at is None:
            yield f"the {name} has never run; `newsletter run` starts it"
            continue
        age = _ago(summary.now, part.seen_at)
        if part.stopped:
            yield f"the {name} was stopped, {age}; `newsletter run` starts it"
        elif part.alive:
            yield f"the {name} is alive: process {part.process}, {age}"
        else:
            yield f"the {name} is {part.liveness}: last heartbeat {age}, process {part.process}"
    if shared:
        yield from _senders(summary)


def _senders(summary: Overview) -> Iterator[str]:
    """Tell of each process that sends, where there may be many."""
    for worker in summary.snapshot.senders:
        if worker.alive:
            blocks = f"{plural(worker.blocks, 'block')} over {plural(worker.connections, 'connection')}"
            since = _ago(summary.now, worker.since)
            yield f"a sender is alive: process {worker.name}, started {since}, " + (blocks if worker.blocks else "idle")
        else:
            silence = _span(worker.silent_for)
            name = f"process {worker.name}"
            yield f"a sender stopped without signing off: {name}, {silence} ago; other senders continue its work"


def _seen(part: PartState) -> datetime:
    if part.seen_at is None:
        raise TypeError(part)
    return part.seen_at


def _stock(summary: Overview, low_stock_weeks: int) -> Iterator[str]:
    stock = summary.outlook.stock
    more = " or more" if summary.stock_is_more else ""
    low = f"; you want to hear of it below {low_stock_weeks}" if stock.fresh < low_stock_weeks else ""
    drafts = f"; {plural(summary.drafts, 'draft')} not approved yet" if summary.drafts else ""
    yield f"{stock.describe()}{more}{low}{drafts}" if stock.weeks else f"no tip for the next date{drafts}"
    if summary.outlook.stranded:
        names = ", ".join(item.tip.slug for item in summary.outlook.stranded)
        yield f"will not go out without you: {names} (`newsletter queue` says why)"


def _ago(now: datetime, then: datetime) -> str:
    from newsletter.core.cadence import describe_span

    if then > now:
        return f"{describe_span(then - now)} in the future"
    if now - then < timedelta(minutes=2):
        return f"{plural(int((now - then).total_seconds()), 'second')} ago"
    return f"{describe_span(now - then)} ago"


def _span(span: timedelta) -> str:
    from newsletter.core.cadence import describe_span

    if span < timedelta(minutes=2):
        return plural(max(1, round(span.total_seconds())), "second")
    return describe_span(span)


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

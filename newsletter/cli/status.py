"""`newsletter status`: how things stand, as a person wants to read it in the morning; exit code 1 if one is needed."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import typer

from newsletter.cli.context import state
from newsletter.cli.liveness import ALIVE_SECONDS
from newsletter.cli.output import Json, one_line, plural, print_json, say, say_beside

if TYPE_CHECKING:
    from collections.abc import Iterator

    from newsletter.core.lineup import Choice
    from newsletter.flows.overview import EditionSummary, Overview, Part

_LABEL = 10


def status(context: typer.Context, as_json: Json = False) -> None:
    """Tell what goes out next, what became of the last edition, and what needs you; exit code 1 if anything does."""
    from newsletter.cli.foreign_journals import list_foreign_journals
    from newsletter.flows.adopt import look
    from newsletter.flows.overview import overview
    from newsletter.store.installation import get

    app = state(context).app
    zone = app.cadence.zone
    gap = look(app.unit, app.home)
    with app.unit.read() as tx:
        found = overview(
            tx,
            app.plan_rules,
            now=app.clock.now(),
            alive_within=timedelta(seconds=ALIVE_SECONDS),
            held=gap.words(zone) if gap else "",
        )
        made = get(tx)
    found = replace(found, needs=[*found.needs, *list_foreign_journals(app, made)])
    if as_json:
        print_json(_as_data(found))
    else:
        _print(found, app.settings.name, zone, app.settings.low_stock_weeks)
    if found.needs:
        raise typer.Exit(1)


def _print(found: Overview, name: str, zone: str, wanted: int) -> None:
    from newsletter.core.cadence import describe_instant

    say(typer.style(one_line(name), bold=True) + f" · {describe_instant(found.now, zone)}")
    say()
    if found.needs:
        count = len(found.needs)
        said = "1 thing needs you:" if count == 1 else f"{count:,} things need you:"
        say(typer.style(said, fg=typer.colors.RED, bold=True))
        for need in found.needs:
            _wrapped("  ! ", one_line(need))
    elif all(part.alive for part in found.parts.values()):
        say(typer.style("All is well. Nothing needs you.", fg=typer.colors.GREEN))
    else:
        say(typer.style("Nothing needs you today. The service is not running.", fg=typer.colors.YELLOW))
    say()
    for label, lines in (
        ("next", _next(found, zone)),
        ("now", _running(found, zone)),
        ("last", _last(found)),
        ("service", _service(found)),
        ("stock", _stock(found, wanted)),
    ):
        for number, line in enumerate(lines):
            _wrapped(f"{label if number == 0 else '':<{_LABEL}}", one_line(line))


def _wrapped(head: str, text: str) -> None:
    say_beside(typer.style(head, dim=True), text, cells=len(head))


def _next(found: Overview, zone: str) -> Iterator[str]:
    from newsletter.core.cadence import describe_date, describe_slot, describe_span

    for skipped in found.skipped:
        why = f": {skipped.slot.reason}" if skipped.slot.reason else ""
        yield f"{describe_date(skipped.slot.date)} is skipped{why}"
    coming = found.next
    if coming is None:
        yield "no date is near"
        return
    when = describe_slot(coming.slot, zone)
    extra = " (an extra date)" if coming.slot.extra else ""
    if found.outlook.due is not None and coming.slot.date == found.outlook.due.date:
        yield f"{when}{extra}: due now"
    else:
        yield f"{when}{extra}, in {describe_span(coming.slot.sends_at - found.now)}"
    if coming.tip is None:
        yield f"nothing would go out: {coming.why}"
        return
    yield f"“{coming.tip.title}” ({coming.tip.slug}): {coming.why}"
    people = plural(found.outlook.audience, "person", "people")
    takes = f", in about {_span(found.outlook.takes)}" if found.outlook.takes else ""
    yield f"to {people}{takes}" if found.outlook.audience else "to nobody: there is no active subscriber"


def _running(found: Overview, zone: str) -> Iterator[str]:
    from newsletter.core.cadence import describe_instant
    from newsletter.core.wave import zone_of
    from newsletter.core.worker_view import clock_words

    for one in found.running:
        receipt = one.receipt
        share = 100 * one.reached // receipt.audience if receipt.audience else 100
        left = one.left(found.now)
        soon = f"; about {_span(left)} left" if left else ""
        people = f"{one.reached:,} of {plural(receipt.audience, 'person', 'people')}"
        yield f"{receipt.name} “{one.edition.title}” is {one.edition.status.value}: {people} done ({share} %){soon}"
        if one.away is not None and receipt.open:
            again = f"; tried again at {clock_words(one.away.again_at, zone, found.now)}" if one.away.again_at else ""
            yield f"it waits for the mail server {one.away.name}{again}: {one.away.trouble}"
        if receipt.again:
            due = f", the next {describe_instant(receipt.next_attempt_at, zone)}" if receipt.next_attempt_at else ""
            yield f"{plural(receipt.again, 'person waits', 'people wait')} for another try{due}"
        if receipt.awaiting:
            yield f"{plural(receipt.awaiting, 'person waits', 'people wait')} for the outcome of the edition before"
        if (wave := one.next_wave(found.now)) is not None:
            hour, own = describe_instant(wave.not_before, zone), zone_of(wave.label)
            theirs = "" if own == zone else f", {describe_instant(wave.not_before, own)} there"
            people = plural(wave.people, "person", "people")
            yield f"the next wave, {wave.label}, goes out to {people} on {hour}{theirs}"


def _last(found: Overview) -> Iterator[str]:
    from newsletter.core.cadence import describe_date

    if found.last is None:
        if not found.running:
            yield "no edition has been sent yet"
        return
    edition, receipt = found.last.edition, found.last.receipt
    second = f" ({receipt.name})" if edition.number > 1 else ""
    cancelled = ", cancelled" if edition.status.value == "cancelled" else ""
    yield f"{describe_date(edition.date)}{second}: “{edition.title}”{cancelled}"
    rest = [
        (receipt.rejected, "refused"),
        (receipt.uncertain, "uncertain"),
        (receipt.expired, "given up"),
        (receipt.skipped, "left out"),
    ]
    others = ", ".join(f"{count:,} {word}" for count, word in rest if count)
    yield (
        f"{receipt.accepted:,} of {receipt.audience:,} handed to your mail provider"
        + (f"; {others}" if others else "")
        + f" (`newsletter edition show {receipt.name}`)"
    )


def _service(found: Overview) -> Iterator[str]:
    from newsletter.store.installation import STOPPED

    ticker, sender = found.parts["bell"], found.parts["sender"]
    shared = len(found.senders) > 1 or any(one.name != ticker.process for one in found.senders)
    if not shared and ticker.alive and sender.alive and ticker.process == sender.process:
        age = _ago(found.now, min(_seen(ticker), _seen(sender)))
        yield f"running: process {ticker.process}, last sign of life {age}"
        return
    for name, part in found.parts.items():
        if name == "sender" and shared:
            continue
        if part.seen_at is None:
            yield f"the {name} has never run; `newsletter run` starts it"
        elif part.alive:
            yield f"the {name} is alive: process {part.process}, {_ago(found.now, part.seen_at)}"
        elif part.process.endswith(STOPPED):
            yield f"the {name} was stopped, {_ago(found.now, part.seen_at)}; `newsletter run` starts it"
        else:
            yield f"the {name} is silent: last sign of life {_ago(found.now, part.seen_at)}, process {part.process}"
    if shared:
        yield from _senders(found)


def _senders(found: Overview) -> Iterator[str]:
    """Tell of each process that sends, where there may be many."""
    for one in found.senders:
        if one.alive:
            blocks = f"{plural(one.blocks, 'block')} over {plural(one.connections, 'connection')}"
            since = _ago(found.now, one.since)
            yield f"a sender is alive: process {one.name}, started {since}, " + (blocks if one.blocks else "idle")
        else:
            yield f"a sender is silent: process {one.name}, for {_span(one.silent_for)}; others go on with its work"


def _seen(part: Part) -> datetime:
    if part.seen_at is None:
        raise TypeError(part)
    return part.seen_at


def _stock(found: Overview, wanted: int) -> Iterator[str]:
    weeks = found.outlook.stock
    more = " or more" if found.stock_is_more else ""
    low = f"; you want to hear of it below {wanted}" if weeks < wanted else ""
    drafts = f"; {plural(found.drafts, 'draft')} not approved yet" if found.drafts else ""
    yield f"tips for {plural(weeks, 'week')}{more}{low}{drafts}" if weeks else f"no tip for the next date{drafts}"
    if found.outlook.stranded:
        names = ", ".join(one.tip.slug for one in found.outlook.stranded)
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


def _as_data(found: Overview) -> dict[str, object]:
    return {
        "ok": not found.needs,
        "now": found.now.isoformat(timespec="seconds"),
        "needs": list(found.needs),
        "alerts": [
            {"kind": one.kind.value, "about": one.about, "message": one.message, "raised_at": one.raised_at.isoformat()}
            for one in found.alerts
        ],
        "next": _choice_data(found, found.next) if found.next else None,
        "skipped": [_choice_data(found, one) for one in found.skipped],
        "running": [_story_data(one, found.now) for one in found.running],
        "last": found.last.receipt.to_dict() if found.last else None,
        "senders": [
            {
                "process": one.name,
                "machine": one.machine,
                "alive": one.alive,
                "started_at": one.since.isoformat(),
                "silent_seconds": round(one.silent_for.total_seconds(), 1),
                "blocks": one.blocks,
                "connections": one.connections,
            }
            for one in found.senders
        ],
        "jobs": found.jobs,
        "parts": {name: _part_data(part, found.now) for name, part in found.parts.items()},
        "stock": {
            "weeks": found.outlook.stock,
            "drafts": found.drafts,
            "stranded": [one.tip.slug for one in found.outlook.stranded],
        },
        "audience": found.outlook.audience,
    }


def _choice_data(found: Overview, one: Choice) -> dict[str, object]:
    due = found.outlook.due
    return {
        "date": one.slot.date.isoformat(),
        "sends_at": one.slot.sends_at.isoformat(),
        "due": due is not None and due.date == one.slot.date,
        "tip": one.tip.slug if one.tip else None,
        "source": one.source.value,
        "why": one.why,
        "audience": found.outlook.audience_of(one),
    }


def _story_data(one: EditionSummary, now: datetime) -> dict[str, object]:
    left = one.left(now)
    return {
        **one.receipt.to_dict(),
        "settled": one.settled,
        "seconds_left": round(left.total_seconds()) if left else None,
        "waits_for_server": one.away.name if one.away else None,
        "next_wave": wave.to_dict() if (wave := one.next_wave(now)) else None,
    }


def _part_data(part: Part, now: datetime) -> dict[str, object]:
    return {
        "alive": part.alive,
        "seen_at": part.seen_at.isoformat() if part.seen_at else None,
        "age_seconds": round((now - part.seen_at).total_seconds(), 1) if part.seen_at else None,
        "process": part.process,
    }

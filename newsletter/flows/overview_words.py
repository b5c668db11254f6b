"""The overview in words, as `newsletter status` and the home of the admin area show it.

In: an `Overview`. Out: lines by label. Both views print these very lines, so that no two of them disagree.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from newsletter.core.cadence import describe_date, describe_instant, describe_slot, describe_span
from newsletter.core.monitor import ServicePart
from newsletter.core.wave import zone_of
from newsletter.core.worker_view import clock_words
from newsletter.flows.overview import Overview
from newsletter.store.snapshot import PartState
from newsletter.wording import people_words, plural


@dataclass(frozen=True, slots=True, kw_only=True)
class NextWords:
    """The next date."""

    skipped: Sequence[str] = ()
    """The dates before it that are skipped."""
    when: str = ""
    tip: str = ""
    people: str = ""

    @property
    def lines(self) -> Sequence[str]:
        """Return everything that there is to say."""
        return [*self.skipped, *filter(None, (self.when, self.tip, self.people))]


@dataclass(frozen=True, slots=True, kw_only=True)
class OverviewWords:
    """The overview, one field a label."""

    next: NextWords
    now: Sequence[str]
    last: Sequence[str]
    service: Sequence[str]
    stock: Sequence[str]
    people: Sequence[str]


def describe_overview(summary: Overview, zone: str, low_stock_weeks: int) -> OverviewWords:
    """Put an overview into words, with times on the clock of a zone."""
    return OverviewWords(
        next=_next(summary, zone),
        now=list(_running(summary, zone)),
        last=list(_last(summary)),
        service=list(_service(summary)),
        stock=list(_stock(summary, low_stock_weeks)),
        people=[_people(summary)],
    )


def _next(summary: Overview, zone: str) -> NextWords:
    skipped = [
        f"{describe_date(choice.slot.date)} is skipped" + (f": {choice.slot.reason}" if choice.slot.reason else "")
        for choice in summary.skipped
    ]
    coming = summary.next
    if coming is None:
        return NextWords(skipped=skipped, when="no date is near")
    extra = " (an extra date)" if coming.slot.extra else ""
    due = summary.outlook.due is not None and coming.slot.date == summary.outlook.due.date
    left = "due now" if due else f"in {describe_span(coming.slot.sends_at - summary.now)}"
    when = f"{describe_slot(coming.slot, zone)}{extra}{': ' if due else ', '}{left}"
    if coming.tip is None:
        return NextWords(skipped=skipped, when=when, tip=f"nothing would go out: {coming.why}")
    takes = f", in about {_span(summary.outlook.takes)}" if summary.outlook.takes else ""
    audience = summary.outlook.audience
    return NextWords(
        skipped=skipped,
        when=when,
        tip=f"“{coming.tip.title}” ({coming.tip.slug}): {coming.why}",
        people=f"to {people_words(audience)}{takes}" if audience else "to no reader: no subscriber is active",
    )


def _people(summary: Overview) -> str:
    changes = summary.changes
    counts = [(changes.came, "came"), (changes.left, "left"), (changes.bounced, "bounced")]
    counts += [(changes.complained, "complained")] if changes.complained else []
    lately = ", ".join(f"{count:,} {verb}" for count, verb in counts)
    return f"{summary.outlook.audience:,} active; in the last 7 days {lately}"


def _running(summary: Overview, zone: str) -> Iterator[str]:
    for worker in summary.snapshot.running:
        receipt = worker.receipt
        share = 100 * receipt.reached // receipt.edition.audience if receipt.edition.audience else 100
        left = worker.left(summary.now)
        soon = f"; about {_span(left)} left" if left else ""
        people = f"{receipt.reached:,} of {people_words(receipt.edition.audience)}"
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
    if then > now:
        return f"{describe_span(then - now)} in the future"
    if now - then < timedelta(minutes=2):
        return f"{plural(int((now - then).total_seconds()), 'second')} ago"
    return f"{describe_span(now - then)} ago"


def _span(span: timedelta) -> str:
    if span < timedelta(minutes=2):
        return plural(max(1, round(span.total_seconds())), "second")
    return describe_span(span)

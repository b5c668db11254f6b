"""Freezing: a slot becomes an edition, with its tip, its content and its audience, in one transaction.

In: the slot to send. Out: the edition, or why there is none. What was frozen is never rendered, chosen or counted
again.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time

from jinja2 import Environment

from newsletter.core.cadence import Slot, SlotState, instant, local, wall_time
from newsletter.core.edition import Edition, EditionTip
from newsletter.core.lineup import Choice, LineupRules
from newsletter.core.message import Publication
from newsletter.core.series import SeriesPlace, series_place
from newsletter.core.tip import Tip, TipStatus
from newsletter.core.wave import Wave, WaveRules, waves, zone_of
from newsletter.errors import NotNow
from newsletter.flows.alert import report_expired
from newsletter.flows.line_up import line_up
from newsletter.flows.publish_page import write_page
from newsletter.render.article import Article, render_article
from newsletter.render.edition import render_edition
from newsletter.render.mime import compile_message
from newsletter.store import delivery as deliveries
from newsletter.store import edition as editions
from newsletter.store import installation as installations
from newsletter.store import ledger, subscriber_count
from newsletter.store import log as logs
from newsletter.store import slot as slots
from newsletter.store import tip as tips
from newsletter.store import wave as wave_rows
from newsletter.store.ledger import LedgerKind
from newsletter.store.reader_zone import reader_zones
from newsletter.store.unit import Tx, Unit
from newsletter.wording import people_words

FREEZE_TRIES_MAX = 5
"""How often a freeze starts again because somebody changed the lineup while it rendered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderContext:
    """What rendering needs besides the tip."""

    publication: Publication
    templates: Environment
    rules: LineupRules
    waves: WaveRules | None = None
    """How it goes out by each reader's own clock; None where all get it at one instant."""
    providers: tuple[str, ...] = ()
    """Mail providers whose webhooks tell of bounces: each wants a header of its own in the mails."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FreezeResult:
    """What came of a freeze: an edition, new or old, or the reason why the slot is empty."""

    edition: Edition | None = None
    new: bool = False
    empty: str = ""


def freeze(unit: Unit, render_context: RenderContext, slot: Slot, *, who: str = "", now: datetime) -> FreezeResult:
    """Freeze one slot; however many ask at the same time, one edition comes of it.

    `who` is the person who sends by hand, for the log; the service does it by itself.

    Raises `InputError` when a gate refuses the tip, with the reason; the slot then stays open.
    """
    for _ in range(FREEZE_TRIES_MAX):
        with unit.read() as tx:
            if (known := editions.by_date(tx, slot.date)) is not None:
                return FreezeResult(edition=known)
            choice = choose(tx, slot, render_context.rules)
            audience = subscriber_count.active(tx)
            series = series_of(tx, choice.tip)
        if choice.tip is None:
            return FreezeResult(empty=choice.why)
        if not audience:
            return FreezeResult(empty="there is no active subscriber; the tip is kept")
        nonce = new_nonce()
        # Rendering takes a while, so no transaction is open meanwhile; what it rendered is compared below.
        content = render(render_context, choice.tip, slot.date, nonce=nonce, series=series)
        article = render_article(choice.tip, render_context.publication)
        frozen = _write(
            unit, render_context, slot, choice, content=content, article=article, nonce=nonce, who=who, now=now
        )
        if frozen is not None:
            return frozen
    message = f"The lineup of {slot.date} keeps changing while it is being frozen. Try again."
    raise NotNow(message)


def choose(tx: Tx, slot: Slot, rules: LineupRules) -> Choice:
    """Return what the lineup gives to this slot now."""
    return line_up(tx, [slot], rules)[0]


def series_of(tx: Tx, tip: Tip | None) -> SeriesPlace | None:
    """Return the place of a tip in its series, among the tips as they are stored."""
    return None if tip is None or tip.part is None else series_place(tip, tips.of_series(tx, tip.part.series))


def render(
    render_context: RenderContext,
    tip: Tip,
    on: date,
    *,
    nonce: str,
    name: str = "",
    series: SeriesPlace | None = None,
) -> str:
    """Render a tip for a date and pass the gates; return the content that is frozen.

    `name` is that of the edition, where it is not the first of its date.
    """
    rendered = render_edition(
        tip,
        render_context.publication,
        render_context.templates,
        nonce=nonce,
        date=on,
        edition_name=name,
        series=series,
    )
    return compile_message(rendered, render_context.publication, providers=render_context.providers).to_json()


def waves_of(tx: Tx, render_context: RenderContext, slot: Slot, *, now: datetime) -> Sequence[Wave]:
    """Return the waves in which an edition goes out that is frozen now; none when all of it goes out at once.

    A date that is sent before its time is for everybody.
    """
    if render_context.waves is None or now < slot.sends_at:
        return ()
    return waves(render_context.waves, slot, reader_zones(tx), now=now)


def waves_again(tx: Tx, render_context: RenderContext, edition: Edition, *, now: datetime) -> Sequence[Wave]:
    """Return the waves of what takes an edition's place: whose hour has not come keeps it, the rest is late."""
    slot = slots.get(tx, edition.date)
    if render_context.waves is None or not edition.local or slot is None:
        return ()
    cadence = render_context.waves.cadence
    at = wall_time(cadence, slot) if not slot.extra else _hour_of(tx, edition, home=cadence.zone)
    home = instant(edition.date, at, cadence.zone)
    return waves(render_context.waves, replace(slot, sends_at=edition.sends_at, home=home), reader_zones(tx), now=now)


def _hour_of(tx: Tx, edition: Edition, *, home: str) -> time:
    """Return the hour of an extra date, which its waves alone show once it is frozen.

    The first wave began at it if the edition was on time, else the last; but those in whose zone it was past may have
    been put beside the publication's own zone.
    """
    begins = wave_rows.begins(tx, edition.id)
    last = max(begins, key=lambda begin: (begin[1], zone_of(begin[0]) == home))
    label, at = next((begin for begin in begins if begin[1] == edition.sends_at), last)
    return local(at, zone_of(label)).time()


def new_nonce() -> str:
    """Return what makes the Message-IDs and placeholders of an edition its own: 80 bits, letters and digits."""
    return secrets.token_hex(10)


def _write(
    unit: Unit,
    render_context: RenderContext,
    slot: Slot,
    choice: Choice,
    *,
    content: str,
    article: Article,
    nonce: str,
    who: str,
    now: datetime,
) -> FreezeResult | None:
    """Write the edition; None when the lineup has changed since it was rendered."""
    tip = choice.tip
    if tip is None:
        return None
    with unit.write() as tx:
        installations.lock(tx)
        if (known := editions.by_date(tx, slot.date)) is not None:
            return FreezeResult(edition=known)
        current = choose(tx, slot, render_context.rules)
        if (current.tip, current.source) != (tip, choice.source):
            return None
        slots.add(tx, slot, now=now)
        slots.move_instant(tx, slot.date, sends_at=slot.sends_at, now=now)
        if not slots.move(tx, slot.date, was=SlotState.OPEN, to=SlotState.FROZEN, reason=choice.why, now=now):
            stands = slots.get(tx, slot.date)
            reason = f"the date is {stands.state} ({stands.reason})" if stands else "the date was removed"
            return FreezeResult(empty=reason)
        edition = editions.create(
            tx,
            editions.NewEdition(
                date=slot.date,
                tip=EditionTip(id=tip.id, slug=tip.slug, title=tip.title, source=choice.source, why=choice.why),
                content=content,
                nonce=nonce,
                sends_at=slot.sends_at,
            ),
            waves=waves_of(tx, render_context, slot, now=now),
            now=now,
        )
        # Now, so that the link to it in the mail works for the first reader.
        write_page(tx, tip, article, edition, now=now)
        if not tip.evergreen:
            tips.set_status(tx, tip, TipStatus.SENT, now=now)
        elif tip.pin is not None:
            # An evergreen rests and comes again; with its pin it never would.
            tips.set_pin(tx, tip, None, now=now)
        _expire_untried(tx, edition, now=now)
        ledger.note(tx, LedgerKind.EDITION, edition.name, now=now, detail={"tip": tip.slug})
        if who:
            early = ", before its time" if now < slot.sends_at else ""
            why = f"{tip.slug}, {people_words(edition.audience)}{early}"
            logs.add(tx, logs.LogEntry(at=now, who=who, what="edition send", about=edition.name, why=why))
        return FreezeResult(edition=edition, new=True)


def _expire_untried(tx: Tx, fresh: Edition, *, now: datetime) -> None:
    """Give up on people of earlier editions that were never tried: last week's tip does not overtake this week's."""
    for edition in editions.unfinished(tx):
        if edition.id == fresh.id:
            continue
        count = deliveries.expire_untried(
            tx, edition_id=edition.id, reason=f"not tried before the next edition, {fresh.name}, began", now=now
        )
        if count:
            # At once: an edition that is paused may not be closed for weeks.
            report_expired(tx, edition, count, now=now)

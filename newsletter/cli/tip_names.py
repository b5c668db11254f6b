"""The names of tips on the command line, and the sentences about their dates."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from newsletter.cli.output import say
from newsletter.core.cadence import describe_instant, describe_slot, describe_span, parse_date
from newsletter.core.due import last_start
from newsletter.core.tip import Tip, resolve_slug
from newsletter.errors import InputError
from newsletter.flows.plan import Outlook, outlook
from newsletter.store import edition as editions
from newsletter.store import tip as tips
from newsletter.store.unit import Unit
from newsletter.wiring import Application
from newsletter.wording import people_words

TIP_DATE_WEEKS = 52
"""How far ahead the date of a tip is searched for."""


def find_tip(unit: Unit, text: str) -> Tip:
    """Return the tip that a person means by a slug or the beginning of one."""
    with unit.read() as tx:
        # Every slug only where none begins so: for the names that look alike.
        slugs = tips.slugs_beginning(tx, text.strip().lower()) or tips.slugs_beginning(tx, "")
        tip = tips.by_slug(tx, resolve_slug(slugs, text))
    if tip is None:
        raise LookupError(text)
    return tip


def named(tip: Tip) -> str:
    """Return how a tip is called in a message: its title, and the slug that commands take."""
    return f"“{tip.title}” ({tip.slug})"


def read_date(text: str) -> date:
    """Return a date as it was typed, or raise `InputError`."""
    try:
        return parse_date(text)
    except ValueError as error:
        raise InputError(str(error)) from error


def editions_of(unit: Unit, tip: Tip) -> Sequence[date]:
    """Return the dates for which a tip was frozen."""
    with unit.read() as tx:
        return [sending.date for sending in editions.history_of(tx, [tip.id])]


def when(app: Application, ahead: Outlook, tip: Tip) -> str:
    """Return when a tip goes out as things stand, in words, or why it does not."""
    for choice in ahead.choices:
        if choice.tip is not None and choice.tip.id == tip.id:
            return f"goes out {describe_slot(choice.slot, app.cadence.zone)}"
    why = next((item.why for item in ahead.stranded if item.tip.id == tip.id), "")
    return f"will not go out: {why}" if why else "no date in sight takes it, see `newsletter queue`"


def tell_due(app: Application, now: datetime) -> None:
    """Say what goes out at once when a date is due and has its tip only now."""
    ahead = outlook(app.unit, app.plan_rules, weeks=1, now=now)
    due = ahead.due
    if due is None:
        return
    choice = next((item for item in ahead.choices if item.slot.date == due.date and item.tip is not None), None)
    if choice is None or choice.tip is None:
        return
    at = describe_instant(due.sends_at, app.cadence.zone)
    if not ahead.audience:
        say(f"Due since {at}, but no subscriber is active, so nothing goes out.")
        return
    left = describe_span(last_start(due, app.grace) - now)
    people = people_words(ahead.audience)
    say(
        f"Due since {at}: {choice.tip.slug!r} goes out late, to {people}, as soon as the service "
        f"runs within the next {left}. To prevent it: newsletter slot skip {due.date}"
    )

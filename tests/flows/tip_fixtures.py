"""What the tests of tips, dates and the queue share: one publication, one cadence, and tips in few words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta

from newsletter.core.cadence import Cadence, cadence_text, slot_on
from newsletter.core.edition import Edition
from newsletter.core.lineup import LineupRules
from newsletter.core.message import Publication
from newsletter.core.subscriber import Subscriber, SubscriberId
from newsletter.core.tip import Tip
from newsletter.flows.freeze import RenderContext, freeze
from newsletter.flows.plan import PlanRules
from newsletter.flows.queue_tip import Queued, TipText, TipValidation, queue_tips
from newsletter.render.environment import make_environment
from newsletter.store import installation as installations
from newsletter.store import log as logs
from newsletter.store import subscriber_batch as batches
from newsletter.store import tip as tips
from newsletter.store.unit import Unit

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
"""A Sunday; the next dates are Tuesdays, 3, 10, 17 and 24 November."""
TUESDAYS = tuple(date(2026, 11, 3) + timedelta(weeks=week) for week in range(6))
CADENCE = Cadence(weekday=1, at=time(9), zone="America/New_York")
RENDER_CONTEXT = RenderContext(
    publication=Publication(
        name="Tip of the Week",
        from_email="tips@example.com",
        reply_to="tips@example.com",
        postal_address="Example Society, 1 Example Street, Springfield",
        base_url="https://news.example.com",
    ),
    templates=make_environment(),
    rules=LineupRules(),
)
RULES = PlanRules(cadence=CADENCE, lineup=LineupRules(), grace=timedelta(hours=36))
WHO = "tester"


def review(now: datetime = NOW) -> TipValidation:
    """Return what tips are judged by at an instant."""
    return TipValidation(render_context=RENDER_CONTEXT, cadence=CADENCE, now=now)


def tip_file(slug: str, *keys: str, status: str = "approved", body: str = "One idea.") -> TipText:
    """Return a tip file; further keys come as whole lines."""
    front = "\n".join(["---", f"title: Title of {slug}", f"slug: {slug}", f"status: {status}", *keys, "---"])
    return TipText(name=f"{slug}.md", text=f"{front}\n\n{body}\n")


def queue(unit: Unit, *files: TipText, now: datetime = NOW) -> list[Queued]:
    """Import files as a person does."""
    return queue_tips(unit, files, review(now), who=WHO)


def stored(unit: Unit) -> dict[str, Tip]:
    """Return every tip by its slug, in queue order."""
    with unit.read() as tx:
        return {tip.slug: tip for tip in tips.all_tips(tx)}


def logged(unit: Unit) -> Sequence[tuple[str, str]]:
    """Return what was logged, oldest first."""
    with unit.read() as tx:
        return [(entry.what, entry.about) for entry in reversed(logs.latest(tx))]


def begin(unit: Unit, now: datetime = NOW) -> None:
    """Record the first tick, as the service does when it starts."""
    with unit.write() as tx:
        installations.begin(tx, now=now, cadence=cadence_text(CADENCE))


def subscribe(unit: Unit, *names: str) -> None:
    """Put people on the list."""
    people = [
        Subscriber(
            id=SubscriberId(0),
            email=f"{name}@example.org",
            canonical=f"{name}@example.org",
            first_name=name.capitalize(),
            fields={"Company": "Example"},
            state_since=NOW,
            created_at=NOW,
        )
        for name in names
    ]
    with unit.write() as tx:
        batches.add_new(tx, people)


def freeze_on(unit: Unit, day: date, *, now: datetime = NOW) -> Edition:
    """Freeze the weekly slot of a date, whatever the lineup gives it."""
    slot = slot_on(CADENCE, day)
    assert slot is not None
    edition = freeze(unit, RENDER_CONTEXT, slot, now=now).edition
    assert edition is not None
    return edition

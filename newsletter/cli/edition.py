"""`newsletter edition`: what was sent, what is being sent, and what a person decides about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from newsletter.cli.confirmation import Yes, confirm
from newsletter.cli.context import state
from newsletter.cli.edition_names import find_edition
from newsletter.cli.layout import GAP_WIDTH
from newsletter.cli.liveness import service_alive
from newsletter.cli.output import Json, print_json, say, table, terminal_width, warn
from newsletter.cli.subscriber_lookup import known
from newsletter.errors import InputError, NewsletterError
from newsletter.wording import inflected, listed, people_words, plural

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from newsletter.core.edition import Edition
    from newsletter.core.receipt import Receipt
    from newsletter.core.wave import WaveStanding
    from newsletter.wiring import Application

app = typer.Typer(help="Editions: list, show, send, hold, settle.", no_args_is_help=True, rich_markup_mode=None)

Name = Annotated[str, typer.Argument(metavar="DATE", help="The date of the edition; `last` began last.")]
Because = Annotated[str, typer.Option("--because", metavar="TEXT", help="Why; kept in the log.")]


TITLE_WIDTH_MIN = 16
"""Cells for titles in the list of editions, below which its counts are told in words."""

_COUNTS = ("rejected", "uncertain", "expired", "skipped", "open")


def _find(application: Application, name: str) -> Edition:
    with application.unit.read() as tx:
        return find_edition(tx, name)


def _receipt(application: Application, edition: Edition) -> Receipt:
    from newsletter.store import edition as editions
    from newsletter.store import report

    with application.unit.read() as tx:
        return report.receipt(tx, editions.by_id(tx, edition.id))


@app.command("list")
def list_editions(
    context: typer.Context,
    as_json: Json = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many, newest first.")] = 20,
) -> None:
    """List the latest editions, newest first."""
    from newsletter.store import edition as editions
    from newsletter.store import report

    application = state(context).app
    with application.unit.read() as tx:
        receipts = [report.receipt(tx, item) for item in editions.latest(tx, count=limit)]
    if as_json:
        print_json([receipt.to_dict() for receipt in receipts])
        return
    if not receipts:
        say("No edition has been sent yet. `newsletter queue` shows what is planned.")
        return
    # Most editions have no people in most of these: a column of zeros tells nothing and takes the room of the title.
    count_names = [count for count in _COUNTS if any(getattr(receipt.counts, count) for receipt in receipts)]
    kinds = ["kind"] if any(receipt.about for receipt in receipts) else []
    counts = ("audience", "accepted", *count_names)
    names_width = sum(
        len(item) + GAP_WIDTH for item in ("2026-11-24.2", *(["replacement"] if kinds else []), "cancelled", *counts)
    )
    width = terminal_width()
    # So many columns have no room: what became of people is told in words, which can be folded.
    in_words = width is not None and width - names_width < TITLE_WIDTH_MIN
    table(
        ["date", *kinds, "tip", "state", *(["people"] if in_words else counts)],
        [
            [edition.name, *([edition.kind.value] if kinds else []), edition.title, edition.status.value]
            + ([_in_words(receipt)] if in_words else [f"{count:,}" for count in _numbers(receipt, count_names)])
            for receipt in receipts
            for edition in [receipt.edition]
        ],
    )


def _numbers(receipt: Receipt, names: Sequence[str]) -> Sequence[int]:
    counts = receipt.counts
    return [receipt.edition.audience, counts.accepted, *(getattr(counts, name) for name in names)]


def _in_words(receipt: Receipt) -> str:
    counted = [f"{count:,} {item}" for item in _COUNTS if (count := getattr(receipt.counts, item))]
    return ", ".join([f"{receipt.counts.accepted:,} of {receipt.edition.audience:,} accepted", *counted])


@app.command()
def show(context: typer.Context, date: Name = "last", as_json: Json = False) -> None:
    """Show the delivery report of an edition.

    Exit code 1 if it does not add up.
    """
    application = state(context).app
    edition = _find(application, date)
    receipt = _receipt(application, edition)
    if as_json:
        print_json(receipt.to_dict())
    else:
        show_receipt(application, edition, receipt)
    if not receipt.balances:
        raise NewsletterError(f"The report of {receipt.edition.name} does not add up: the gap is {receipt.gap}.")


def show_receipt(application: Application, edition: Edition, receipt: Receipt) -> None:
    """Print a delivery report for a person."""
    from newsletter.core.cadence import describe_instant

    zone = application.cadence.zone

    def when(at: object) -> str:
        return describe_instant(at, zone)  # type: ignore[arg-type]

    say(f"Delivery report: edition of {receipt.edition.name}, “{edition.title}” ({receipt.edition.tip.slug})")
    if edition.status_why:
        # It may be several sentences, behind which nothing else could be found.
        say(f"  {edition.standing}")
        say(f"  tip: {edition.tip.why}")
    else:
        say(f"  {receipt.edition.status.value}; tip: {edition.tip.why}")
    for further in _further(application, edition):
        say(f"  {further.kind.value}: {further.name}, “{further.title}” ({further.tip.slug})")
    say(f"  began {when(receipt.edition.started_at)}")
    if receipt.edition.finished_at is not None:
        say(f"  ended {when(receipt.edition.finished_at)}")
    say()
    rows = [[item.value, f"{count:,}"] for item, count in receipt.counts.items() if count]
    table(["state", "people"], [*rows, ["audience", f"{receipt.edition.audience:,}"]])
    say()
    if receipt.waves:
        show_waves(receipt, zone, now=application.clock.now())
    for sentence in receipt.sentences(when):
        say(sentence)


def show_waves(receipt: Receipt, zone: str, *, now: datetime) -> None:
    """Print how far each wave is of an edition that goes out by each reader's own clock."""
    from newsletter.core.cadence import brief_instant
    from newsletter.core.wave import zone_of

    def stands(wave: WaveStanding) -> str:
        if not wave.waiting:
            return "done"
        if receipt.edition.status.value == "sending":
            return f"{wave.waiting:,} wait for their hour" if wave.not_before > now else f"{wave.waiting:,} to go"
        return f"{wave.waiting:,} wait; it is {receipt.edition.status.value}"

    rows = [
        [
            item.label,
            brief_instant(item.not_before, zone_of(item.label)),
            brief_instant(item.not_before, zone),
            f"{item.people:,}",
            stands(item),
        ]
        for item in receipt.waves
    ]
    table(["wave", "their time", "your time", "people", "state"], rows)
    say()


def _further(application: Application, edition: Edition) -> Sequence[Edition]:
    """Return the editions that replace or correct this one."""
    from newsletter.store import edition as editions

    with application.unit.read() as tx:
        return editions.about(tx, edition.id)


@app.command()
def pause(context: typer.Context, date: Name, because: Because = "") -> None:
    """Send nothing more of an edition until it is resumed."""
    from newsletter.flows import hold

    invocation = state(context)
    edition = _find(invocation.app, date)
    moved = hold.pause_edition(
        invocation.app.unit, edition, who=invocation.who, why=because, now=invocation.app.clock.now()
    )
    say(f"The edition of {edition.name} is {'paused now' if moved else 'paused already'}.")


@app.command()
def resume(context: typer.Context, date: Name) -> None:
    """Go on with a paused edition."""
    from newsletter.flows import hold

    invocation = state(context)
    edition = _find(invocation.app, date)
    moved = hold.resume_edition(invocation.app.unit, edition, who=invocation.who, now=invocation.app.clock.now())
    say(f"The edition of {edition.name} {'goes on' if moved else 'was not paused; nothing was changed'}.")
    _hint_service(invocation.app)


@app.command()
def cancel(context: typer.Context, date: Name, because: Because = "", yes: Yes = False) -> None:
    """Send nothing more of an edition, for good."""
    from newsletter.flows import hold

    invocation = state(context)
    edition = _find(invocation.app, date)
    waiting = _receipt(invocation.app, edition).counts.open
    confirm(f"Cancel {edition.name}, “{edition.title}”? {people_words(waiting)} will not get it.", yes=yes)
    skipped = hold.cancel_edition(
        invocation.app.unit, edition, who=invocation.who, why=because, now=invocation.app.clock.now()
    )
    say(f"The edition of {edition.name} is cancelled: {plural(skipped, 'person does', 'people do')} not get it.")


@app.command()
def retry(
    context: typer.Context,
    date: Name,
    expired: Annotated[bool, typer.Option("--expired", help="Also try those that were given up.")] = False,
    rejected: Annotated[bool, typer.Option("--rejected", help="Also try those that were refused.")] = False,
    yes: Yes = False,
) -> None:
    """Try the deferred people of an edition now instead of later."""
    from newsletter.core.delivery import DeliveryState
    from newsletter.flows import resolve as resolving

    invocation = state(context)
    edition = _find(invocation.app, date)
    states = tuple(
        state for state, asked in ((DeliveryState.EXPIRED, expired), (DeliveryState.REJECTED, rejected)) if asked
    )
    receipt = _receipt(invocation.app, edition)
    again = sum(receipt.counts[state] for state in states)
    if again:
        # The deferred are tried again anyway; these people are mailed only because of this command.
        words = listed([f"{receipt.counts[state]:,} {state.value}" for state in states if receipt.counts[state]])
        confirm(f"Send {edition.name}, “{edition.title}”, again to {words} {_people(again)}?", yes=yes)
    count = resolving.retry(invocation.app.unit, edition, states, who=invocation.who, now=invocation.app.clock.now())
    if not count:
        say(f"The edition of {edition.name} has no mail to try again; nothing was changed.")
        return
    _say_queued(invocation.app, edition, f"{plural(count, 'person is', 'people are')} tried again")


@app.command()
def resolve(
    context: typer.Context,
    date: Name,
    *,
    resend: Annotated[bool, typer.Option("--resend", help="Send it again: they may get two.")] = False,
    accepted: Annotated[bool, typer.Option("--accepted", help="There is evidence that it arrived.")] = False,
    rejected: Annotated[bool, typer.Option("--rejected", help="There is evidence that it did not.")] = False,
    subscriber: Annotated[str, typer.Option("--subscriber", metavar="EMAIL", help="Only this person.")] = "",
    because: Because = "",
    yes: Yes = False,
) -> None:
    """Decide about people who may or may not have an edition."""
    from newsletter.core.delivery import DeliveryState
    from newsletter.flows import resolve as resolving

    if (resend, accepted, rejected).count(True) != 1:
        raise InputError("Say what to do about the uncertain: one of --resend, --accepted, --rejected.")
    invocation = state(context)
    edition = _find(invocation.app, date)
    only = known(invocation.app.unit, subscriber).id if subscriber else None
    now = invocation.app.clock.now()
    if subscriber or _receipt(invocation.app, edition).counts.uncertain:
        confirm(_resolve_question(invocation.app, edition, subscriber, resend=resend, accepted=accepted), yes=yes)
    if resend:
        count = resolving.resend(invocation.app.unit, edition, only=only, who=invocation.who, now=now)
        if not count:
            say(_nobody_uncertain(edition))
            return
        _say_queued(invocation.app, edition, f"{plural(count, 'person is', 'people are')} sent to again")
        return
    to = DeliveryState.ACCEPTED if accepted else DeliveryState.REJECTED
    count = resolving.settle_uncertain(
        invocation.app.unit, edition, to, only=only, because=because, who=invocation.who, now=now
    )
    if not count:
        say(_nobody_uncertain(edition))
        return
    say(f"{people_words(count)} of the edition of {edition.name}: {to.value} now.")


def _people(count: int) -> str:
    return inflected(count, "person", "people")


def _resolve_question(
    application: Application, edition: Edition, subscriber: str, *, resend: bool, accepted: bool
) -> str:
    uncertain = _receipt(application, edition).counts.uncertain
    people = subscriber or f"the {people_words(uncertain)} who may or may not have it"
    if resend:
        return f"Send {edition.name}, “{edition.title}”, again to {people}? They may get it twice."
    outcome = "accepted" if accepted else "rejected"
    return f"Count {edition.name}, “{edition.title}”, as {outcome} for {people}? It cannot become uncertain again."


def _nobody_uncertain(edition: Edition) -> str:
    return f"The edition of {edition.name} has no uncertain mail; nothing was changed."


def _say_queued(application: Application, edition: Edition, people: str) -> None:
    """Tell who is in the queue again, and what has to happen before anything of it is sent."""
    from newsletter.core.edition import EditionStatus

    if edition.status is EditionStatus.PAUSED:
        say(f"{people} once the edition goes on: `newsletter edition resume {edition.name}`.")
        return
    say(f"{people} in the edition of {edition.name}.")
    _hint_service(application)


def _hint_service(application: Application) -> None:
    if not service_alive(application):
        warn("No service is running: `newsletter edition send` or `newsletter run` sends what is due.")

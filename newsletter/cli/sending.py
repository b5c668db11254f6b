"""`newsletter edition send` and `watch`: send in the foreground, or show what another process sends."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from newsletter.cli.confirmation import YesTwice, confirm
from newsletter.cli.context import State, state
from newsletter.cli.edition import show_receipt
from newsletter.cli.edition_names import find_edition, parse_name
from newsletter.cli.edition_watch import screen, watch_until_quiet, watching
from newsletter.cli.liveness import service_alive
from newsletter.cli.output import Json, print_json, say, warn
from newsletter.errors import InputError, NewsletterError, NotNow, Stop
from newsletter.wording import people_words, plural

if TYPE_CHECKING:
    from newsletter.core.cadence import Cadence, Slot
    from newsletter.core.edition import Edition
    from newsletter.core.receipt import Receipt
    from newsletter.core.tip import Tip
    from newsletter.flows.send_now import Plan
    from newsletter.sending.options import PassResult
    from newsletter.store.unit import Tx
    from newsletter.wiring import Application

RECENT = timedelta(days=6)
"""Age of the last edition below which a new one is preceded by a line about it."""

REPEATED = timedelta(hours=24)
"""Age of the last edition below which `--now` needs more than a y: it may be the same command typed twice."""


def send(
    context: typer.Context,
    date: Annotated[str, typer.Argument(metavar="DATE", help="The date; without it, the one that is due.")] = "",
    *,
    now: Annotated[bool, typer.Option("--now", help="Send a coming date early; this uses it up.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be sent.")] = False,
    yes: YesTwice = 0,
    as_json: Json = False,
) -> None:
    """Freeze and send an edition in the foreground.

    Beside the service, or instead of it.
    """
    from newsletter.flows.send_now import Plan

    invocation = state(context)
    held = invocation.app.held()
    if held:
        raise Stop(held)
    edition = _decide(invocation.app, date, early=now)
    if isinstance(edition, Plan):
        tip = _tip_to_send(edition)
        if dry_run:
            _print_plan(invocation.app, edition, tip, as_json=as_json)
            return
        _confirm_send(invocation.app, edition, tip, yes=yes, early=now)
        # Whatever happens meanwhile, this date is sent and no other; should it have an edition by now, that one is.
        edition = _freeze(invocation, edition.slot)
    elif dry_run:
        _tell_begun(invocation.app, edition, as_json=as_json)
        return
    work(invocation.app, edition, as_json=as_json)


def _tell_begun(application: Application, edition: Edition, *, as_json: bool) -> None:
    """Answer `--dry-run` for an edition that has begun already."""
    edition, receipt = _look(application, edition)
    if as_json:
        print_json(receipt.to_dict())
    else:
        waits = receipt.counts.open
        waiting = f"; {plural(waits, 'person still waits', 'people still wait')}" if waits else ""
        say(f"The edition of {edition.name} is {edition.status.value} already{waiting}. Nothing was changed.")


def _decide(application: Application, name: str, *, early: bool) -> Edition | Plan:
    """Return the edition to go on with, so that sending twice is harmless; else what a new one would be.

    Both come from one look: between two, another process may freeze the very slot, and the next one would be taken.
    """
    from newsletter.flows.send_now import plan

    with application.unit.read() as tx:
        edition = _named(tx, name)
    if edition is not None:
        return edition
    moment = application.clock.now()
    # One request by a person is no running scheduler: no heartbeat.
    due = application.ticker.decide(moment, heartbeat=False)
    with application.unit.read() as tx:
        edition = _under_way(tx, due, early=early) if name == "" else _named(tx, name)
        if edition is not None:
            return edition
        slot = _slot(tx, application.cadence, name, due, early=early, now=moment)
        return plan(tx, application.render_context, slot, now=moment)


def _named(tx: Tx, name: str) -> Edition | None:
    """Return the edition that a date already has."""
    from newsletter.store import edition as editions

    if name in {"", "next"}:
        return None
    if name == "last":
        return find_edition(tx, name)
    return editions.by_date(tx, *parse_name(name))


def _under_way(tx: Tx, due: Slot | None, *, early: bool) -> Edition | None:
    """Return the edition to go on with; of a slot that is due only its own: an old paused one must not hold it up."""
    from newsletter.core.edition import EditionStatus
    from newsletter.store import edition as editions

    if due is not None:
        return editions.by_date(tx, due.date)
    open_ones = editions.unfinished(tx)
    sending = [item for item in open_ones if item.status is EditionStatus.SENDING]
    return next(iter(sending if sending or early else open_ones), None)


def _slot(tx: Tx, cadence: Cadence, name: str, due: Slot | None, *, early: bool, now: datetime) -> Slot:
    """Return the slot to freeze, or say which is next."""
    from newsletter.core.cadence import describe_slot
    from newsletter.flows.send_now import early_slot_in

    on = None if name in {"", "next"} else parse_name(name)[0]
    if due is not None and name != "next" and on in {None, due.date}:
        return due
    slot = early_slot_in(tx, cadence, on, now=now)
    if not early:
        when = describe_slot(slot, cadence.zone)
        raise InputError(f"Nothing is due. The next edition goes out on {when}; `--now` sends it early.")
    return slot


def _tip_to_send(planned: Plan) -> Tip:
    """Return the tip of a new edition; raise `NewsletterError` where no tip or no subscriber is there."""
    date = planned.slot.date
    if planned.choice.tip is None:
        raise NewsletterError(f"Nothing can be sent for {date}: {planned.choice.why}.")
    if not planned.audience:
        raise NewsletterError(f"Nothing can be sent for {date}: no subscriber is active. The tip is kept.")
    return planned.choice.tip


def _print_plan(application: Application, planned: Plan, tip: Tip, *, as_json: bool) -> None:
    """Answer `--dry-run` for a new edition; raise what the freeze would refuse."""
    from newsletter.core.cadence import describe_date
    from newsletter.flows.freeze import new_nonce, render

    slot, choice = planned.slot, planned.choice
    render(application.render_context, tip, slot.date, nonce=new_nonce())
    if as_json:
        print_json(
            {
                "date": slot.date.isoformat(),
                "tip": tip.slug,
                "source": choice.source.value,
                "why": choice.why,
                "audience": planned.audience,
                "gives_up": {item.edition.name: item.count for item in planned.untried},
            }
        )
        return
    people = people_words(planned.audience)
    say(f"Would send “{tip.title}” to {people} for {describe_date(slot.date)}.")
    for untried in planned.untried:
        say(str(untried))
    say(f"Why this tip: {choice.why}. Nothing was changed.")


def _confirm_send(application: Application, planned: Plan, tip: Tip, *, yes: int, early: bool) -> None:
    """Ask before a new edition; a second early one within a day of the last edition needs the number of people too."""
    from newsletter.core.cadence import describe_date, describe_span, local

    moment = application.clock.now()
    today = local(moment, application.cadence.zone).date()
    date = planned.slot.date
    people = people_words(planned.audience)
    question = f"Send “{tip.title}” to {people} now?"
    if today != date:
        question += f" It is {describe_date(today).split()[0]}; this uses up {describe_date(date)}."
    last = _last_edition(application)
    age = moment - last.started_at if last is not None else None
    if last is not None and age is not None and age < RECENT:
        warn(f"The edition of {last.name}, “{last.title}”, began {describe_span(age)} ago.")
    for untried in planned.untried:
        warn(str(untried))
    repeated = early and age is not None and age < REPEATED
    confirm(question, yes=yes, people=planned.audience if repeated else None)


def _last_edition(application: Application) -> Edition | None:
    from newsletter.store import edition as editions

    with application.unit.read() as tx:
        return next(iter(editions.latest(tx, count=1)), None)


def _freeze(invocation: State, slot: Slot) -> Edition:
    from newsletter.flows.freeze import freeze

    frozen = freeze(
        invocation.app.unit, invocation.app.render_context, slot, who=invocation.who, now=invocation.app.clock.now()
    )
    if frozen.edition is None:
        raise NewsletterError(f"Nothing was sent for {slot.date}: {frozen.empty}.")
    return frozen.edition


def work(application: Application, edition: Edition, *, as_json: bool) -> None:
    """Send until nothing is due, then report; raise what needs a person."""
    from newsletter.core.edition import EditionStatus

    result: PassResult | None = None
    was_sending = edition.status is EditionStatus.SENDING
    if edition.status not in {EditionStatus.FINISHED, EditionStatus.CANCELLED}:
        result = _send_or_watch(application, edition, quiet=as_json)
    elif not as_json:
        text = "was sent already" if edition.status is EditionStatus.FINISHED else "was cancelled"
        say(f"The edition of {edition.name} {text}; nothing is sent again.")
        say()
    edition, receipt = _look(application, edition)
    # Who pauses an edition while it is sent here has decided; who asks for one that stands paused got nothing done.
    stuck = edition.status is EditionStatus.PAUSED and not (was_sending and _paused_by_person(application, edition))
    if as_json:
        print_json(receipt.to_dict())
    else:
        show_receipt(application, edition, receipt)
        if not stuck:
            _what_waits(application, edition, receipt, quota=result.wait if result else 0.0)
    _complain(edition, receipt, result, stuck=stuck)


def _send_or_watch(application: Application, edition: Edition, *, quiet: bool) -> PassResult | None:
    from newsletter.sending.sender_loop import send_until_idle

    stop = threading.Event()
    with stopping(stop), screen(application, quiet=quiet) as show:
        while True:
            with ExitStack() as held:
                try:
                    held.enter_context(application.right_to_send())
                except NotNow:
                    # Another process sends; what is left to do here is to look on, and to step in should it die.
                    if watch_until_quiet(application, edition, stop, show):
                        return None
                    continue
                if not quiet:
                    held.enter_context(watching(application, edition, show))
                result = send_until_idle(application.sender(), stop, tell=application.tell)
            if not result.trouble and not stop.is_set() and _look(application, edition)[1].counts.sending:
                # Another worker has the rest in hand.
                watch_until_quiet(application, edition, stop, show)
            return result


def _look(application: Application, edition: Edition) -> tuple[Edition, Receipt]:
    from newsletter.store import edition as editions
    from newsletter.store import report

    with application.unit.read() as tx:
        current = editions.by_id(tx, edition.id)
        return current, report.receipt(tx, current)


def _paused_by_person(application: Application, edition: Edition) -> bool:
    from newsletter.flows.hold import paused_by_person

    with application.unit.read() as tx:
        return paused_by_person(tx, edition)


def _what_waits(application: Application, edition: Edition, receipt: Receipt, *, quota: float = 0.0) -> None:
    """Say what still waits, and for what; `quota` is the seconds until the mail provider's quota allows more."""
    from newsletter.core.cadence import describe_instant
    from newsletter.core.edition import EditionStatus
    from newsletter.core.wave import next_wave, zone_of

    if edition.status is EditionStatus.PAUSED:
        people = plural(receipt.counts.open, "person waits", "people wait")
        say(
            f"The edition of {edition.name} is paused and {people}: `newsletter edition resume {edition.name}` goes on."
        )
    elif receipt.counts.open:
        zone = application.cadence.zone
        now = application.clock.now()
        wave = next_wave(receipt.waves, now)
        until = f" until {describe_instant(receipt.next_attempt_at, zone)}" if receipt.next_attempt_at else ""
        if wave is not None:
            hour = describe_instant(wave.not_before, zone_of(wave.label))
            until += f"{', and' if until else ''} for their own hour (next {hour}, {wave.label}: {wave.people:,})"
        if receipt.awaiting:
            until += f"{', and' if until else ''} for the outcome of the edition before ({receipt.awaiting:,})"
        if quota and receipt.counts.queued:
            until = f" until {describe_instant(now + timedelta(seconds=quota), zone)}: a quota"
        alive = service_alive(application)
        service = "the service goes on with them" if alive else "the service is not running: `newsletter run`"
        say(f"{receipt.counts.open:,} still waiting{until}; {service}.")


def _complain(edition: Edition, receipt: Receipt, result: PassResult | None, *, stuck: bool) -> None:
    from newsletter.core.breaker import resume_advice
    from newsletter.core.delivery import DeliveryState

    if not receipt.balances:
        raise NewsletterError(f"The report of {receipt.edition.name} does not add up: the gap is {receipt.gap}.")
    if stuck:
        waits = plural(receipt.counts.open, "person waits", "people wait")
        why = edition.status_why.rstrip(".")
        # What the program has to say is long: it stands last.
        how = f"{edition.standing}, and {waits}" if not why or edition.by_somebody else f"paused and {waits}: {why}"
        advice = resume_advice(receipt.edition.name, rejected=receipt.counts[DeliveryState.REJECTED] > 0)
        raise NewsletterError(f"The edition of {receipt.edition.name} is {how}. {advice}")
    if result is None:
        return
    if result.trouble:
        raise NewsletterError(f"{result.trouble} {plural(receipt.counts.open, 'delivery waits', 'deliveries wait')}.")
    if result.unanswered:
        raise NewsletterError(
            f"{plural(result.unanswered, 'message')} got no answer before the time to stop was over, "
            f"and may have arrived: `newsletter edition resolve {receipt.edition.name}` decides."
        )


def watch(
    context: typer.Context,
    date: Annotated[str, typer.Argument(metavar="DATE", help="The edition, or `last`.")] = "last",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line, twice a second.")] = False,
) -> None:
    """Show the progress of an edition that is being sent.

    Pace, mail servers, workers and waiting people, whichever process sends.
    """
    from newsletter.core.edition import EditionStatus

    application = state(context).app
    with application.unit.read() as tx:
        edition = find_edition(tx, date)
    stop = threading.Event()
    with stopping(stop), screen(application, as_json=as_json) as show:
        moves = watch_until_quiet(application, edition, stop, show, patiently=True)
        # What is paused needs no service but a person, who is told behind the report.
        if not moves and _look(application, edition)[0].status is not EditionStatus.PAUSED:
            warn(
                "Nothing is sent, and no service is running: `newsletter run` or `edition send` continues the edition."
            )
    if as_json:
        return
    edition, receipt = _look(application, edition)
    show_receipt(application, edition, receipt)
    _what_waits(application, edition, receipt)


@contextmanager
def stopping(stop: threading.Event) -> Iterator[None]:
    """Let SIGTERM and Ctrl-C finish the messages in flight instead of tearing them."""
    kept = {signum: signal.signal(signum, lambda *_: stop.set()) for signum in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for signum, handler in kept.items():
            signal.signal(signum, handler)

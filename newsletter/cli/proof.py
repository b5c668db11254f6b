"""`newsletter edition proof`: show the mail of a date to somebody, as its readers will get it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from newsletter.cli.context import state
from newsletter.cli.output import say
from newsletter.errors import InputError, NewsletterError

if TYPE_CHECKING:
    from newsletter.flows.proof import Proof
    from newsletter.wiring import Application

PROOF_SEARCH_WEEKS = 52
"""How far ahead a proof can be asked for."""


def proof(
    context: typer.Context,
    date: Annotated[
        str, typer.Argument(metavar="DATE", help="A date that comes, `next`, or an edition that began.")
    ] = "next",
    *,
    to: Annotated[
        list[str] | None,
        typer.Option("--to", metavar="EMAIL", help="Who gets it; otherwise those who get every proof."),
    ] = None,
) -> None:
    """Send a proof by hand.

    It is the real mail, marked as a proof and counted nowhere.
    """
    from newsletter.core.notice import NoticeKey, NoticeKind
    from newsletter.flows.proof import proof_for
    from newsletter.sending.notice_sender import NoticeSender

    application = state(context).app
    people = list(to or application.notice_context.editors)
    if not people:
        raise InputError("Name a reader of the proof: --to EMAIL, or set NEWSLETTER_ADMIN_EMAILS.")
    now = application.clock.now()
    target = _make(application, date)
    key = NoticeKey(kind=NoticeKind.PROOF, about=date, variant="by hand")
    messages = {
        email: proof_for(application.unit, application.notice_context, target, email, key, now=now) for email in people
    }
    sender = NoticeSender.beside(application.sender())
    refused = []
    for email, message in messages.items():
        try:
            sender.hand_over_now(message, email)
        except NewsletterError as error:
            refused.append(str(error))
        else:
            say(f"Sent to {email}: {target.letter.heading}.")
    if refused:
        raise NewsletterError(refused[0], details=tuple(refused[1:]))


def _make(application: Application, name: str) -> Proof:
    """Render what goes out on a date, or what was frozen for it."""
    from newsletter.cli.edition_names import parse_name
    from newsletter.core.cadence import describe_date
    from newsletter.core.lineup import Source
    from newsletter.core.proof import Change
    from newsletter.flows.freeze import series_of
    from newsletter.flows.plan import outlook
    from newsletter.flows.proof import frozen_proof, make_proof
    from newsletter.store import edition as editions

    notice_context, now = application.notice_context, application.clock.now()
    day = None
    if name != "next":
        day, number = parse_name(name)
        with application.unit.read() as tx:
            begun = editions.by_date(tx, day, number)
            content = editions.content(tx, begun.id) if begun is not None else ""
        if begun is not None:
            return frozen_proof(notice_context, begun, content)
    ahead = outlook(application.unit, notice_context.plan, weeks=PROOF_SEARCH_WEEKS, now=now)
    open_ = [choice for choice in ahead.choices if day is not None or choice.source is not Source.SKIPPED]
    choice = next((choice for choice in open_ if day in {None, choice.slot.date}), None)
    if choice is None:
        raise InputError(f"Nothing goes out on {describe_date(day)}." if day else "No date comes within a year.")
    with application.unit.read() as tx:
        series = series_of(tx, choice.tip)
    return make_proof(notice_context, choice, ahead, Change.FIRST, now=now, series=series)

"""`newsletter edition replace` and `correct`: what to do about a tip that should not have gone out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from newsletter.cli.confirmation import Yes, YesTwice, confirm
from newsletter.cli.context import State, state
from newsletter.cli.edition_names import find_edition
from newsletter.cli.output import Json, one_line, say, warn
from newsletter.cli.sending import work
from newsletter.errors import Stop
from newsletter.wording import people_words

if TYPE_CHECKING:
    from newsletter.core.edition import Edition
    from newsletter.core.tip import Tip
    from newsletter.flows.follow_up import FollowUp, FollowUpPlan

Name = Annotated[str, typer.Argument(metavar="DATE", help="The date of the edition; `last` began last.")]
TipOption = Annotated[
    str, typer.Option("--tip", metavar="TIP", help="The tip that goes out: its slug, or a beginning.")
]
Because = Annotated[str, typer.Option("--because", metavar="TEXT", help="Why; kept in the log.")]


def replace(
    context: typer.Context,
    date: Name,
    tip: TipOption,
    *,
    because: Because = "",
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Replace a wrong tip on its way by another one.

    The other tip goes to the people whom the wrong one did not reach.
    """
    from newsletter.flows.replace_edition import plan_replacement, replace_edition

    invocation = _ready(context)
    wrong, right = _meant(invocation, date, tip)
    now = invocation.app.clock.now()
    with invocation.app.unit.read() as tx:
        outlook = plan_replacement(tx, wrong.id, right, now=now)
    if outlook.known is None:
        people = people_words(outlook.people)
        confirm(f"Stop “{wrong.title}” and send “{right.title}” to the {people} whom it has not reached?", yes=yes)
    result = replace_edition(
        invocation.app.unit,
        invocation.app.render_context,
        wrong,
        right,
        who=invocation.who,
        why=one_line(because),
        now=invocation.app.clock.now(),
    )
    _tell(result, quiet=as_json)
    if result.drafted and not as_json:
        say(
            f"“{wrong.title}” reached no reader. It is a draft again: "
            f"`newsletter tip approve {wrong.tip.slug}` queues it."
        )
    elif result.new and not as_json:
        _hint_correction(invocation, outlook)
    work(invocation.app, result.edition, as_json=as_json)


def correct(
    context: typer.Context,
    date: Name,
    tip: TipOption,
    *,
    because: Because = "",
    yes: YesTwice = 0,
    as_json: Json = False,
) -> None:
    """Mail a correction to the people who got an edition.

    Asks twice.
    """
    from newsletter.flows.correct_edition import correct_edition, plan_correction

    invocation = _ready(context)
    wrong, right = _meant(invocation, date, tip)
    with invocation.app.unit.read() as tx:
        outlook = plan_correction(tx, wrong.id, right, now=invocation.app.clock.now())
    if outlook.known is None:
        confirm(_correction_question(invocation, outlook, right), yes=yes, people=outlook.people)
    result = correct_edition(
        invocation.app.unit,
        invocation.app.render_context,
        wrong,
        right,
        who=invocation.who,
        why=one_line(because),
        now=invocation.app.clock.now(),
    )
    _tell(result, quiet=as_json)
    work(invocation.app, result.edition, as_json=as_json)


def _ready(context: typer.Context) -> State:
    invocation = state(context)
    held = invocation.app.held()
    if held:
        raise Stop(held)
    return invocation


def _meant(invocation: State, date: str, tip: str) -> tuple[Edition, Tip]:
    from newsletter.cli.tip_names import find_tip

    with invocation.app.unit.read() as tx:
        edition = find_edition(tx, date)
    return edition, find_tip(invocation.app.unit, tip)


def _correction_question(invocation: State, outlook: FollowUpPlan, tip: Tip) -> str:
    from newsletter.core.cadence import describe_span

    edition, people = outlook.wrong, people_words(outlook.people)
    age = describe_span(invocation.app.clock.now() - edition.started_at)
    return (
        f"Mail “{tip.title}” to the {people} who got “{edition.title}”, begun {age} ago? "
        "It is a further mail to people who expect one a week, and it cannot be called back."
    )


def _tell(follow_up: FollowUp, *, quiet: bool) -> None:
    if quiet:
        return
    replacement = follow_up.edition
    if not follow_up.new:
        say(f"{replacement.name} was opened for that already; nothing is opened again.")
        return
    people = people_words(replacement.audience)
    say(f"{replacement.name} {replacement.tip.why}: “{replacement.title}” goes to {people}.")
    if follow_up.unpinned is not None:
        say(f"It was pinned to {follow_up.unpinned}; that date takes its tip from the queue now.")


def _hint_correction(invocation: State, outlook: FollowUpPlan) -> None:
    from newsletter.store import report

    with invocation.app.unit.read() as tx:
        receipt = report.receipt(tx, outlook.wrong)
    if not (receipt.counts.accepted or receipt.counts.uncertain or receipt.counts.open):
        # Tried, and accepted for no reader.
        return
    warn(
        f"Those who got “{outlook.wrong.title}” hear nothing more of it; "
        f"`newsletter edition correct {outlook.wrong.name} --tip TIP` mails them."
    )

"""`newsletter edition replace` and `correct`: what to do about a tip that should not have gone out."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from newsletter.cli.context import State, state
from newsletter.cli.edition_names import find_edition
from newsletter.cli.output import Json, Yes, confirm, one_line, plural, say, warn
from newsletter.cli.sending import work
from newsletter.errors import InputError, Stop

if TYPE_CHECKING:
    from newsletter.core.edition import Edition
    from newsletter.core.tip import Tip
    from newsletter.flows.follow_up import FollowUp, Outlook

Name = Annotated[str, typer.Argument(metavar="DATE", help="The date of the edition, or `last`.")]
TipOption = Annotated[
    str, typer.Option("--tip", metavar="TIP", help="The tip that goes out: its slug, or a beginning.")
]
Because = Annotated[str, typer.Option("--because", metavar="TEXT", help="Why; kept in the log.")]
Sure = Annotated[
    int,
    typer.Option(
        "--yes", "-y", count=True, show_default=False, help="Do not ask; once answers the first question, twice both."
    ),
]

QUESTIONS = 2


def replace(
    context: typer.Context,
    date: Name,
    tip: TipOption,
    *,
    because: Because = "",
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Stop a wrong tip on its way, and send another one to those whom it did not reach."""
    from newsletter.flows.replace_edition import plan_replacement, replace_edition

    here = _ready(context)
    wrong, right = _meant(here, date, tip)
    now = here.app.clock.now()
    with here.app.unit.read() as tx:
        outlook = plan_replacement(tx, wrong.id, right, now=now)
    if outlook.known is None:
        people = plural(outlook.people, "person", "people")
        confirm(f"Stop “{wrong.title}” and send “{right.title}” to the {people} whom it has not reached?", yes=yes)
    done = replace_edition(
        here.app.unit,
        here.app.render_context,
        wrong,
        right,
        who=here.who,
        why=one_line(because),
        now=here.app.clock.now(),
    )
    _tell(done, quiet=as_json)
    if done.drafted and not as_json:
        say(f"Nobody got “{wrong.title}”. It is a draft again: `newsletter tip approve {wrong.tip_slug}` queues it.")
    elif done.new and not as_json:
        _hint_correction(here, outlook)
    work(here.app, done.edition, as_json=as_json)


def correct(
    context: typer.Context, date: Name, tip: TipOption, *, because: Because = "", yes: Sure = 0, as_json: Json = False
) -> None:
    """Mail a correction to those who got an edition, and to nobody else. Asks twice."""
    from newsletter.flows.correct_edition import correct_edition, plan_correction

    here = _ready(context)
    wrong, right = _meant(here, date, tip)
    with here.app.unit.read() as tx:
        outlook = plan_correction(tx, wrong.id, right, now=here.app.clock.now())
    if outlook.known is None:
        _ask_twice(here, outlook, right, sure=yes)
    done = correct_edition(
        here.app.unit,
        here.app.render_context,
        wrong,
        right,
        who=here.who,
        why=one_line(because),
        now=here.app.clock.now(),
    )
    _tell(done, quiet=as_json)
    work(here.app, done.edition, as_json=as_json)


def _ready(context: typer.Context) -> State:
    here = state(context)
    held = here.app.held()
    if held:
        raise Stop(held)
    return here


def _meant(here: State, date: str, tip: str) -> tuple[Edition, Tip]:
    from newsletter.cli.tip_names import find_tip

    with here.app.unit.read() as tx:
        edition = find_edition(tx, date)
    return edition, find_tip(here.app.unit, tip)


def _ask_twice(here: State, outlook: Outlook, tip: Tip, *, sure: int) -> None:
    """Ask two different questions: a habit answers the first one, only a look at the numbers the second."""
    from newsletter.core.cadence import describe_span

    if sure >= QUESTIONS:
        return
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise InputError("A correction is asked about twice, which needs a terminal; give --yes twice instead.")
    of, people = outlook.of, plural(outlook.people, "person", "people")
    if not sure:
        age = describe_span(here.app.clock.now() - of.started_at)
        confirm(f"Mail “{tip.title}” to the {people} who got “{of.title}”, begun {age} ago?", yes=False)
    say("It is a further mail to people who expect one a week, and it cannot be called back.")
    answer = typer.prompt("How many people is it for? Type the number to send it").replace(",", "").strip()
    if answer != str(outlook.people):
        raise InputError(f"It is for {people}, and you typed {answer!r}. Nothing was done.")


def _tell(done: FollowUp, *, quiet: bool) -> None:
    if quiet:
        return
    made = done.edition
    if not done.new:
        say(f"{made.name} was opened for that already; nothing is opened again.")
        return
    people = plural(made.audience, "person", "people")
    say(f"{made.name} {made.why}: “{made.title}” goes to {people}.")
    if done.unpinned is not None:
        say(f"It was pinned to {done.unpinned}; that date takes its tip from the queue now.")


def _hint_correction(here: State, outlook: Outlook) -> None:
    from newsletter.store import report

    with here.app.unit.read() as tx:
        receipt = report.receipt(tx, outlook.of)
    if not (receipt.accepted or receipt.uncertain or receipt.open):
        # Tried, and taken from nobody.
        return
    warn(
        f"Those who got “{outlook.of.title}” hear nothing more of it; "
        f"`newsletter edition correct {outlook.of.name} --tip TIP` mails them."
    )

"""`newsletter db`: the database as a thing: its version, whether it is whole, and which copy of it counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from newsletter.cli import backup as copies
from newsletter.cli.caught_up import caught_up_json, say_caught_up
from newsletter.cli.confirmation import Yes, confirm
from newsletter.cli.context import state
from newsletter.cli.output import Json, print_json, say
from newsletter.wording import plural

if TYPE_CHECKING:
    from newsletter.wiring import Application

app = typer.Typer(
    help="The database: upgrade, check, back up, restore, copy.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("upgrade")
def upgrade_(context: typer.Context, *, as_json: Json = False) -> None:
    """Create the database, or upgrade it to this version.

    On SQLite a copy is made first.
    """
    from newsletter.flows.upgrade_database import upgrade_database

    invocation = state(context)
    application = invocation.app
    result = upgrade_database(application.engine, application.keyring, who=invocation.who, now=application.clock.now())
    if as_json:
        print_json({"before": result.before, "after": result.after, "backup": result.backup})
    elif result.before is None:
        say(f"Created the database (version {result.after}).")
    elif result.queue:
        say(f"Upgraded the job queue; the database has version {result.after}.")
    elif result.before == result.after:
        say(f"The database has version {result.after} already; nothing was changed.")
    else:
        if result.backup is not None:
            say(f"Copied the database as it was to {result.backup}.")
        say(f"Upgraded the database from version {result.before} to {result.after}.")


@app.command()
def check(
    context: typer.Context,
    *,
    recount: Annotated[
        bool, typer.Option("--recount", help="Count the people anew where the counts of their states are wrong.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Check the database file, editions and counts of people.

    Exit code 1 if the file is damaged, an edition does not account for each of its people, or a count is wrong.
    """
    from newsletter.flows.recount_people import recount_people
    from newsletter.store import check as checks
    from newsletter.store import subscriber_count

    invocation = state(context)
    with invocation.app.unit.read() as tx:
        file = checks.file_faults(tx)
        references = checks.reference_faults(tx)
        books = checks.all_books(tx)
        counts = subscriber_count.faults(tx)
    recounted = recount and bool(counts)
    if recounted:
        recount_people(invocation.app.unit, who=invocation.who, now=invocation.app.clock.now())
    wrong = [line for line in books if line.faults]
    sound = not (file or references or wrong or (counts and not recounted))
    if as_json:
        gaps = [
            {"edition": line.edition, "audience": line.audience, "accounted": line.accounted, "gap": line.gap}
            | {"faults": line.faults}
            for line in wrong
        ]
        print_json(
            {"ok": sound, "file": file, "references": references, "editions": len(books), "gaps": gaps}
            | {"counts": counts, "recounted": recounted}
        )
    else:
        for fault in file:
            say(f"file: {fault}")
        for fault in references:
            say(f"reference: {fault}")
        for line in wrong:
            say(f"edition {line.edition}: {'; '.join(line.faults)}")
        for fault in counts:
            say(f"counts: {fault}")
        if recounted:
            say("Counted the people anew.")
        elif counts:
            say("Status and forecast show wrong numbers of people: `newsletter db check --recount` corrects them.")
        say(_verdict(len(books), len(wrong), whole=not (file or references)))
    if not sound:
        raise typer.Exit(1)


@app.command()
def adopt(context: typer.Context, *, yes: Yes = False, as_json: Json = False) -> None:
    """Make a restored or moved copy the database in use.

    People who left stay away; mail that went out is not repeated.
    """
    from newsletter.flows.adopt import adopt_database as adopting
    from newsletter.flows.adopt import ledger_gap

    invocation = state(context)
    application = invocation.app
    gap = ledger_gap(application.unit, application.home)
    if gap is not None and not gap.beside:
        if not as_json:
            say(gap.matter(application.cadence.zone))
        confirm("Is this the database that counts from now on?", yes=yes)
    now = application.clock.now()
    result = adopting(application.unit, application.home, application.keyring, who=invocation.who, now=now)
    if as_json:
        print_json({"adopted": result is not None} | ({} if result is None else caught_up_json(result)))
    elif result is None:
        say("Nothing holds this database; nothing was changed.")
    else:
        say_caught_up(result)
        say("Adopted: from now on this database sends.")
        if gap is not None and gap.original is not None:
            say(f"The installation at {gap.original.path} is held from now on.")
        say(_other_copies(application))


app.command("backup")(copies.backup)
app.command("restore")(copies.restore)
app.command("copy")(copies.copy)


def _other_copies(application: Application) -> str:
    from newsletter.store.database import sqlite_path

    folder = application.anchor.folder
    if sqlite_path(application.engine) is None:
        return "Other copies are held where they find the same ledger; stop and disable any that does not."
    if application.anchor.fault():
        return f"No other copy of it is held: {folder} cannot be written. Stop and disable each of them yourself."
    return f"Other copies are held where they find {folder}, on this machine; stop and disable any elsewhere yourself."


def _verdict(editions: int, wrong: int, *, whole: bool) -> str:
    if not whole:
        return "The database is damaged: stop the service, keep a copy of it as it is, and restore a backup."
    if wrong:
        return f"{plural(wrong, 'edition does', 'editions do')} not add up; keep a copy of the database as it is."
    if not editions:
        return "The database is sound; there is no edition yet."
    return f"The database is sound, and the books of {plural(editions, 'edition')} balance."

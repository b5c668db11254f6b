"""The command `newsletter`: global options, the groups of commands, and what an error looks like.

Heavy modules are imported inside the commands, so that `--help` answers at once.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from newsletter import __version__
from newsletter.cli import (
    db,
    delivery,
    demo,
    doctor,
    edition,
    init,
    log,
    proof,
    queue,
    sending,
    service,
    slot,
    status,
    subscriber,
    tip,
)
from newsletter.cli.context import State
from newsletter.errors import NewsletterError

app = typer.Typer(
    name="newsletter",
    help="One tip a week, to every subscriber, every Tuesday, and a report that adds up.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)
app.command("init")(init.init)
app.command("doctor")(doctor.doctor)
app.command("status")(status.status)
app.command("demo")(demo.demo)
app.add_typer(tip.app, name="tip")
app.command("queue")(queue.queue)
app.add_typer(slot.app, name="slot")
app.add_typer(subscriber.app, name="subscriber")
app.add_typer(edition.app, name="edition")
edition.app.command("send")(sending.send)
edition.app.command("watch")(sending.watch)
edition.app.command("proof")(proof.proof)
app.add_typer(delivery.app, name="delivery")
app.add_typer(db.app, name="db")
app.command("log")(log.log)
app.command("run")(service.run)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"newsletter {__version__}")
        raise typer.Exit


@app.callback()
def _global(
    context: typer.Context,
    home: Annotated[
        Path | None,
        typer.Option(
            "-C", "--home", metavar="DIR", help="The folder of the .env; also NEWSLETTER_HOME. Default: here."
        ),
    ] = None,
    version: Annotated[  # noqa: ARG001 - its callback has answered already
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    folder = home or Path(os.environ.get("NEWSLETTER_HOME") or ".")
    context.obj = State(home=folder.absolute(), environ=os.environ)


def main() -> None:
    """Run the command line; the exit code says whether it worked (0), needs a person (1) or was asked wrongly (2)."""
    try:
        app()
    except NewsletterError as error:
        typer.echo(f"newsletter: {error}", err=True)
        for line in error.details:
            typer.echo(f"  {line}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader of a pipe went away (`| head`); the rest of the output has no use.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 it stays open until the interpreter ends
        sys.exit(0)

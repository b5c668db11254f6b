"""`newsletter bounce`: what came back after the mail server had taken it, and complaints; by mail and by webhook."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from newsletter.cli.confirmation import Yes, confirm
from newsletter.cli.context import state
from newsletter.cli.edition_names import find_edition
from newsletter.cli.output import Json, one_line, print_json, say, say_beside, sentence, table, warn
from newsletter.errors import InputError, NewsletterError
from newsletter.wording import people_words, plural

if TYPE_CHECKING:
    from newsletter.cli.context import State
    from newsletter.core.edition import Edition
    from newsletter.core.evidence import Handled

app = typer.Typer(help="Bounces and complaints: what came back by mail.", no_args_is_help=True, rich_markup_mode=None)

TRY_AGAIN_EXIT = 75
"""EX_TEMPFAIL of sysexits.h: the mail server keeps the mail and runs the command again later."""

_MESSAGE_BYTES = 1_000_001
"""One byte more than is looked at, to know that there is more."""

Name = Annotated[str, typer.Argument(metavar="DATE", help="The date of the edition; `last` began last.")]


def pipes(words: Sequence[str]) -> bool:
    """Tell whether a command line is one that a mail server runs with a mail in its hands.

    Postfix gives a mail up for any code but 0, 71 and 75 (`pipe(8)`, `sysexits.h`): by a mistyped option of its
    `master.cf` every bounce would be lost.
    """
    return "bounce" in words and "read" in words[words.index("bounce") :]


@app.callback()
def _group() -> None:
    """Bounces and complaints: what came back by mail."""


@app.command()
def read(
    context: typer.Context,
    recipient: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS", help="Where the mail came to; unset, what the mail server says or the mail itself."
        ),
    ] = "",
    as_json: Json = False,
) -> None:
    """Read one bounce or complaint from standard input.

    For the pipe of a mail server.
    """
    invocation = state(context)
    # Whatever goes wrong here is no fault of the mail: the mail server must keep it and come again.
    try:
        handled = _handle(
            invocation,
            recipient or invocation.environ.get("ORIGINAL_RECIPIENT") or invocation.environ.get("RECIPIENT", ""),
        )
    except NewsletterError as error:
        # On one line: it ends up in the log of the mail server.
        why = " ".join((sentence(str(error)), *map(sentence, error.details)))
        warn(f"newsletter: {why} The mail server should try again later.")
        raise typer.Exit(TRY_AGAIN_EXIT) from error
    except Exception as error:
        logging.getLogger(__name__).exception("the mail could not be read; the mail server should try again later")
        raise typer.Exit(TRY_AGAIN_EXIT) from error
    try:
        if as_json:
            print_json({name: getattr(handled, name) for name in ("kind", "action", "edition", "words")})
        else:
            say(_sentence(handled))
        sys.stdout.flush()
    except OSError:
        # The mail is dealt with. That the reader of the output is gone must not make the mail server send it back.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _handle(invocation: State, recipient: str) -> Handled:
    from newsletter.core.evidence import unheeded
    from newsletter.core.mail_report import read_report

    raw = sys.stdin.buffer.read(_MESSAGE_BYTES)
    # To the end, or the mail server takes the rest for a failure; beyond a megabyte nothing is looked at.
    while sys.stdin.buffer.read(_MESSAGE_BYTES):
        pass
    # Most of what comes to such an address are holiday notices: they need no database, nor the seconds to open it.
    idle = unheeded(read_report(raw, recipient=recipient))
    if idle is not None:
        return idle
    from newsletter.flows.read_bounce import read_bounce

    application = invocation.app
    return read_bounce(
        application.unit,
        application.keyring,
        raw,
        recipient=recipient,
        limits=application.breaker_limits,
        now=application.clock.now(),
    )


_OUTCOMES = {
    "noted": "noted",
    "stopped": "the subscription is ended",
    "held": "held for a person's decision: too many came back at once",
    "known": "nothing new",
    "ignored": "not heeded",
    "unknown": "ignored: it has no valid token of this newsletter",
}


def _sentence(handled: Handled) -> str:
    about = f" of {handled.edition}" if handled.edition else ""
    words = f" ({one_line(handled.words)})" if handled.words else ""
    return f"{handled.kind.value}{about}: {_OUTCOMES[handled.action.value]}{words}."


@app.command("list")
def list_bounces(context: typer.Context, date: Name = "last", as_json: Json = False) -> None:
    """List the bounces and complaints of an edition.

    The latest first.
    """
    from newsletter.core.cadence import describe_instant
    from newsletter.store import evidence

    invocation = state(context)
    with invocation.app.unit.read() as tx:
        edition = find_edition(tx, date)
        entries = list(evidence.rows(tx, edition.id))
    if as_json:
        print_json(
            [
                {
                    "email": entry.email,
                    "later": entry.later,
                    "at": entry.at and entry.at.isoformat(),
                    "text": entry.text,
                }
                for entry in entries
            ]
        )
        return
    if not entries:
        say(f"Nothing of the edition of {edition.name} came back, as far as is known.")
        return
    zone = invocation.app.cadence.zone
    table(
        ("address", "what", "when", "words"),
        [
            (
                entry.email or "(erased)",
                entry.later.value,
                describe_instant(entry.at, zone) if entry.at else "",
                entry.text,
            )
            for entry in entries
        ],
    )


@app.command()
def fetch(context: typer.Context, as_json: Json = False) -> None:
    """Read the mailbox for bounces once.

    Each mail is judged once and moved by the verdict; nothing is deleted. The service does the same every few minutes.
    """
    from newsletter.core.evidence import MailVerdict

    reader = state(context).app.mailbox_reader
    if reader is None:
        raise InputError("There is no mailbox for bounces: set NEWSLETTER_IMAP_HOST and the login of it.")
    summary = reader.fetch()
    if as_json:
        moved = {verdict.value: summary.moved[verdict] for verdict in MailVerdict}
        print_json({**moved, "actions": {action.value: count for action, count in summary.actions.items()}})
        return
    read_count, unknown_count = summary.moved[MailVerdict.READ], summary.moved[MailVerdict.UNKNOWN]
    if not read_count + unknown_count:
        say("The mailbox for bounces is empty.")
        return
    for action, count in sorted(summary.actions.items()):
        say(f"{plural(count, 'mail')}: {_OUTCOMES[action.value]}.")
    settings = state(context).app.settings
    say(f"{read_count:,} moved to {settings.imap_read_folder}, {unknown_count:,} to {settings.imap_unknown_folder}.")


@app.command()
def webhooks(
    context: typer.Context,
    provider: Annotated[
        str, typer.Argument(metavar="[PROVIDER]", help="Such as mailgun; unset, every provider, the ones in use first.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Show each mail provider's webhook, and how to set it up.

    With the number of events that came. Secrets are never shown.
    """
    from newsletter.cli.webhook_steps import GUIDES, webhook_steps, webhook_url
    from newsletter.core.cadence import describe_instant
    from newsletter.settings.model import setting_name
    from newsletter.settings.webhooks import WEBHOOK_SETTINGS, webhook_providers
    from newsletter.store import webhook as webhook_rows

    if provider and provider not in GUIDES:
        raise InputError(f"{provider!r} is no provider with a webhook; one of {', '.join(GUIDES)}.")
    invocation = state(context)
    application = invocation.app
    used = webhook_providers(application.settings)
    names = [provider] if provider else sorted(GUIDES, key=lambda name: name not in used)
    with application.unit.read() as tx:
        counts = webhook_rows.counts(tx)
    base_url = application.settings.base_url
    if as_json:
        print_json(
            [
                {
                    "provider": name,
                    "in_use": name in used,
                    "url": webhook_url(base_url, name),
                    "setting": setting_name(WEBHOOK_SETTINGS[name]),
                    "steps": webhook_steps(base_url, name),
                    "events": {count.kind: count.events for count in counts if count.provider == name},
                }
                for name in names
            ]
        )
        return
    zone = application.cadence.zone
    for name in names:
        events = [count for count in counts if count.provider == name]
        if name not in used and not provider:
            say(f"{GUIDES[name].title}: not in use; `newsletter bounce webhooks {name}` shows the steps.")
            continue
        say(f"{GUIDES[name].title}: {'in use' if name in used else 'not in use'}, {webhook_url(base_url, name)}")
        for number, step in enumerate(webhook_steps(base_url, name), start=1):
            say_beside(f"  {number}. ", step, cells=5)
        for count in events:
            say(f"  {count.kind}: {count.events:,} so far, the last {describe_instant(count.last_at, zone)}")
        if name in used and not events:
            say("  No event has come yet.")


@app.command()
def release(context: typer.Context, date: Name, yes: Yes = False) -> None:
    """End the subscriptions whose bounces were held."""
    _settle(context, date, stop=True, yes=yes)


@app.command()
def dismiss(context: typer.Context, date: Name, yes: Yes = False) -> None:
    """Discard held bounces and keep the subscriptions.

    For bounces that were a mistake of a mail server.
    """
    _settle(context, date, stop=False, yes=yes)


def _settle(context: typer.Context, date: str, *, stop: bool, yes: bool) -> None:
    from newsletter.core.delivery import Later
    from newsletter.flows.read_bounce import settle_held
    from newsletter.store import delivery as deliveries

    invocation = state(context)
    edition: Edition
    with invocation.app.unit.read() as tx:
        edition = find_edition(tx, date)
        waiting = deliveries.later_counts(tx, edition.id).get(Later.HELD, 0)
    if not waiting:
        say(f"No bounce of the edition of {edition.name} is held; nothing was changed.")
        return
    people = people_words(waiting)
    confirm(f"{'Take' if stop else 'Keep'} {people} {'off' if stop else 'on'} the list?", yes=yes)
    count = settle_held(invocation.app.unit, edition, stop=stop, who=invocation.who, now=invocation.app.clock.now())
    outcome = "taken off the list" if stop else "kept on the list"
    say(f"{plural(count, 'person is', 'people are')} {outcome}.")

"""Looking at subscribers: `newsletter subscriber list` and `show`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from newsletter.cli.context import state
from newsletter.cli.layout import cells_of, padded
from newsletter.cli.output import Json, print_json, say, say_beside, table
from newsletter.cli.subscriber_file import ExportedState
from newsletter.cli.subscriber_lookup import known
from newsletter.wording import inflected, plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from newsletter.core.address import Address
    from newsletter.core.subscriber import Subscriber
    from newsletter.store.subscriber import Consent
    from newsletter.store.subscriber_list import Received

_EDITIONS_SHOWN_MAX = 12


def list_subscribers(
    context: typer.Context,
    *,
    states: Annotated[
        list[ExportedState] | None,
        typer.Option("--state", help="Only people in this state; may be given several times."),
    ] = None,
    tag: Annotated[str, typer.Option(help="Only people with this tag.")] = "",
    search: Annotated[
        str, typer.Option(metavar="TEXT", help="The beginning or another part of an address or a name.")
    ] = "",
    limit: Annotated[int, typer.Option(min=0, help="At most so many; 0 for all.")] = 50,
    as_json: Json = False,
) -> None:
    """List subscribers in the order of their addresses."""
    from newsletter.core.subscriber import SubscriberState
    from newsletter.flows.export_subscribers import as_json as values
    from newsletter.store import subscriber_list as lists

    filters = lists.Wanted(
        states=tuple(SubscriberState(item.value) for item in states or ()), tag=tag, search=search.strip()
    )
    with state(context).app.unit.read() as tx:
        people = lists.find(tx, filters, limit=limit + 1 if limit else None)
        total = lists.count(tx, filters)
    more = bool(limit) and len(people) > limit
    people = people[:limit] if more else people
    if as_json:
        print_json([values(person) for person in people])
        return
    if not people:
        say(
            "No subscriber matches."
            if filters != lists.Wanted()
            else "The list is empty; see `newsletter subscriber import --help`."
        )
        return
    rows = [
        (person.email, _name(person), person.state.value, f"{person.state_since:%Y-%m-%d}", ", ".join(person.tags))
        for person in people
    ]
    table(("address", "name", "state", "since", "tags"), rows)
    say()
    if not more:
        say(plural(len(people), "subscriber"))
    elif total is None:
        say(f"The first {len(people):,}; --limit 0 lists all")
    else:
        say(f"{len(people):,} of {plural(total, 'subscriber')}; --limit 0 lists all")


def show_subscriber(
    context: typer.Context,
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="The address.")],
    as_json: Json = False,
) -> None:
    """Show one person: state, consent and last editions.

    With the reason of the state and the outcome of each edition.
    """
    from newsletter.core.address import parse_address
    from newsletter.flows.export_subscribers import as_json as values
    from newsletter.store import subscriber as subscribers
    from newsletter.store import subscriber_list as lists

    invocation = state(context)
    person = known(invocation.app.unit, email)
    with invocation.app.unit.read() as tx:
        consents = subscribers.consents(tx, person.id)
        received = lists.last_editions(tx, person.id, limit=_EDITIONS_SHOWN_MAX)
    address = parse_address(person.email)
    if as_json:
        print_json(
            {
                **values(person),
                "smtp": address.smtp,
                "needs_smtputf8": address.needs_smtputf8,
                "consent": [_consent_json(consent) for consent in consents],
                "editions": [_received_json(item) for item in received],
            }
        )
        return
    zone = invocation.app.cadence.zone
    _print_person(person, address, zone)
    _print_consents(consents, zone)
    _print_editions(received, zone)


def _name(person: Subscriber) -> str:
    return person.name or f"{person.first_name} {person.last_name}".strip()


def _print_person(person: Subscriber, address: Address, zone: str) -> None:
    from newsletter.core.cadence import describe_instant

    lines = [
        ("address", person.email),
        ("compared as", person.canonical if person.canonical != person.email else ""),
        ("mailed as", address.smtp if address.smtp != person.email else ""),
        ("", "needs a mail server that offers SMTPUTF8" if address.needs_smtputf8 else ""),
        ("subscriber", str(person.id)),
        ("name", person.name),
        ("first name", person.first_name),
        ("last name", person.last_name),
        ("time zone", person.time_zone),
        ("tags", ", ".join(person.tags)),
        ("state", f"{person.state.value} since {describe_instant(person.state_since, zone)}"),
        ("why", person.state_why),
        ("on the list", f"since {describe_instant(person.created_at, zone)}"),
        *((name, value) for name, value in person.fields.items()),
    ]
    width = max(cells_of(_plain(name)) for name, value in lines if value) + 2
    for name, value in lines:
        if value:
            say_beside(padded(_plain(name), width), _plain(value), cells=width)


def _print_consents(consents: Sequence[Consent], zone: str) -> None:
    from newsletter.core.cadence import describe_instant

    rows = [
        (
            describe_instant(consent.at, zone),
            consent.action,
            consent.channel,
            "; ".join(filter(None, (consent.source, *(f"{key} {value}" for key, value in consent.evidence.items())))),
        )
        for consent in consents
    ]
    say()
    table(("when", "what", "by which way", "evidence"), rows, title="Consent")


def _print_editions(received: Sequence[Received], zone: str) -> None:
    from newsletter.core.cadence import describe_instant

    say()
    if not received:
        say("No edition has gone to this address yet.")
        return
    rows = [
        (
            item.edition,
            item.title,
            item.delivery.state.value,
            describe_instant(item.delivery.last_attempt_at, zone) if item.delivery.last_attempt_at else "",
            item.delivery.reason,
            "; ".join(filter(None, (_server_words(item), _later_words(item)))),
        )
        for item in received
    ]
    headings = ("edition", "tip", "outcome", "last try", "why", "the server's words")
    table(headings, rows, title=inflected(len(rows), "The last edition", f"The last {len(rows):,} editions"))


def _server_words(received: Received) -> str:
    code = str(received.delivery.reply_code or "")
    return " ".join(filter(None, (code, received.delivery.reply_enhanced, received.delivery.reply_text)))


_LATER = {
    "delayed": "delayed on the way",
    "held": "came back, held for your decision",
    "bounced": "came back",
    "complained": "called unwanted",
}


def _later_words(received: Received) -> str:
    words = _LATER.get(received.later, received.later)
    return f"{words}: {received.later_text}" if words and received.later_text else words


def _plain(text: str) -> str:
    # A name must not be able to steer the terminal.
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _consent_json(consent: Consent) -> dict[str, Any]:
    return {
        "at": consent.at.isoformat(),
        "action": consent.action,
        "channel": consent.channel,
        "source": consent.source,
        "edition_id": consent.edition_id,
        "evidence": dict(consent.evidence),
    }


def _received_json(received: Received) -> dict[str, Any]:
    delivery = received.delivery
    return {
        "edition": received.edition,
        "title": received.title,
        "outcome": delivery.state.value,
        "why": delivery.reason,
        "attempts": delivery.attempts,
        "last_attempt_at": delivery.last_attempt_at.isoformat() if delivery.last_attempt_at else None,
        "next_attempt_at": delivery.next_attempt_at.isoformat() if delivery.next_attempt_at else None,
        "reply_code": delivery.reply_code,
        "reply_enhanced": delivery.reply_enhanced,
        "reply_text": delivery.reply_text,
        "later": received.later,
        "later_at": received.later_at.isoformat() if received.later_at else None,
        "later_text": received.later_text,
    }

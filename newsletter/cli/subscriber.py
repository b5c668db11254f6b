"""The commands `newsletter subscriber …`: who is on the list, and what becomes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from newsletter.cli import subscriber_file, subscriber_show
from newsletter.cli.confirmation import Yes, confirm
from newsletter.cli.context import state
from newsletter.cli.output import Json, print_json, say, warn
from newsletter.cli.subscriber_lookup import known, pairs
from newsletter.errors import InputError
from newsletter.wording import plural

if TYPE_CHECKING:
    from newsletter.flows.change_subscriber import SubscriberChange

app = typer.Typer(
    help="Subscribers: import, export, find, change, erase.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.command("import")(subscriber_file.import_file)
app.command("export")(subscriber_file.export_file)
app.command("list")(subscriber_show.list_subscribers)
app.command("show")(subscriber_show.show_subscriber)

Email = Annotated[str, typer.Argument(metavar="EMAIL", help="The address.")]
Name = Annotated[str | None, typer.Option(help="The whole name.")]
FirstName = Annotated[str | None, typer.Option(help="What a mail greets with.")]
LastName = Annotated[str | None, typer.Option(help="The family name.")]
TimeZone = Annotated[str | None, typer.Option(metavar="ZONE", help="Such as Europe/Paris.")]
Field = Annotated[
    list[str] | None, typer.Option(metavar="NAME=VALUE", help="Something else to know; may be given several times.")
]


@app.command("add")
def add(
    context: typer.Context,
    email: Email,
    *,
    name: Name = None,
    first_name: FirstName = None,
    last_name: LastName = None,
    time_zone: TimeZone = None,
    tag: Annotated[list[str] | None, typer.Option(help="A word to find them by; may be given several times.")] = None,
    field: Field = None,
    source: Annotated[str, typer.Option(metavar="TEXT", help="Where they said yes; kept as evidence.")] = "",
    because: Annotated[
        str,
        typer.Option(metavar="TEXT", help="How a person who was erased asked to be added again; kept as evidence."),
    ] = "",
    as_json: Json = False,
) -> None:
    """Add one person to the list.

    The next edition goes to them too.
    """
    from newsletter.core.address import domain_hint, parse_address
    from newsletter.flows.add_subscriber import add_subscriber, newcomer
    from newsletter.flows.change_subscriber import Changes, changed
    from newsletter.flows.export_subscribers import as_json as values

    address = parse_address(email)
    invocation = state(context)
    now = invocation.app.clock.now()
    changes = Changes(
        name=name,
        first_name=first_name,
        last_name=last_name,
        time_zone=time_zone,
        add_tags=tuple(tag or ()),
        fields=pairs("--field", field or ()),
    )
    person = changed(newcomer(email=address.email, canonical=address.canonical, now=now), changes)
    result = add_subscriber(
        invocation.app.unit,
        invocation.app.keyring,
        person,
        who=invocation.who,
        source=source,
        because=because.strip(),
        now=now,
    )
    if result.new and (hint := domain_hint(address.canonical)):
        warn(f"{address.email}: did you mean {hint}? If so: newsletter subscriber edit {address.email} --email NEW")
    if as_json:
        print_json({"new": result.new, **values(result.person)})
    elif result.new:
        say(f"Added {result.person.email}.")
    else:
        since = f"{result.person.state.value} since {result.person.state_since:%Y-%m-%d}"
        say(f"{result.person.email} is on the list already ({since}); nothing was changed.")


@app.command("edit")
def edit(
    context: typer.Context,
    email: Email,
    *,
    new_email: Annotated[
        str | None, typer.Option("--email", metavar="NEW", help="Another address; they stay the same person.")
    ] = None,
    name: Name = None,
    first_name: FirstName = None,
    last_name: LastName = None,
    time_zone: TimeZone = None,
    tag: Annotated[list[str] | None, typer.Option(help="Add a tag; may be given several times.")] = None,
    untag: Annotated[list[str] | None, typer.Option(help="Remove a tag; may be given several times.")] = None,
    field: Field = None,
    as_json: Json = False,
) -> None:
    """Change the fields of a person.

    An empty value removes a field.
    """
    from newsletter.core.address import parse_address
    from newsletter.flows.change_subscriber import Changes, edit_subscriber

    changes = Changes(
        address=parse_address(new_email) if new_email is not None else None,
        name=name,
        first_name=first_name,
        last_name=last_name,
        time_zone=time_zone,
        add_tags=tuple(tag or ()),
        remove_tags=tuple(untag or ()),
        fields=pairs("--field", field or ()),
    )
    if changes == Changes():
        raise InputError(f"say what to change, such as: newsletter subscriber edit {email} --first-name NAME")
    invocation = state(context)
    person = known(invocation.app.unit, email)
    now = invocation.app.clock.now()
    result = edit_subscriber(
        invocation.app.unit, invocation.app.keyring, person.id, changes, who=invocation.who, now=now
    )
    _tell(result, f"Changed {result.after.email}.", as_json=as_json)


Because = Annotated[str, typer.Option(metavar="TEXT", help="Why; kept as evidence.")]


@app.command("pause")
def pause(context: typer.Context, email: Email, *, because: Because = "", as_json: Json = False) -> None:
    """Hold mail to a person back until `resume`.

    Their waiting mail of an open edition does not go out.
    """
    from newsletter.flows.change_subscriber import pause_subscriber

    invocation = state(context)
    person = known(invocation.app.unit, email)
    result = pause_subscriber(
        invocation.app.unit, person.id, who=invocation.who, why=because, now=invocation.app.clock.now()
    )
    _tell(result, f"Paused {result.after.email}.", as_json=as_json)


@app.command("resume")
def resume(context: typer.Context, email: Email, *, because: Because = "", as_json: Json = False) -> None:
    """End a pause; the next edition goes to them again."""
    from newsletter.flows.change_subscriber import resume_subscriber

    invocation = state(context)
    person = known(invocation.app.unit, email)
    result = resume_subscriber(
        invocation.app.unit, person.id, who=invocation.who, why=because, now=invocation.app.clock.now()
    )
    _tell(result, f"Resumed {result.after.email}.", as_json=as_json)


@app.command("unsubscribe")
def unsubscribe(context: typer.Context, email: Email, *, because: Because = "", as_json: Json = False) -> None:
    """Unsubscribe a person who asked without the link.

    Their waiting mail does not go out.
    """
    from newsletter.flows.change_subscriber import unsubscribe_subscriber

    invocation = state(context)
    person = known(invocation.app.unit, email)
    result = unsubscribe_subscriber(
        invocation.app.unit, person.id, who=invocation.who, why=because, now=invocation.app.clock.now()
    )
    _tell(result, f"Unsubscribed {result.after.email}.", as_json=as_json)


@app.command("reactivate")
def reactivate(context: typer.Context, email: Email, *, because: Because, as_json: Json = False) -> None:
    """Bring a person back who asks for it.

    For people who left, bounced or complained.
    """
    from newsletter.flows.change_subscriber import reactivate_subscriber

    invocation = state(context)
    person = known(invocation.app.unit, email)
    result = reactivate_subscriber(
        invocation.app.unit, person.id, who=invocation.who, because=because, now=invocation.app.clock.now()
    )
    _tell(result, f"{result.after.email} is active again.", as_json=as_json)


@app.command("erase")
def erase(
    context: typer.Context, email: Email, *, because: Because = "", yes: Yes = False, as_json: Json = False
) -> None:
    """Erase the data of a person for good.

    Only a keyed hash stays, which prevents a later import of the address.
    """
    from newsletter.flows.erase_subscriber import erase_subscriber

    invocation = state(context)
    person = known(invocation.app.unit, email)
    question = (
        f"Erase {person.email} for good? No import brings them back, and `subscriber add` only at their own wish."
    )
    confirm(question, yes=yes)
    result = erase_subscriber(
        invocation.app.unit,
        invocation.app.keyring,
        person.id,
        who=invocation.who,
        why=because,
        now=invocation.app.clock.now(),
    )
    if as_json:
        skipped, blanked = (result.skipped, result.blanked) if result else (0, 0)
        print_json({"erased": result is not None, "id": person.id, "skipped": skipped, "blanked": blanked})
    elif result is None:
        say(f"Subscriber {person.id} was erased already.")
    else:
        kept = plural(result.blanked, "delivery is", "deliveries are")
        say(f"Erased subscriber {result.id}; {kept} kept without the person.")
        _tell_skipped(result.skipped)


def _tell(change: SubscriberChange, words: str, *, as_json: bool) -> None:
    from newsletter.flows.export_subscribers import as_json as values

    if as_json:
        print_json({"changed": change.after != change.before, "skipped": change.skipped, **values(change.after)})
    elif change.after == change.before:
        since = f"{change.after.state.value} since {change.after.state_since:%Y-%m-%d}"
        say(f"{change.after.email} is so already ({since}); nothing was changed.")
    else:
        say(words)
        _tell_skipped(change.skipped)


def _tell_skipped(count: int) -> None:
    if count:
        say(f"{plural(count, 'waiting mail')} will not go out.")

"""The commands `newsletter subscriber …`: who is on the list, and what becomes of them."""

from __future__ import annotations

from typing import Annotated

import typer

from newsletter.cli import subscriber_file, subscriber_show
from newsletter.cli.context import state
from newsletter.cli.output import Json, print_json, say
from newsletter.cli.subscriber_lookup import pairs

app = typer.Typer(
    help="Who gets the mail: add, import, export, find, change, let go.",
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
    as_json: Json = False,
) -> None:
    """Put one person on the list; the next edition goes to them too."""
    from newsletter.core.address import parse_address
    from newsletter.flows.add_subscriber import add_subscriber, newcomer
    from newsletter.flows.change_subscriber import Changes, changed
    from newsletter.flows.export_subscribers import as_json as values

    address = parse_address(email)
    here = state(context)
    now = here.app.clock.now()
    wanted = Changes(
        name=name,
        first_name=first_name,
        last_name=last_name,
        time_zone=time_zone,
        add_tags=tuple(tag or ()),
        fields=pairs("--field", field or ()),
    )
    person = changed(newcomer(email=address.email, canonical=address.canonical, now=now), wanted)
    done = add_subscriber(here.app.unit, here.app.keyring, person, who=here.who, source=source, now=now)
    if as_json:
        print_json({"new": done.new, **values(done.person)})
    elif done.new:
        say(f"Added {done.person.email}.")
    else:
        since = f"{done.person.state.value} since {done.person.state_since:%Y-%m-%d}"
        say(f"{done.person.email} is on the list already ({since}); nothing was changed.")

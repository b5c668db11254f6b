"""`newsletter admin`: the way into the admin area from the terminal, for when mail is down."""

from __future__ import annotations

from typing import Annotated

import typer

from newsletter.cli.context import state
from newsletter.cli.output import say, warn
from newsletter.errors import InputError

app = typer.Typer(help="The admin area: sign in from the terminal.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _group() -> None:
    pass


@app.command("sign-in")
def sign_in(
    context: typer.Context,
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="An address of the admins or the editors.")],
) -> None:
    """Print a link that signs in to the admin area.

    It works once, for ten minutes, in any browser.
    """
    from newsletter.flows.ask_to_sign_in import make_terminal_token

    app_state = state(context)
    application = app_state.app
    if not application.web_options.admin:
        raise InputError("The admin area is off: set NEWSLETTER_WEB_PAGES=all (or admin), and start the service again.")
    token = make_terminal_token(
        application.unit,
        application.keyring,
        application.roster,
        email,
        who=app_state.who,
        now=application.clock.now(),
    )
    say(f"{application.publication.base_url}/admin/in/{token}")
    warn("Open this link within ten minutes. It works once; do not pass it on.")

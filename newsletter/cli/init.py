"""`newsletter init`: a folder becomes an installation: its `.env` with a fresh secret key, and its database.

On a terminal it asks; elsewhere it takes options and the environment, and leaves open what is missing. It never
overwrites anything: a second run finishes what the first one began, and refuses options with other values.
"""

from __future__ import annotations

import os
import secrets
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from newsletter.cli.context import State, state
from newsletter.cli.output import say
from newsletter.cli.paths import check_home
from newsletter.errors import InputError

if TYPE_CHECKING:
    from newsletter.settings.model import Settings

SECRET_KEY = "NEWSLETTER_SECRET_KEY"  # noqa: S105 the name of a setting, not its value


def init(
    context: typer.Context,
    *,
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="DIR", help="The folder of the newsletter. Default: -C, or the current folder."),
    ] = None,
    name: Annotated[str, typer.Option(help="The name of the newsletter.")] = "",
    from_email: Annotated[str, typer.Option("--from", metavar="EMAIL", help="The address every mail comes from.")] = "",
    postal_address: Annotated[str, typer.Option(help="The sender's postal address; \\n begins a new line.")] = "",
    base_url: Annotated[str, typer.Option(metavar="URL", help="The public https address of the web part.")] = "",
    time_zone: Annotated[
        str, typer.Option(metavar="ZONE", help="Such as Europe/Berlin. Default: this machine's.")
    ] = "",
    send_day: Annotated[str, typer.Option(metavar="DAY", help="The weekday of the tip.")] = "",
    send_time: Annotated[str, typer.Option(metavar="HH:MM", help="Its time of day, in that zone.")] = "",
    smtp_host: Annotated[str, typer.Option(metavar="HOST", help="The mail server that takes the mails.")] = "",
    smtp_port: Annotated[str, typer.Option(metavar="PORT", help="Its port.")] = "",
    smtp_security: Annotated[str, typer.Option(metavar="starttls|tls|none", help="How it is encrypted.")] = "",
    smtp_username: Annotated[str, typer.Option(metavar="LOGIN", help="Its login; the password is asked for.")] = "",
) -> None:
    """Make a new installation: its settings and its database.

    The .env gets a fresh secret key. Nothing is overwritten.
    """
    settings = {
        "NEWSLETTER_NAME": name,
        "NEWSLETTER_FROM": from_email,
        "NEWSLETTER_POSTAL_ADDRESS": postal_address,
        "NEWSLETTER_BASE_URL": base_url,
        "NEWSLETTER_TIME_ZONE": time_zone,
        "NEWSLETTER_SEND_DAY": send_day,
        "NEWSLETTER_SEND_TIME": send_time,
        "NEWSLETTER_SMTP_HOST": smtp_host,
        "NEWSLETTER_SMTP_SECURITY": smtp_security,
        "NEWSLETTER_SMTP_PORT": smtp_port,
        "NEWSLETTER_SMTP_USERNAME": smtp_username,
    }
    known = state(context)
    invocation = State(home=folder.absolute() if folder else known.home, environ=known.environ)
    check_home(invocation.home)
    # The new files hold addresses and keys: only their owner may read them.
    os.umask(0o077)
    _Setup(invocation, {key: value.strip() for key, value in settings.items() if value.strip()}).run()


@dataclass(slots=True)
class _Setup:
    """One run."""

    invocation: State
    options: Mapping[str, str]

    @property
    def env_file(self) -> Path:
        return self.invocation.home / ".env"

    def run(self) -> None:
        if os.path.lexists(self.env_file):
            self._refuse_other_values()
            say(f"{self.env_file} exists; it was not changed.")
        else:
            self._write_env()
        self._make_database()
        self._say_what_next()

    def _refuse_other_values(self) -> None:
        from newsletter.cli.env_file import differing

        if others := differing(self.env_file, self.options):
            raise InputError(
                f"{self.env_file} exists and has other values; edit that file. Nothing was changed.",
                details=tuple(f"{name}: {self.options[name]!r} was asked for" for name in others),
            )

    def _write_env(self) -> None:
        from newsletter.cli.env_file import env_text, write_env
        from newsletter.cli.init_questions import (
            at_terminal,
            first_answers,
            folded,
            interview,
            normal_answers,
            secrets_of,
        )

        environ, home = self.invocation.environ, self.invocation.home
        answers = first_answers(self.options, environ, home)
        if at_terminal():
            answers = interview(answers, answered={*self.options, *environ}, home=home)
        answers = normal_answers(answers)
        own_key = not {SECRET_KEY, f"{SECRET_KEY}_FILE"} & environ.keys()
        if own_key:
            answers[SECRET_KEY] = secrets.token_urlsafe(32)
        # A fresh installation has every page; an update of one that is there exposes nothing new.
        answers.setdefault("NEWSLETTER_WEB_PAGES", "all")
        text = env_text(answers)
        settings = self._settings({**answers, **environ})
        if own_key:
            from newsletter.flows.set_up import refuse_foreign
            from newsletter.store.database import connect

            refuse_foreign(connect(settings.database_url.get_secret_value()))
        write_env(self.env_file, text)
        key = "a fresh secret key" if own_key else "everything but the secret key, which your environment has"
        say(f"Wrote {self.env_file} with {key}; only you can read it.")
        if kept := secrets_of(environ):
            say(folded(f"Every command needs these of your environment: {', '.join(kept)}.", margin=""))

    def _settings(self, environ: Mapping[str, str]) -> Settings:
        """Return the settings that would be read, with stand-ins for what is still to be filled in.

        The database can be made before the postal address is known.
        """
        from newsletter.cli.init_questions import missing_settings
        from newsletter.settings.loader import load_settings

        home = self.invocation.home
        return load_settings({**environ, **missing_settings(environ, home)}, home)

    def _make_database(self) -> None:
        from newsletter.flows.set_up import set_up
        from newsletter.store.database import sqlite_path
        from newsletter.wiring import build

        application = build(self._settings(self.invocation.environ), clock=self.invocation.clock)
        result = set_up(application.engine, application.keyring, who=self.invocation.who, now=application.clock.now())
        where = sqlite_path(application.engine) or "PostgreSQL"
        if result.new:
            say(f"Created the database, {where} (version {result.revision}).")
        else:
            say(f"The database, {where}, exists; it was not changed.")

    def _say_what_next(self) -> None:
        from newsletter.cli.init_questions import folded, missing_settings

        missing = missing_settings(self.invocation.environ, self.invocation.home)
        program = (
            "newsletter"
            if self.invocation.home == Path.cwd()
            else f"newsletter -C {shlex.quote(str(self.invocation.home))}"
        )
        say()
        if missing:
            say(f"Still to be filled in, in {self.env_file}: {', '.join(missing)}")
        settings = self._settings(self.invocation.environ)
        when = f"{settings.send_day.capitalize()} at {settings.send_time:%H:%M}, {settings.time_zone}"
        say(folded(f"It goes out every {when}; NEWSLETTER_SEND_DAY and _SEND_TIME in the .env change that.", margin=""))
        say("What next:")
        say(f"  {program} doctor                looks at everything, and sends nothing")
        say(f"  {program} tip import FOLDER     and `subscriber import FILE.csv`: what to send, and to whom")
        say(f"  {program} run                   the service: one tip a week from then on")

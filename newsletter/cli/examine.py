"""The examinations of `newsletter doctor` that need no database: settings, folder, mail server, dates, templates.

In: the home folder, the settings, the application. Out: findings, none of which repeats a secret. Nothing is written
and no mail is sent.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from newsletter.cli.finding import Finding, fail, ok, warn
from newsletter.cli.sample import sample_tips
from newsletter.core.cadence import SlotState, brief_date, describe_instant, next_slots
from newsletter.core.tip_file import parse_tip_file
from newsletter.core.token import key_fingerprint
from newsletter.errors import InputError, NewsletterError
from newsletter.flows.preview import compile_tip
from newsletter.settings.values import is_loopback
from newsletter.settings.webhooks import webhook_providers
from newsletter.store import slot as slots
from newsletter.store.database import open_unit, sqlite_path
from newsletter.transport.base import ConnectFailure, Relay, Security
from newsletter.transport.imap import ImapMailbox
from newsletter.transport.session import open_session
from newsletter.transport.smtp import SmtpConnection
from newsletter.wiring import Application
from newsletter.wording import plural

SLOTS_SHOWN_MAX = 3
LOGIN_SECONDS = 15.0
"""Seconds the mail server has for each answer; a person is waiting."""

LITTLE_SPACE_BYTES = 1_000_000_000
NO_SPACE_BYTES = 100_000_000
"""Bytes; a full disk stops the sending in the middle."""

RESERVED = ("example.com", "example.net", "example.org", "example", "invalid", "test")
"""Names that are reserved for examples (RFC 2606)."""


def settings_file(home: Path, *, required: bool = False) -> Iterator[Finding]:
    """Look at who can read the `.env`, and whether there is one; a container may do without."""
    env_file = home / ".env"
    try:
        mode = env_file.stat().st_mode
    except OSError:
        if required:
            yield fail("settings file", f"there is no {env_file}", "newsletter init")
        else:
            yield ok("settings file", f"there is no {env_file}; all settings come from the environment")
        return
    if mode & 0o077:
        todo = f"chmod 600 {env_file}"
        yield warn("settings file", f"{env_file} can be read by others, and it holds the secret key", todo)


def settings(application: Application, home: Path) -> Iterator[Finding]:
    """Say what kind of settings were read; that they are right was found out by reading them."""
    configured = application.settings
    yield ok("settings", f"all right: “{configured.name}”, from {configured.from_email}")
    key = configured.secret_key.get_secret_value()
    old = f", and {plural(len(configured.secret_keys_old), 'older one')}" if configured.secret_keys_old else ""
    yield ok("secret key", f"{len(key)} characters, fingerprint {key_fingerprint(key)}{old}")
    domain = configured.from_email.rpartition("@")[2]
    if is_reserved(domain):
        todo = "set NEWSLETTER_FROM to an address of your own domain"
        yield warn("from address", f"{domain} is a name for examples; no server will take mail from it", todo)
    if not (configured.admin_emails or configured.alert_command):
        todo = "set NEWSLETTER_ADMIN_EMAILS or NEWSLETTER_ALERT_COMMAND"
        yield warn("alerts", "alerts reach only the log", todo)
    yield from settings_file(home)


def public_address(application: Application) -> Iterator[Finding]:
    """Look at the address that the unsubscribe links point to; it is not fetched."""
    url = application.settings.base_url
    host = urlsplit(url).hostname or ""
    if is_loopback(host):
        todo = "set NEWSLETTER_BASE_URL to an address that readers reach"
        yield warn("public address", f"{url} is this machine: no reader can unsubscribe there", todo)
    elif is_reserved(host):
        todo = "set NEWSLETTER_BASE_URL to an address of your own"
        yield warn("public address", f"{url} is an address for examples: no reader can unsubscribe there", todo)
    else:
        yield ok("public address", f"{url} (not fetched)")


def webhooks(application: Application) -> Iterator[Finding]:
    """Look at the secrets of the webhooks that are in use."""
    providers = webhook_providers(application.settings)
    if not providers:
        return
    try:
        names = ", ".join(f"/hooks/{provider}" for provider in application.webhooks)
    except InputError as error:
        yield fail("webhooks", str(error))
    else:
        yield ok("webhooks", f"{names}; `newsletter bounce webhooks` tells what came")


def bounce_mailbox(application: Application) -> Iterator[Finding]:
    """Log in at the mailbox for bounces, and count what lies in it."""
    account = application.imap_account
    if account is None:
        return
    try:
        with ImapMailbox(replace(account, timeout=LOGIN_SECONDS)) as mailbox:
            waiting = plural(mailbox.count, "mail waits", "mails wait")
            yield ok("bounce mailbox", f"{account.name}: logged in, {waiting}")
    except NewsletterError as error:
        yield fail("bounce mailbox", str(error), "check NEWSLETTER_IMAP_*")


def is_reserved(host: str) -> bool:
    """Tell whether a name is kept for examples (RFC 2606)."""
    return any(host == name or host.endswith(f".{name}") for name in RESERVED)


def folder(application: Application, home: Path) -> Iterator[Finding]:
    """Look at the folder of the database, or the home: whether we may write, and how much room there is."""
    path = sqlite_path(application.engine)
    place = home if path is None else path.parent
    if not place.is_dir():
        yield fail("folder", f"there is no folder {place}", "newsletter init")
        return
    if not os.access(place, os.W_OK | os.X_OK) or (path and path.exists() and not os.access(path, os.W_OK)):
        yield fail("folder", f"this user may not write in {place}", "give the folder and its files to this user")
        return
    free = shutil.disk_usage(place).free
    room = f"{place} can be written; {free / 1e9:,.1f} GB are free"
    if free < NO_SPACE_BYTES:
        yield fail("folder", room, "free some space: a full disk stops the sending")
    elif free < LITTLE_SPACE_BYTES:
        yield warn("folder", room, "free some space")
    else:
        yield ok("folder", room)


def mail_server(application: Application) -> Iterator[Finding]:
    """Connect, encrypt and log in at every mail server as for an edition, and hang up again."""
    first, *others = application.relays
    yield _examined(application, first, "mail server", "NEWSLETTER_SMTP_*", fail)
    for relay in others:
        # Mail goes out without it; but it would be missed on the day it is needed.
        yield _examined(application, relay, "second server", "NEWSLETTER_FALLBACK_SMTP_*", warn)


def _examined(
    application: Application, relay: Relay, about: str, names: str, bad: Callable[[str, str, str], Finding]
) -> Finding:
    relay = replace(relay, timeout=min(relay.timeout, LOGIN_SECONDS))
    opened = open_session(relay)
    if isinstance(opened, ConnectFailure):
        return bad(about, opened.plain, f"compare {names} with what your provider says")
    wire, features = opened
    SmtpConnection(wire, features, relay, application.clock.monotonic).close()
    how = {Security.TLS: "TLS", Security.STARTTLS: "STARTTLS", Security.NONE: "not encrypted"}[relay.security]
    login = f"logged in as {relay.username}" if relay.username else "no login"
    size = f"messages up to {features.size_limit / 1e6:,.0f} MB" if features.size_limit else ""
    utf8 = "addresses with any letters" if features.smtputf8 else "ASCII addresses only"
    pace = "PIPELINING" if features.pipelining else "no PIPELINING"
    text = ", ".join(part for part in (f"{relay.host}:{relay.port}", how, login, size, utf8, pace) if part)
    if relay.security is Security.NONE and not is_loopback(relay.host):
        return warn(about, text, f"set {names.replace('*', 'SECURITY')} to starttls or tls")
    return ok(about, f"{text}; no mail was sent")


def dates(application: Application) -> Iterator[Finding]:
    """Tell the next slots, in the zone of the publication and on the clock of this machine."""
    cadence, now = application.cadence, application.clock.now()
    yield ok("time", f"it is {describe_instant(now, cadence.zone)}")
    closed = _closed_dates(application)
    coming = [slot for slot in next_slots(cadence, now, SLOTS_SHOWN_MAX + len(closed)) if slot.date not in closed]
    for slot in coming[:SLOTS_SHOWN_MAX]:
        machine = slot.at_home.astimezone()
        local_time = f"{brief_date(machine.date())}, {machine:%H:%M} {machine.tzname()} on this machine"
        own = "; readers elsewhere get it at this time of their own zone" if cadence.locally else ""
        yield ok("date", f"{describe_instant(slot.at_home, cadence.zone)}; {local_time}{own}")


def _closed_dates(application: Application) -> set[date]:
    """Return the dates that were sent early or skipped; none, while the database cannot be read."""
    try:
        # Not `application.unit`, which takes over a changed key: looking changes nothing.
        with open_unit(application.engine).read() as tx:
            known = slots.since(tx, application.clock.now() - timedelta(days=2))
    except NewsletterError:
        return set()
    return {slot.date for slot in known if slot.state is not SlotState.OPEN}


def templates(application: Application) -> Iterator[Finding]:
    """Render a sample tip and pass it through every gate, with the operator's own templates."""
    own = application.settings.templates_dir
    prefix = f"with your templates in {own}" if own else "with the shipped templates"
    sample = sample_tips()
    if not sample:
        yield fail("templates", "the sample tips are missing", "install the program again")
        return
    draft = parse_tip_file(sample[0].text, file_name=sample[0].name)
    on = next_slots(application.cadence, application.clock.now(), 1)[0].date
    try:
        compile_tip(application.render_context, draft, on=on)
    except InputError as error:
        yield fail("templates", f"a sample tip cannot be rendered {prefix}: {error}", "correct the template it names")
    except NewsletterError as error:
        yield fail("templates", f"a sample tip cannot be rendered {prefix}: {error}")
    else:
        yield ok("templates", f"a sample tip renders {prefix} and passes every check")


def wrong_settings(error: InputError) -> Iterator[Finding]:
    """Tell every mistake of the settings on a line of its own."""
    for line in error.details or (str(error),):
        yield fail("settings", line)

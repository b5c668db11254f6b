"""The examinations of `newsletter doctor` that read the database: its version and key, the stock, the people, life.

In: an application. Out: findings. Nothing is written; a database that cannot be opened is one finding, and the rest is
left out.
"""

from __future__ import annotations

from collections.abc import Iterator

from newsletter.cli.finding import Finding, fail, ok, warn
from newsletter.cli.foreign_journals import journals
from newsletter.core.cadence import describe_instant, describe_span, is_zone
from newsletter.core.monitor import ServicePart
from newsletter.core.tip import TipStatus
from newsletter.errors import InputError, NewsletterError
from newsletter.flows.adopt import ledger_gap
from newsletter.flows.check_key import KeyStanding, key_standing, unknown_key
from newsletter.flows.plan import look_ahead
from newsletter.flows.preview import compile_tip
from newsletter.store import alert as alerts
from newsletter.store import installation as installations
from newsletter.store import jobs, subscriber_count
from newsletter.store import tip as tips
from newsletter.store.database import HEAD, open_unit, sqlite_path
from newsletter.store.installation import Installation
from newsletter.store.job_schema import missing
from newsletter.store.reader_zone import reader_zones
from newsletter.store.snapshot import part_states, sender_states
from newsletter.store.unit import Tx
from newsletter.wiring import Application
from newsletter.wording import people_words, plural

WITHOUT_ZONE_SHARE = 0.2
"""From a fifth on, sending by each reader's own clock is not what the operator thinks it is."""

FORECAST_WEEKS = 12
"""Weeks to look beyond the ones that the operator wants stock for; some of them may be skipped or sent already."""


def database(application: Application) -> Iterator[Finding]:
    """Look at the database and everything in it."""
    where = sqlite_path(application.engine) or f"PostgreSQL at {application.engine.url.host or 'this machine'}"
    try:
        # Not `application.unit`, which takes over a changed key: a look changes nothing.
        unit = open_unit(application.engine)
        with unit.read() as tx:
            installation = installations.find(tx)
        if installation is None:
            yield fail("database", f"{where} was never finished", "newsletter init")
            return
        gap = ledger_gap(unit, application.home)
        if gap is not None and gap.beside:
            # Heartbeats, alerts and dates came along with the copy: they are the original's.
            yield fail("database", gap.words(application.cadence.zone))
            return
        with unit.read() as tx:
            yield ok("database", f"{where} answers; version {HEAD}")
            if gap is not None:
                yield fail("database", gap.matter(application.cadence.zone), "newsletter db adopt")
            yield from _key(application, installation)
            yield from _clock(application, installation)
            yield from journals(application, installation)
            yield from _people(tx)
            yield from _zones(application, tx)
            yield from _stock(application, tx)
            yield from _life(application, tx)
            yield from _queue(tx)
            yield from _alerts(tx)
    except NewsletterError as error:
        yield fail("database", str(error))


def _key(application: Application, installation: Installation) -> Iterator[Finding]:
    standing = key_standing(installation.key_fingerprint, application.keyring)
    if standing is KeyStanding.UNKNOWN:
        yield fail("secret key", unknown_key(installation.key_fingerprint, application.keyring))
    elif standing is KeyStanding.CHANGED:
        yield ok("secret key", f"changed: the former one, {installation.key_fingerprint}, stays valid for old links")
    else:
        yield ok("secret key", "the database was made with it")


def _clock(application: Application, installation: Installation) -> Iterator[Finding]:
    now = application.clock.now()
    if now < installation.created_at:
        ahead = describe_span(installation.created_at - now)
        yield fail("time", f"this machine's clock is {ahead} behind the birth of the database", "set the clock")


def _people(tx: Tx) -> Iterator[Finding]:
    count = subscriber_count.active(tx)
    if count:
        yield ok("subscribers", f"{people_words(count)} would get an edition sent now")
    else:
        yield warn(
            "subscribers",
            "no subscriber is active: an edition sent now would reach no reader",
            "newsletter subscriber import FILE.csv",
        )


def _stock(application: Application, tx: Tx) -> Iterator[Finding]:
    now, low_stock_weeks = application.clock.now(), application.settings.low_stock_weeks
    plan = look_ahead(tx, application.plan_rules, weeks=low_stock_weeks + FORECAST_WEEKS, now=now)
    approved, drafts = (tips.count_by_status(tx, status) for status in (TipStatus.APPROVED, TipStatus.DRAFT))
    waiting = f", {plural(drafts, 'draft')}" if drafts else ""
    text = f"{plural(approved, 'approved tip')}{waiting}"
    if plan.stock.weeks == 0:
        yield warn("tips", f"{text}: none for the next date", "newsletter tip import FOLDER, or tip approve SLUG")
    elif plan.stock.fresh < low_stock_weeks:
        todo = "newsletter tip add FILE, or tip approve SLUG"
        yield warn("tips", f"{text}: {plan.stock.describe()}; wanted are {plural(low_stock_weeks, 'fresh tip')}", todo)
    else:
        yield ok("tips", f"{text}: {plan.stock.describe()}, or more")
    for stranded_tip in plan.stranded:
        yield warn(
            "tips",
            f"“{stranded_tip.tip.title}” will not go out: {stranded_tip.why}",
            f"newsletter tip unpin {stranded_tip.tip.slug}",
        )
    coming = next((choice for choice in plan.choices if choice.tip is not None), None)
    if coming is None or coming.tip is None:
        return
    try:
        compile_tip(application.render_context, coming.tip, on=coming.slot.date)
    except InputError as error:
        yield fail(
            "next tip", f"“{coming.tip.title}” cannot be sent: {error}", f"newsletter tip edit {coming.tip.slug}"
        )
    else:
        yield ok("next tip", f"“{coming.tip.title}” on {coming.slot.date} passes every check")


def _zones(application: Application, tx: Tx) -> Iterator[Finding]:
    """Tell how many readers can be sent to at their own hour, where that is asked for."""
    if not application.cadence.locally:
        return
    zones = reader_zones(tx)
    everybody = sum(zone.people for zone in zones)
    without = sum(zone.people for zone in zones if not is_zone(zone.zone))
    places = sum(is_zone(zone.zone) for zone in zones)
    if not everybody:
        return
    known = f"{plural(everybody - without, 'reader lives', 'readers live')} in {plural(places, 'time zone')}"
    if not without:
        yield ok("time zones", f"{known}, all of them known")
        return
    text = f"{known}; {without:,} of {everybody:,} have none and get it at the publication's hour"
    if without >= everybody * WITHOUT_ZONE_SHARE:
        todo = "import a file with a column time_zone: it fills in what is missing (newsletter subscriber import)"
        yield warn("time zones", text, todo)
    else:
        yield ok("time zones", text)


def _life(application: Application, tx: Tx) -> Iterator[Finding]:
    now, zone = application.clock.now(), application.cadence.zone
    parts = part_states(tx, now)
    for name, work in ((ServicePart.SCHEDULER, "decides what is due"), (ServicePart.SENDER, "sends what is due")):
        part = parts[name]
        if part.seen_at is None:
            yield warn(name, f"it has never run ({work})", "newsletter run")
            continue
        at = describe_instant(part.seen_at, zone)
        if part.alive:
            yield ok(name, f"alive: process {part.process}")
        elif part.stopped:
            yield warn(name, f"it was stopped; last alive {at} ({work})", "newsletter run")
        else:
            yield warn(name, f"{part.liveness}: last heartbeat {at} ({work})", "newsletter run")
    for sender in sender_states(tx, now):
        if not sender.alive:
            silence = describe_span(sender.silent_for)
            yield warn(
                "sender", f"{sender.name} stopped {silence} ago without signing off; other senders continue its work"
            )
        elif sender.name != parts[ServicePart.SENDER].process:
            yield ok("sender", f"alive, too: process {sender.name}")


def _queue(tx: Tx) -> Iterator[Finding]:
    waiting = jobs.waiting(tx)
    if tx.dialect.name != "postgresql":
        return
    if missing(tx):
        yield warn("job queue", "it is not of the installed version, and wakes no sender", "newsletter db upgrade")
    else:
        yield ok("job queue", f"{plural(waiting or 0, 'job')} waiting")


def _alerts(tx: Tx) -> Iterator[Finding]:
    for alert in alerts.open_alerts(tx):
        yield warn("alert", alert.message)

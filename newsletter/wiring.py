"""Wiring: settings in, a running application out. The only place that builds things; it hands the clock in.

Nothing is opened here: the database is looked at when `Application.unit` is first asked for. What renders, sends or
watches is imported in the method that builds it, so that `status` and `queue` start without it.
"""

from __future__ import annotations

import os
import random
import shutil
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sqlalchemy import Engine

from newsletter.clock import Clock, SystemClock
from newsletter.core.access import Roster
from newsletter.core.breaker import BreakerLimits
from newsletter.core.cadence import Cadence
from newsletter.core.delivery import UncertainPolicy
from newsletter.core.lineup import LineupRules
from newsletter.core.message import Publication, PublicationLinks
from newsletter.core.pace import Limits
from newsletter.core.token import Keyring, suppression_hash
from newsletter.core.wave import PassedZones, WaveRules
from newsletter.core.web_options import WebOptions
from newsletter.flows.check_key import check_key
from newsletter.flows.plan import PlanRules
from newsletter.flows.ramp import RampRules
from newsletter.settings.model import Settings
from newsletter.settings.relays import relay_limits, relay_prefixes
from newsletter.settings.webhooks import WEBHOOK_SETTINGS, webhook_providers
from newsletter.store import installation as installations
from newsletter.store.anchor import Anchor
from newsletter.store.database import connect, driver_words, open_unit, sender_lock, sqlite_path
from newsletter.store.ledger import Ledger, machine_id
from newsletter.store.unit import Unit
from newsletter.wording import WEEKDAYS

if TYPE_CHECKING:
    from jinja2 import Environment

    from newsletter.core.monitor import Space
    from newsletter.core.webhooks.base import ProviderWebhook
    from newsletter.flows.adopt import Hold, Home
    from newsletter.flows.freeze import RenderContext
    from newsletter.flows.overview import Overview
    from newsletter.flows.proof import NoticeContext
    from newsletter.flows.queue_tip import TipValidation
    from newsletter.operations.backlog_writer import BacklogWriter
    from newsletter.operations.mailbox_reader import MailboxReader
    from newsletter.operations.monitor import Monitor
    from newsletter.operations.notice_writer import NoticeWriter
    from newsletter.operations.own_request_processor import OwnRequestProcessor
    from newsletter.operations.publisher import Publisher
    from newsletter.operations.retention import RetentionJob
    from newsletter.operations.sign_in_processor import SignInProcessor
    from newsletter.operations.signup_processor import SignupProcessor
    from newsletter.operations.ticker import Ticker
    from newsletter.render.dkim import Signer
    from newsletter.sending.sender import Sender
    from newsletter.sending.sender_loop import SenderLoop
    from newsletter.transport.base import ConnectFailure, Connection, Relay
    from newsletter.transport.imap import ImapAccount
    from newsletter.transport.pool import Pool
    from newsletter.transport.session import Opening


@dataclass(frozen=True, kw_only=True)
class Application:
    """Everything a command or the service works with."""

    settings: Settings
    clock: Clock

    @cached_property
    def engine(self) -> Engine:
        """The database engine, not yet opened."""
        return connect(self.settings.database_url.get_secret_value())

    @cached_property
    def unit(self) -> Unit:
        """The door to the database; raises `Stop` when it is missing, older, newer, or made with another secret key."""
        unit = open_unit(self.engine, committed=self.ledger.append)
        check_key(unit, self.keyring, who=self.process, now=self.clock.now())
        return unit

    @cached_property
    def ledger(self) -> Ledger:
        """What outlives a restored copy of the database: a file beside it, and one in the state folder."""
        return Ledger(
            self.settings.journal_dir,
            hashed=lambda canonical: suppression_hash(self.keyring, canonical),
            anchor=self.anchor,
        )

    @cached_property
    def anchor(self) -> Anchor:
        """What this machine knows of the database, outside the folder of the data."""
        return Anchor(self.settings.state_dir, file=sqlite_path(self.engine))

    @property
    def home(self) -> Home:
        """Where the database lives: a file on this machine, or a server that many may use."""
        from newsletter.flows.adopt import Home

        bound = self.engine.dialect.name == "sqlite"
        return Home(ledger=self.ledger, machine=machine_id(), bound=bound)

    def hold(self) -> Hold | None:
        """Return what holds this database; None when all is well."""
        from newsletter.flows.adopt import hold

        return hold(self.unit, self.home, self.cadence.zone, now=self.clock.now())

    def held(self) -> str:
        """Return why nothing may be sent, in words; empty when all is well."""
        hold = self.hold()
        return hold.words if hold is not None else ""

    @cached_property
    def cadence(self) -> Cadence:
        """Which instants are slots."""
        settings = self.settings
        return Cadence(
            weekday=WEEKDAYS.index(settings.send_day),
            at=settings.send_time,
            zone=settings.time_zone,
            locally=settings.send_locally,
        )

    @property
    def waves(self) -> WaveRules | None:
        """How an edition goes out by each reader's own clock; None when all get it at one instant."""
        if not self.settings.send_locally:
            return None
        return WaveRules(cadence=self.cadence, grace=self.grace, passed=PassedZones(self.settings.passed_zones))

    @cached_property
    def publication(self) -> Publication:
        """The newsletter as every mail shows it."""
        settings = self.settings
        return Publication(
            name=settings.name,
            from_email=settings.from_email,
            reply_to=settings.reply_to or settings.from_email,
            postal_address=settings.postal_address,
            base_url=settings.base_url,
            language=settings.language,
            typography=settings.typography,
            accent_color=settings.accent_color,
            logo_url=settings.logo_url,
            links=PublicationLinks(
                own_settings=self.web_options.public,
                archive_url=settings.archive_url or (f"{settings.base_url}/" if self.web_options.archive else ""),
                tips_url=f"{settings.base_url}/tips" if self.web_options.archive else "",
                signup_url=settings.signup_url or (f"{settings.base_url}/subscribe" if self.web_options.public else ""),
                contact_url=settings.contact_url,
                resources_url=settings.resources_url,
                home_url=settings.home_url,
            ),
            bounce_domain=settings.bounce_domain,
            cfbl_address=settings.cfbl_address,
        )

    @cached_property
    def web_options(self) -> WebOptions:
        """What the web part may show, and whose forms it takes."""
        settings = self.settings
        sites = (settings.home_url, settings.signup_url, settings.archive_url, settings.contact_url)
        return WebOptions(
            public=settings.web_pages in {"public", "all"},
            # An archive elsewhere has the tips already.
            archive=settings.web_pages in {"public", "all"} and not settings.archive_url,
            admin=settings.web_pages in {"admin", "all"},
            roster=self.roster,
            trusted_proxies=tuple(ip_network(network) for network in settings.web_trusted_proxies),
            form_origins=tuple(dict.fromkeys(_origin(url) for url in sites if url)),
            privacy_url=settings.privacy_url,
            imprint=settings.imprint,
            keep_deliveries_days=settings.keep_deliveries_days,
        )

    def overview(self) -> Overview:
        """Return how things stand, as `status` and the home of the admin area show it."""
        from newsletter.flows.adopt import ledger_gap
        from newsletter.flows.overview import overview

        gap = ledger_gap(self.unit, self.home)
        held = gap.words(self.cadence.zone) if gap is not None else ""
        with self.unit.read() as tx:
            summary = overview(tx, self.plan_rules, now=self.clock.now(), held=held)
            identity = installations.get(tx).identity
        if gap is not None and gap.beside:
            return summary.of_copy()
        return replace(summary, needs=[*summary.needs, *self.left_over_journals(identity)])

    def left_over_journals(self, identity: str) -> list[str]:
        """Return a sentence for each journal that no start will read."""
        from newsletter.journal.reader import foreign_journals

        journals = foreign_journals(self.settings.journal_dir, identity)
        return [f"The journal {journal.path} is left over: {journal.why}." for journal in journals]

    @cached_property
    def roster(self) -> Roster:
        """Who may sign in to the admin area."""
        from newsletter.core.address import parse_address

        admins, editors = (
            tuple(parse_address(email).canonical for email in emails)
            for emails in (self.settings.admin_emails, self.settings.editor_emails)
        )
        return Roster(admins=admins, editors=editors)

    @cached_property
    def sign_in_processor(self) -> SignInProcessor:
        """What writes the mails that sign people in to the admin area."""
        from newsletter.operations.reader_mail import ReaderMailRenderer
        from newsletter.operations.sign_in_processor import SignInProcessor
        from newsletter.operations.sign_in_texts import SignInLetters
        from newsletter.render.texts import load_texts

        letters = SignInLetters(
            publication=self.publication,
            keyring=self.keyring,
            zone=self.cadence.zone,
            texts=load_texts(self.templates, self.publication.language),
        )
        renderer = ReaderMailRenderer(publication=self.publication, templates=self.templates)
        return SignInProcessor(unit=self.unit, letters=letters, renderer=renderer, roster=self.roster)

    @cached_property
    def reader_processors(self) -> tuple[SignupProcessor, OwnRequestProcessor, BacklogWriter]:
        """What decides about the requests of readers and writes the mails that follow."""
        from newsletter.operations.backlog_writer import BacklogWriter
        from newsletter.operations.own_request_processor import OwnRequestProcessor
        from newsletter.operations.reader_mail import ReaderMailRenderer
        from newsletter.operations.signup_processor import SignupProcessor
        from newsletter.operations.signup_texts import SignupLetters
        from newsletter.render.texts import load_texts

        letters = SignupLetters(
            publication=self.publication,
            keyring=self.keyring,
            cadence=self.cadence,
            texts=load_texts(self.templates, self.publication.language),
        )
        renderer = ReaderMailRenderer(publication=self.publication, templates=self.templates)
        return (
            SignupProcessor(unit=self.unit, letters=letters, renderer=renderer),
            OwnRequestProcessor(unit=self.unit, letters=letters, renderer=renderer),
            BacklogWriter(unit=self.unit, publication=self.publication, keyring=self.keyring),
        )

    @cached_property
    def keyring(self) -> Keyring:
        """The secret keys: links, bounce addresses and suppression hashes."""
        settings = self.settings
        return Keyring(
            current=settings.secret_key.get_secret_value(),
            old=tuple(key.get_secret_value() for key in settings.secret_keys_old),
        )

    @cached_property
    def templates(self) -> Environment:
        """The templates: an operator's own, file by file, before the shipped ones."""
        from newsletter.render.environment import make_environment

        return make_environment(self.settings.templates_dir)

    @property
    def rules(self) -> LineupRules:
        """What the operator decided about the lineup."""
        return LineupRules(
            evergreen_rest_weeks=self.settings.evergreen_rest_weeks,
            low_stock_weeks=self.settings.low_stock_weeks,
        )

    @property
    def grace(self) -> timedelta:
        """How late a slot may still be sent."""
        return timedelta(hours=self.settings.grace_hours)

    @property
    def expire_after(self) -> timedelta:
        """How long a deferred delivery is tried."""
        return timedelta(hours=self.settings.expire_hours)

    @property
    def limits(self) -> Limits:
        """How many messages an hour and a day may hold."""
        return Limits(per_hour=self.settings.rate_per_hour or None, per_day=self.settings.rate_per_day or None)

    @property
    def relay(self) -> Relay:
        """The mail server that is preferred, and how to talk to it."""
        return self.relays[0]

    @cached_property
    def relays(self) -> tuple[Relay, ...]:
        """The mail server, and the second one if there is one."""
        return tuple(_relay(self.settings, prefix, self.clock) for prefix in relay_prefixes(self.settings))

    @cached_property
    def pool(self) -> Pool:
        """The connections of this process to its relays, and what it knows of how they stand."""
        from newsletter.transport import smtp
        from newsletter.transport.pool import Pool

        clock = self.clock
        return Pool(
            self.relays,
            connections=[relay_limits(self.settings, prefix).connections for prefix in relay_prefixes(self.settings)],
            clock=clock,
            jitter=self.jitter,
            dial=lambda relay: smtp.connect(relay, monotonic=clock.monotonic, opening=self.opening),
            abort_dial=self.opening.abort,
        )

    @cached_property
    def opening(self) -> Opening:
        """The sessions that are being opened, so that a stop can abort them."""
        from newsletter.transport.session import Opening

        return Opening()

    @cached_property
    def signer(self) -> Signer | None:
        """What signs every mail; None: the mail server does. Raises `InputError` for a key that cannot be used."""
        from newsletter.render.dkim import Signer, SigningKey

        settings = self.settings
        if settings.dkim_key_file is None:
            return None
        # It needs an extra that most installations do without.
        from newsletter.render.dkim_key import read_ed25519, read_rsa

        domain = settings.dkim_domain or settings.from_email.rpartition("@")[2]
        seals = [SigningKey(domain=domain, selector=settings.dkim_selector, key=read_rsa(settings.dkim_key_file))]
        if settings.dkim_ed25519_key_file is not None:
            second = read_ed25519(settings.dkim_ed25519_key_file)
            seals.append(SigningKey(domain=domain, selector=settings.dkim_ed25519_selector, key=second))
        return Signer(seals, now=self.clock.now)

    @property
    def render_context(self) -> RenderContext:
        """What rendering needs besides a tip."""
        from newsletter.flows.freeze import RenderContext

        return RenderContext(
            publication=self.publication,
            templates=self.templates,
            rules=self.rules,
            waves=self.waves,
            providers=webhook_providers(self.settings),
        )

    @cached_property
    def webhooks(self) -> Mapping[str, ProviderWebhook]:
        """The webhooks of the providers whose secrets are set; raises `InputError` for a key that cannot be used."""
        return {provider: _webhook(self.settings, provider) for provider in webhook_providers(self.settings)}

    @property
    def mailbox_reader(self) -> MailboxReader | None:
        """What reads the mailbox for bounces; None when there is none."""
        from newsletter.core.evidence import MailVerdict
        from newsletter.operations.mailbox_reader import MailboxReader
        from newsletter.transport.imap import ImapMailbox

        account = self.imap_account
        if account is None:
            return None
        return MailboxReader(
            unit=self.unit,
            keyring=self.keyring,
            clock=self.clock,
            limits=self.breaker_limits,
            name=account.name,
            folders={
                MailVerdict.READ: self.settings.imap_read_folder,
                MailVerdict.UNKNOWN: self.settings.imap_unknown_folder,
            },
            open_mailbox=lambda: ImapMailbox(account),
        )

    @cached_property
    def imap_account(self) -> ImapAccount | None:
        """The mailbox for bounces; None when there is none."""
        from newsletter.transport.imap import ImapAccount
        from newsletter.transport.token_command import TokenCommand

        settings = self.settings
        if not settings.imap_host:
            return None
        command = settings.imap_token_command
        return ImapAccount(
            host=settings.imap_host,
            port=settings.imap_port,
            security=settings.imap_security,
            username=settings.imap_username,
            password=settings.imap_password.get_secret_value() if settings.imap_password else "",
            tokens=TokenCommand(command, monotonic=self.clock.monotonic) if command else None,
            ca_file=str(settings.imap_ca_file or ""),
            folder=settings.imap_folder,
        )

    @property
    def confirm_subscription(self) -> Callable[[str], object]:
        """What confirms a subscription of a webhook: fetch the address that it came with."""
        from newsletter.transport.https import fetch_https

        return fetch_https

    @property
    def ramp_rules(self) -> RampRules:
        """How a fresh list grows."""
        return RampRules(start=self.settings.ramp_start, hard_percent=self.settings.pause_hard_percent)

    @property
    def breaker_limits(self) -> BreakerLimits:
        """Where an edition is paused."""
        settings = self.settings
        return BreakerLimits(
            hard_percent=settings.pause_hard_percent,
            policy_percent=settings.pause_policy_percent,
            content_percent=settings.pause_content_percent,
            refusals=settings.pause_refusals,
            complaint_percent=settings.pause_complaint_percent,
            complaint_alert_percent=settings.alert_complaint_percent,
        )

    @property
    def plan_rules(self) -> PlanRules:
        """What the forecast of the coming dates rests on."""
        return PlanRules(
            cadence=self.cadence,
            lineup=self.rules,
            grace=self.grace,
            per_second=self.settings.rate_per_second or None,
            limits=self.limits,
            ramp=self.ramp_rules,
            passed_zones=PassedZones(self.settings.passed_zones),
        )

    def review(self, now: datetime) -> TipValidation:
        """Return what a tip is judged by before it may go out."""
        from newsletter.flows.queue_tip import TipValidation

        return TipValidation(render_context=self.render_context, cadence=self.cadence, now=now)

    @property
    def process(self) -> str:
        """This process, as heartbeats name it."""
        return f"{socket.gethostname()} {os.getpid()}"

    @property
    def ticker(self) -> Ticker:
        """What the scheduler calls."""
        from newsletter.operations.ticker import Ticker

        return Ticker(
            unit=self.unit,
            clock=self.clock,
            cadence=self.cadence,
            grace=self.grace,
            render_context=self.render_context,
            process=self.process,
            hold=self.hold,
            retention=self.retention,
            publisher=self.publisher,
            monitor=self.monitor(),
        )

    @property
    def publisher(self) -> Publisher:
        """What enters tips into the public archive."""
        from newsletter.operations.publisher import Publisher

        delay = timedelta(hours=self.settings.archive_delay_hours)
        return Publisher(unit=self.unit, publication=self.publication, delay=delay)

    @cached_property
    def notice_context(self) -> NoticeContext:
        """Who looks after this newsletter, and what their mails are made with."""
        from newsletter.flows.proof import NoticeContext

        admins = self.settings.admin_emails
        return NoticeContext(
            render_context=self.render_context,
            keyring=self.keyring,
            plan=self.plan_rules,
            admins=admins,
            editors=self.settings.proof_emails or admins,
        )

    @cached_property
    def notice_writer(self) -> NoticeWriter:
        """What writes the mails to the people who run this."""
        from newsletter.operations.alert_hooks import AlertCommand
        from newsletter.operations.notice_writer import NoticeWriter

        line = self.settings.alert_command
        return NoticeWriter(
            unit=self.unit, notice_context=self.notice_context, command=AlertCommand(line=line).run if line else None
        )

    def monitor(self) -> Monitor:
        """Return what notices trouble; each part of the service has its own."""
        from newsletter.operations.alert_hooks import HeartbeatPing
        from newsletter.operations.monitor import Monitor

        url = self.settings.ping_url
        ping = HeartbeatPing(url=url, monotonic=self.clock.monotonic).well if url else lambda: None
        return Monitor(notice_writer=self.notice_writer, space=self.space, well=ping, monotonic=self.clock.monotonic)

    def tell(self) -> None:
        """Write what people should hear of alerts and editions; for a command, which runs no scheduler."""
        self.notice_writer.tell(self.clock.now())

    def space(self) -> Space | None:
        """Return the room on the disk of a SQLite database; a server looks after its own."""
        from newsletter.core.monitor import Space

        path = sqlite_path(self.engine)
        if path is None:
            return None
        try:
            usage = shutil.disk_usage(path.parent)
        except OSError:
            return None
        return Space(free=usage.free, total=usage.total)

    @cached_property
    def retention(self) -> RetentionJob:
        """What forgets, day by day, what was kept long enough."""
        from newsletter.operations.retention import RetentionJob

        days = self.settings.keep_deliveries_days
        return RetentionJob(unit=self.unit, keep_deliveries=timedelta(days=days), process=self.process)

    def sender(self) -> Sender:
        """Return a sender; its caller holds `right_to_send` while it works."""
        from newsletter.sending.options import SendOptions, WorkerHost
        from newsletter.sending.sender import Sender

        settings = self.settings
        return Sender(
            unit=self.unit,
            clock=self.clock,
            pool=self.pool,
            connect=self.connect,
            publication=self.publication,
            keyring=self.keyring,
            rules=SendOptions(
                connections=max(relay_limits(settings, prefix).connections for prefix in relay_prefixes(settings)),
                rate_per_second=float(settings.rate_per_second) or None,
                limits=self.limits,
                expire_after=self.expire_after,
                uncertain_policy=UncertainPolicy(settings.uncertain),
                jitter=self.jitter,
                breaker=self.breaker_limits,
                ramp=self.ramp_rules,
                lease=timedelta(seconds=settings.lease_seconds),
                local_grace=self.grace if settings.send_locally else None,
            ),
            host=WorkerHost(
                process=self.process,
                machine=machine_id(),
                journals=settings.journal_dir,
                sole=sqlite_path(self.engine) is not None,
            ),
            held=self.held,
            sign=self.signer,
        )

    def sender_loop(self, stop: threading.Event, *, also: Callable[[], None] = lambda: None) -> SenderLoop:
        """Return the sender of the service, which on PostgreSQL is called by jobs."""
        from newsletter.sending.sender_loop import SenderLoop
        from newsletter.sending.wakeups import Wakeups

        loop = SenderLoop(sender=self.sender(), lock=self.right_to_send, stop=stop, also=also)
        if sqlite_path(self.engine) is None:
            # It needs an extra, and time to import.
            from newsletter.sending.job_worker import JobWorker

            sender = loop.sender
            wakeups = Wakeups(unit=self.unit, clock=self.clock, who=lambda: sender.who)
            sender.wished = wakeups.wished
            loop.wakeups = wakeups
            loop.listening = JobWorker(
                wakeups=wakeups, database=driver_words(self.engine), process=self.process
            ).listening
        return loop

    def connect(self) -> Connection | ConnectFailure:
        """Open a connection beside those of the pool, to the first relay that takes it."""
        from newsletter.transport import smtp
        from newsletter.transport.base import ConnectFailure

        for relay in self.relays:
            opened = smtp.connect(relay, monotonic=self.clock.monotonic, opening=self.opening)
            if not isinstance(opened, ConnectFailure):
                break
        return opened

    def sender_lock(self) -> AbstractContextManager[Callable[[], bool]]:
        """Return the right to be the only one, to be held; raises `NotNow` when any process sends."""
        return self._sender_lock(shared=False)

    def right_to_send(self) -> AbstractContextManager[Callable[[], bool]]:
        """Return the right to send, to be held: on SQLite one process has it, on PostgreSQL any number share it.

        Raises `NotNow` when it is not to be had.
        """
        return self._sender_lock(shared=True)

    @contextmanager
    def _sender_lock(self, *, shared: bool) -> Iterator[Callable[[], bool]]:
        with ExitStack() as stack:
            still = stack.enter_context(sender_lock(self.engine, shared=shared))
            if sqlite_path(self.engine) is not None:
                # A copy in another folder has a lock file of its own beside it.
                with self.unit.read() as tx:
                    identity = installations.get(tx).identity
                stack.enter_context(self.anchor.lock(identity))
            yield still

    @property
    def jitter(self) -> Callable[[], float]:
        """A source of numbers in [-1, 1] that spreads retries."""
        return lambda: random.uniform(-1, 1)  # noqa: S311 it spreads load, it guards nothing


def build(settings: Settings, *, clock: Clock | None = None) -> Application:
    """Wire an application."""
    return Application(settings=settings, clock=clock or SystemClock())


def _webhook(settings: Settings, provider: str) -> ProviderWebhook:
    """Build the webhook of one provider; those that check signatures of public keys need an extra."""
    from newsletter.core.webhooks.brevo import BrevoWebhook
    from newsletter.core.webhooks.mailgun import MailgunWebhook
    from newsletter.core.webhooks.mailjet import MailjetWebhook
    from newsletter.core.webhooks.postmark import PostmarkWebhook
    from newsletter.core.webhooks.resend import ResendWebhook
    from newsletter.core.webhooks.sparkpost import SparkPostWebhook

    if provider == "ses":
        from newsletter.core.webhooks.ses import SesWebhook
        from newsletter.transport.https import fetch_https

        return SesWebhook(topics=settings.webhook_ses_topics, fetch=fetch_https)
    if provider == "sendgrid":
        from newsletter.core.webhooks.sendgrid import SendGridWebhook

        return SendGridWebhook(public_keys=settings.webhook_sendgrid_keys)
    keys = [secret.get_secret_value() for secret in getattr(settings, WEBHOOK_SETTINGS[provider])]
    builders: dict[str, Callable[[], ProviderWebhook]] = {
        "mailgun": lambda: MailgunWebhook(keys=keys),
        "postmark": lambda: PostmarkWebhook(passwords=keys),
        "mailjet": lambda: MailjetWebhook(passwords=keys),
        "brevo": lambda: BrevoWebhook(tokens=keys),
        "sparkpost": lambda: SparkPostWebhook(passwords=keys),
        "resend": lambda: ResendWebhook(secrets=keys),
    }
    return builders[provider]()


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _relay(settings: Settings, prefix: str, clock: Clock) -> Relay:
    """Build the relay whose settings begin with `prefix`."""
    from newsletter.transport.base import DOT_TIMEOUT_SECONDS, Relay, Security
    from newsletter.transport.token_command import TokenCommand

    def value(key: str) -> Any:  # noqa: ANN401 - each setting has a type of its own.
        return getattr(settings, f"{prefix}smtp_{key}")

    limits = relay_limits(settings, prefix)
    token_command = "" if prefix else settings.smtp_token_command
    return Relay(
        host=value("host"),
        port=value("port"),
        security=Security(value("security")),
        username=value("username"),
        password=value("password").get_secret_value() if value("password") else "",
        tokens=TokenCommand(token_command, monotonic=clock.monotonic) if token_command else None,
        ca_file=str(value("ca_file") or ""),
        ehlo_name=settings.smtp_ehlo_name,
        timeout=float(settings.smtp_timeout_seconds),
        dot_timeout=max(DOT_TIMEOUT_SECONDS, float(settings.smtp_timeout_seconds)),
        max_messages=limits.messages,
        max_seconds=float(limits.seconds),
    )

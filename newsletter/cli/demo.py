"""`newsletter demo`: one edition from the first import to its report, on throwaway data, step by step.

Everything is the real thing (database, templates, SMTP, retries) but the people, the mail server and the date. On a
terminal a year of editions lies before it, and the pages of that installation are served until Ctrl-C. No mail leaves
this machine.
"""

from __future__ import annotations

import logging
import shlex
import shutil
import sys
import tempfile
import threading
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from newsletter.cli.demo_stage import DEMO_ADMIN
from newsletter.cli.output import say, table
from newsletter.errors import InputError, NewsletterError
from newsletter.wording import inflected, people_words, plural

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from newsletter.cli.demo_stage import FakeReplies
    from newsletter.core.cadence import Slot
    from newsletter.core.edition import Edition
    from newsletter.core.receipt import Receipt
    from newsletter.core.tip import Tip
    from newsletter.store.report import DeliveryRow
    from newsletter.testing.catcher import Catcher
    from newsletter.testing.clocks import TurnedClock
    from newsletter.wiring import Application

DEMO_ACTOR = "demo"
PAST_WEEKS = 52
FORECAST_WEEKS_SHOWN_MAX = 4


def demo(
    *,
    keep: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Put everything into this new folder instead of a temporary one."),
    ] = None,
    serve: Annotated[
        bool | None,
        typer.Option(
            "--serve/--no-serve",
            help="Send a year of editions before, and serve the pages until Ctrl-C; the default on a terminal.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Run one edition on throwaway data, from import to report.

    No mail leaves this machine.
    """
    from newsletter.cli.demo_stage import FakeReplies, stage_settings
    from newsletter.settings.loader import load_settings
    from newsletter.testing.catcher import Catcher
    from newsletter.testing.clocks import TurnedClock
    from newsletter.wiring import build

    home = _folder(keep)
    serves = sys.stdout.isatty() if serve is None else serve
    clock, moods = TurnedClock(), FakeReplies()
    with Catcher(folder=home / "mails", script=moods) as server:
        settings = stage_settings(server, web_port=_free_port() if serves else None)
        application = build(load_settings(settings, home), clock=clock)
        play = _Play(home=home, settings=settings, application=application, clock=clock, server=server, moods=moods)
        play.run(past_weeks=PAST_WEEKS if serves else 0)
        _keep_settings(home, settings)
        play.say_where_to_look()
        if serves:
            _serve(application, clock, home)


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _serve(application: Application, clock: TurnedClock, home: Path) -> None:
    """Run the service of this installation until Ctrl-C."""
    from newsletter.cli.sending import stopping
    from newsletter.cli.service import SERVICE_PARTS, TICK_SECONDS, run_parts
    from newsletter.cli.supervisor import Supervisor
    from newsletter.flows.ask_to_sign_in import make_terminal_token

    clock.turn_to(max(clock.now(), clock.machine_now()))
    token = make_terminal_token(
        application.unit, application.keyring, application.roster, DEMO_ADMIN, who=DEMO_ACTOR, now=clock.now()
    )
    # The log of the service would run through the addresses that are to be read here.
    logging.getLogger("newsletter").setLevel(logging.ERROR)
    stop = threading.Event()
    base_url = application.publication.base_url

    def announce() -> None:
        say()
        typer.secho("The pages", bold=True)
        say(f"   The archive and the sign-up form:  {base_url}/")
        say(f"   The admin area, signed in:         {base_url}/admin/in/{token}")
        say("     It works once, for ten minutes; a new one:")
        say(f"     {_command(home)} admin sign-in {DEMO_ADMIN}")
        say("   Mails that the pages send, such as confirmations, land in the folder of the mails above.")
        say("   Ctrl-C ends it.")

    with stopping(stop):
        supervisor = Supervisor({}, clock=clock, least_patience=3 * TICK_SECONDS)
        run_parts(application, SERVICE_PARTS, stop=stop, supervisor=supervisor, on_ready=announce)


def _folder(keep: Path | None) -> Path:
    if keep is None:
        return Path(tempfile.mkdtemp(prefix="newsletter-demo-"))
    try:
        if keep.is_dir() and any(keep.iterdir()):
            raise InputError(f"{keep} holds something already; name a new folder.")
        keep.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{keep} cannot be used ({error.strerror}); name another folder.") from error
    return keep.absolute()


def _keep_settings(home: Path, settings: Mapping[str, str]) -> None:
    """Leave a `.env`, so that the other commands can be tried on what the demo made."""
    from newsletter.cli.env_file import env_text, write_env

    write_env(home / ".env", env_text(settings))


def _command(home: Path) -> str:
    """Return how to call the program on this folder; after `make demo` it lies in no folder of the PATH yet."""
    command = "newsletter" if shutil.which("newsletter") else sys.argv[0]
    return f"{shlex.quote(command)} -C {shlex.quote(str(home))}"


def _kinds(tips: Sequence[Tip]) -> str:
    """Count the tips by what the lineup will do with them."""
    from newsletter.core.tip import TipStatus

    approved = [tip for tip in tips if tip.status is TipStatus.APPROVED]
    counts = {
        "in the queue": sum(not tip.evergreen and tip.pin is None for tip in approved),
        "pinned to a date": sum(tip.pin is not None for tip in approved),
        "evergreen": sum(tip.evergreen and tip.pin is None for tip in approved),
        "not approved yet": len(tips) - len(approved),
    }
    return ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)


@dataclass(kw_only=True)
class _Play:
    """One performance."""

    home: Path
    settings: Mapping[str, str]
    application: Application
    clock: TurnedClock
    server: Catcher
    moods: FakeReplies
    pages: list[Path] = field(default_factory=list)

    def run(self, *, past_weeks: int = 0) -> None:
        """Play all acts, after as many weekly editions as given."""
        from newsletter.core.cadence import slots_between

        say("One edition of a newsletter, from the import to its report, on throwaway data.")
        say("The mail server is a small one inside this command: no mail leaves this machine.")
        now = self.clock.now()
        # The last date that is past: the commands and pages that follow it go by the clock of the machine.
        *past, slot = slots_between(self.application.cadence, now - timedelta(weeks=past_weeks + 2), now)[
            -past_weeks - 1 :
        ]
        # Slots count from an installation's first day on, so that one is set up the day before.
        self.clock.turn_to((past[0] if past else slot).sends_at - timedelta(days=1))
        self._set_up(past)
        edition = self._freeze(slot.sends_at)
        self._send(edition)
        self._retry(edition)
        self._report(edition)

    def _when(self, moment: datetime) -> str:
        from newsletter.core.cadence import describe_instant

        return describe_instant(moment, self.application.cadence.zone)

    def _act(self, number: int, title: str) -> None:
        say()
        typer.secho(f"{number}. {title}", bold=True)
        say(f"   The clock of this demo says {self._when(self.clock.now())}.")

    def _set_up(self, past: Sequence[Slot]) -> None:
        from newsletter.cli.demo_archive import past_tips
        from newsletter.cli.sample import sample_subscribers, sample_tips
        from newsletter.flows.import_subscribers import ImportFile, import_subscribers
        from newsletter.flows.queue_tip import queue_tips
        from newsletter.flows.set_up import set_up
        from newsletter.store import subscriber_list

        application, now = self.application, self.clock.now()
        set_up(application.engine, application.keyring, who=DEMO_ACTOR, now=now)
        application.ticker.tick()
        people = sample_subscribers()
        with people.open("rb") as stream:
            file = ImportFile(stream=stream, name=people.name, source="sample data")
            result = import_subscribers(application.unit, application.keyring, file, who=DEMO_ACTOR, now=now)
        review = application.review(now)
        if past:
            queue_tips(application.unit, past_tips()[-len(past) :], review, who=DEMO_ACTOR)
        tips = queue_tips(application.unit, sample_tips(), review, who=DEMO_ACTOR)
        if past:
            self._send_past(past)
            self.clock.turn_to(past[-1].sends_at + timedelta(days=6))
        self._act(
            1, "A queue of tips, after a year of editions" if past else "A new installation, with people and tips"
        )
        with application.unit.read() as tx:
            self.moods.choose(subscriber_list.find(tx, subscriber_list.Wanted()))
        kinds = _kinds([tip.tip for tip in tips])
        say(f"   Imported {plural(result.rows, 'subscriber')} and {plural(len(tips), 'tip')}: {kinds}.")
        say("   What comes next:")
        self._show_queue()

    def _send_past(self, slots: Sequence[Slot]) -> None:
        """Send the editions of these past dates to a mail server that only counts."""
        from newsletter.cli.demo_archive import send_past_editions
        from newsletter.cli.edition_watch import bar
        from newsletter.settings.loader import load_settings
        from newsletter.testing.catcher import Catcher, Keep
        from newsletter.wiring import build

        with Catcher(keep=Keep.COUNTS) as counting, bar(len(slots), title="the year before") as show:
            settings = {**self.settings, "NEWSLETTER_SMTP_PORT": str(counting.port)}
            past = build(load_settings(settings, self.home), clock=self.clock)
            try:
                mails = send_past_editions(past, self.clock, slots, progress=show)
            finally:
                past.engine.dispose()
        say(f"A year lies behind it: {plural(len(slots), 'edition')}, {plural(mails, 'mail')}.")

    def _show_queue(self) -> None:
        from newsletter.flows.plan import outlook

        plan = outlook(
            self.application.unit, self.application.plan_rules, weeks=FORECAST_WEEKS_SHOWN_MAX, now=self.clock.now()
        )
        table(
            ["   date", "tip", "why"],
            [[f"   {choice.slot.date}", choice.tip.title if choice.tip else "", choice.why] for choice in plan.choices],
        )

    def _freeze(self, moment: datetime) -> Edition:
        self.clock.turn_to(moment)
        self._act(2, "The date has come: the edition is frozen")
        edition = self.application.ticker.tick()
        if edition is None:
            raise NewsletterError("The date has come and nothing was frozen; please report this.")
        say(f"   “{edition.title}” goes to {people_words(edition.audience)}: {edition.tip.why}.")
        say("   From here on neither its text nor the list of its people changes.")
        return edition

    def _send(self, edition: Edition) -> None:
        self._act(3, "It is sent")
        took = self._work(edition.audience)
        receipt = self._receipt(edition)
        tried = receipt.edition.audience - receipt.counts.queued
        say(f"   {people_words(tried)} in {took:.1f} s, over SMTP. Two of the mails were not taken:")
        say()
        self._show_troubles()
        for sentence in receipt.sentences(self._when):
            say(f"   {sentence}")
        self._expect(receipt, open_=1)

    def _retry(self, edition: Edition) -> None:
        due = self._receipt(edition).next_attempt_at
        if due is None:
            raise NewsletterError("No mail waits for another try; please report this.")
        # The hand of the clock goes past the minute, so that it shows the minute that the report promised.
        self.clock.turn_to(due + timedelta(seconds=1))
        self._act(4, "The one that was asked to wait is tried again")
        self._work(1)
        accepted = self.server.accepted[self.moods.later]
        outcome = inflected(accepted, "this time the server took it", "the server did not take it")
        say(f"   {self.moods.later}: {outcome}.")

    def _work(self, people: int) -> float:
        """Send what is due now; return how long it really took."""
        from newsletter.cli.edition_watch import bar
        from newsletter.core.delivery import DeliveryState
        from newsletter.sending.sender_loop import send_until_idle

        # A bar for one person, or a line for each tenth of a blink, would only be noise.
        quiet = people == 1 or not sys.stdout.isatty()
        began = self.clock.monotonic()
        with self.application.right_to_send(), bar(people, quiet=quiet) as show:
            result = send_until_idle(
                self.application.sender(),
                threading.Event(),
                progress=lambda counts: show(counts.total() - counts[DeliveryState.QUEUED]),
            )
        if result.trouble:
            raise NewsletterError(result.trouble)
        return self.clock.monotonic() - began

    def _show_troubles(self) -> None:
        from newsletter.core.delivery import DeliveryState
        from newsletter.store import report

        states = [state for state in DeliveryState if state is not DeliveryState.ACCEPTED]
        with self.application.unit.read() as tx:
            rows = list(report.rows(tx, states=states))
        for row in rows:
            say(f"   {row.email}: {row.state.value}")
            say(f"     the server said  {row.reply}")
            say(f"     which means      {row.reason}")
            say(f"     what follows     {self._what_follows(row)}")
        say()

    def _what_follows(self, row: DeliveryRow) -> str:
        from newsletter.core.subscriber import SubscriberState
        from newsletter.store import subscriber as subscribers

        if row.next_attempt_at is not None:
            return f"It is tried again on {self._when(row.next_attempt_at)}."
        with self.application.unit.read() as tx:
            person = subscribers.by_canonical(tx, row.email)
        bounced = person is not None and person.state is SubscriberState.BOUNCED
        return "The address counts as bounced: it gets no more mail." if bounced else "Nothing; a person decides."

    def _report(self, edition: Edition) -> None:
        from newsletter.cli.demo_stage import write_parts
        from newsletter.cli.edition import show_receipt
        from newsletter.store import edition as editions

        with self.application.unit.read() as tx:
            edition = editions.by_id(tx, edition.id)
        self._act(5, "The edition is closed, and its report adds up")
        say()
        receipt = self._receipt(edition)
        show_receipt(self.application, edition, receipt)
        self._expect(receipt, open_=0)
        say(f"The mail server's own count agrees: {plural(self._taken().total(), 'mail')}, none twice.")
        mails = [mail for mail in self.server.caught if mail.accepted and mail.rcpt_to != DEMO_ADMIN]
        self.pages = write_parts(mails)

    def _receipt(self, edition: Edition) -> Receipt:
        from newsletter.store import edition as editions
        from newsletter.store import report

        with self.application.unit.read() as tx:
            return report.receipt(tx, editions.by_id(tx, edition.id))

    def _expect(self, receipt: Receipt, *, open_: int) -> None:
        """Compare the report with what the mail server really took: a demo that only looks right is worth nothing."""
        got, counts = self._taken(), receipt.counts
        if (counts.open, counts.accepted, receipt.gap) != (open_, got.total(), 0) or set(got.values()) != {1}:
            raise NewsletterError(f"The report and the mail server disagree ({got.total()} mails); please report this.")

    def _taken(self) -> Counter[str]:
        """Count the mails that the server took, by reader; the admin's reports are no part of the edition."""
        return Counter({reader: count for reader, count in self.server.accepted.items() if reader != DEMO_ADMIN})

    def say_where_to_look(self) -> None:
        """Name the files, and what else can be tried on them."""
        there = _command(self.home)
        say()
        typer.secho("Where to look", bold=True)
        say(f"   In a browser, the first mail:   {self.pages[0]}")
        say(f"   All mails (.eml, .html, .txt):  {self.pages[0].parent}")
        say("   Who got what, and why not:")
        say(f"     {there} edition show last")
        say(f"     {there} delivery list")
        say("   A newsletter of your own:       newsletter init my-newsletter")
        say(f"   When you have seen enough:      rm -r {shlex.quote(str(self.home))}")

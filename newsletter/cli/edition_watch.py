"""The live view of an edition: looks at the database, drawn on a terminal, as lines elsewhere, or as JSON.

In: an edition, of any sender. Out: what people and programs see of it. It reads only, twice a second; so that it
shows the same whether this process sends, the service does, or ten workers on other machines.
"""

from __future__ import annotations

import json
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from newsletter.cli.liveness import service_alive
from newsletter.cli.output import one_line, say
from newsletter.errors import NewsletterError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from newsletter.core.edition import Edition
    from newsletter.core.live import Look, Speed
    from newsletter.core.pace import Limits
    from newsletter.store.live import Counted
    from newsletter.store.unit import Tx
    from newsletter.wiring import Application

REFRESH_SECONDS = 0.5
"""Seconds between two looks."""

COST_FACTOR = 20
"""A count of all rows is repeated after so many times the time it took: watching must not slow down what is watched."""

LINE_EVERY_SECONDS = 10.0
"""Seconds between two lines where there is no terminal."""

QUIET_LOOKS_MAX = 10
"""Looks without any change after which nothing is due and the watching ends."""

SOON_SPAN = timedelta(hours=1, minutes=5)
"""What waits no longer than that is worth watching for: a quota of an hour and a bit."""

_NUMBER = re.compile(r"\d+")

Show = Callable[["Look", "Speed"], None]


class EditionWatcher:
    """Looks at one edition, again and again."""

    def __init__(self, application: Application, edition: Edition) -> None:
        """Take the edition; the first look counts everything."""
        from newsletter.core.live import Speed

        self._application = application
        self._edition = edition
        self._counted: Counted | None = None
        self._count_at = 0.0
        self._limits = application.limits
        self._ended = False
        self.speed = Speed()

    def look(self) -> Look:
        """Return the edition as it is now."""
        from newsletter.store import edition as editions
        from newsletter.store import live

        clock = self._application.clock
        began = clock.monotonic()
        with self._application.unit.read() as tx:
            now = clock.now()
            if self._counted is None or began >= self._count_at:
                self._counted = live.count(tx, editions.by_id(tx, self._edition.id), now=now)
                self._limits = self._limits_now(tx)
                self._count_at = began + COST_FACTOR * (clock.monotonic() - began)
            look = live.look(tx, self._edition.id, self._counted, now=now)
            if look.ended and not self._ended:
                # What is told last is counted, never guessed.
                self._counted = live.count(tx, editions.by_id(tx, self._edition.id), now=now)
                look = live.look(tx, self._edition.id, self._counted, now=now)
            self._ended = look.ended
            look = self._under_quota(tx, look)
        self.speed.note(began, look.receipt.settled)
        return look

    def _limits_now(self, tx: Tx) -> Limits:
        """Return the provider's quotas, and below them what a fresh list may get in a day."""
        from newsletter.core.ramp import smaller
        from newsletter.flows.ramp import day_limit

        limits, ramp = self._application.limits, self._application.ramp_rules
        return replace(limits, per_day=smaller(limits.per_day, day_limit(tx, ramp))) if ramp.start else limits

    def _under_quota(self, tx: Tx, look: Look) -> Look:
        """Add who waits for a quota of an hour or a day."""
        from newsletter.core.edition import EditionStatus
        from newsletter.core.live import Cause, Waiting
        from newsletter.core.pace import Window, reserve
        from newsletter.sending.quota import QUOTA
        from newsletter.store import live

        stored = live.used(tx, QUOTA)
        if stored is None or look.receipt.edition.status is not EditionStatus.SENDING or not look.going:
            return look
        wait = reserve(Window.from_json(stored), 1, look.at, limits=self._limits).wait
        if not wait:
            return look
        held = Waiting(cause=Cause.QUOTA, people=look.going, until=look.at + wait)
        return replace(look, waiting=(*look.waiting, held))


def watch_until_quiet(
    application: Application, edition: Edition, stop: threading.Event, show: Show, *, patiently: bool = False
) -> bool:
    """Look on until the edition is done or nothing moves; False when the sender seems to be gone.

    `patiently` waits for what is due within the hour, too: who only watches has nothing else to do.
    """
    eyes = EditionWatcher(application, edition)
    quiet, last = 0, -1
    while not stop.is_set():
        look = eyes.look()
        show(look, eyes.speed)
        if look.ended:
            return True
        quiet = quiet + 1 if look.receipt.settled == last else 0
        last = look.receipt.settled
        if quiet >= QUIET_LOOKS_MAX:
            if not service_alive(application):
                return not look.receipt.counts.left
            if not look.going and not (patiently and _something_soon(look)):
                return True
        application.clock.wait(stop, REFRESH_SECONDS)
    return True


def _something_soon(look: Look) -> bool:
    from newsletter.core.live import Cause

    # The outcome of an edition that is stopped is mostly known within seconds.
    return any(
        item.cause is Cause.OUTCOME or (item.until is not None and item.until - look.at <= SOON_SPAN)
        for item in look.waiting
    )


@contextmanager
def watching(application: Application, edition: Edition, show: Show) -> Iterator[None]:
    """Show the edition while this process sends it; the looks are taken by a thread of their own."""
    over = threading.Event()

    def look_on() -> None:
        eyes = EditionWatcher(application, edition)
        try:
            while True:
                last = over.is_set()
                show(eyes.look(), eyes.speed)
                if last:
                    return
                application.clock.wait(over, REFRESH_SECONDS)
        except NewsletterError:
            # The sender meets the same trouble, and says so; a view that is gone costs no mail.
            return

    thread = threading.Thread(target=look_on, name="live view", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def screen(application: Application, *, quiet: bool = False, as_json: bool = False) -> Iterator[Show]:
    """Return what shows a look: a picture on a terminal, a line now and then elsewhere, or a line of JSON each."""
    if quiet:
        yield lambda _look, _speed: None
    elif as_json:
        yield _print_json
    elif sys.stdout.isatty():
        with _picture(application.cadence.zone) as show:
            yield show
    else:
        yield _Lines(application).show


def _print_json(look: Look, speed: Speed) -> None:
    from newsletter.core.live import to_dict

    say(json.dumps(to_dict(look, speed), default=str))
    sys.stdout.flush()


class _Lines:
    """Prints how far it is at the beginning, every ten seconds and at the end; trouble as soon as it is news."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._next = 0.0
        self._told: set[str] = set()
        self._last = ""

    def show(self, look: Look, speed: Speed) -> None:
        """Print what is due."""
        from newsletter.core.live import edition_troubles, in_a_line

        zone = self._application.cadence.zone
        # The same trouble with another time or number in it is no news.
        heard = {_NUMBER.sub("", trouble) for trouble in edition_troubles(look, zone)}
        news = heard - self._told
        self._told |= heard
        now = self._application.clock.monotonic()
        if now >= self._next or look.ended or news:
            self._next = now + LINE_EVERY_SECONDS
            line = in_a_line(look, speed, zone)
            if line != self._last:
                say(one_line(line))
                sys.stdout.flush()
            self._last = line


@contextmanager
def _picture(zone: str) -> Iterator[Show]:
    from rich.live import Live

    with Live(refresh_per_second=4) as live:
        yield lambda look, speed: live.update(draw(look, speed, zone))


def draw(look: Look, speed: Speed, zone: str) -> RenderableType:
    """Return the picture of an edition on its way, for a terminal."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    from newsletter.core.live import counts_words, progress_words, waits

    edition = look.receipt.edition
    head = Text.assemble((edition.name, "bold"), f"  “{one_line(edition.title)}”")
    bar = Table.grid(padding=(0, 2))
    bar.add_row(
        ProgressBar(
            total=max(1, edition.audience),
            completed=look.receipt.reached,
            width=30,
            complete_style="cyan",
            finished_style="green",
        ),
        progress_words(look, speed),
    )
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim")
    facts.add_column(overflow="fold")
    facts.add_row("people", counts_words(look.receipt.counts))
    for relay in look.relays:
        style = "yellow" if relay.trouble or relay.again_at else ""
        facts.add_row("mail server", Text(one_line(f"{relay.name}: {relay.words(zone, look.at)}"), style=style))
    for worker in look.workers:
        style = "red" if worker.silent(look.at) else ""
        facts.add_row("worker", Text(one_line(f"{worker.name}: {worker.words(look.at)}"), style=style))
    for line in waits(look, zone):
        facts.add_row("waiting", Text(line))
    if edition.status_why:
        facts.add_row("why", Text(one_line(edition.status_why), style="yellow"))
    return Group(head, bar, facts)


@contextmanager
def bar(total: int, *, quiet: bool = False, title: str = "sending") -> Iterator[Callable[[int], None]]:
    """Show on a terminal how far something is."""
    if quiet or not sys.stdout.isatty():
        yield lambda _: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as shown:
        task = shown.add_task(title, total=total)
        yield lambda settled: shown.update(task, completed=settled)

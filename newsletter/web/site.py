"""What the pages work with, and how they ask the database without ever being held up by it.

In: the parts of the application that the web needs. Out: answers of store and flows, or `Busy`. A question has a time
limit, and each area runs only a few at once: SQLite has one writer anyway, and a database that hangs must not hang the
pages.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Protocol, TypeVar

import anyio
import anyio.to_thread
from jinja2 import Environment

from newsletter.clock import Clock
from newsletter.core.message import Publication
from newsletter.core.token import Keyring
from newsletter.core.web_options import WebOptions
from newsletter.errors import NewsletterError
from newsletter.flows.overview import Overview
from newsletter.flows.plan import PlanRules
from newsletter.flows.queue_tip import TipValidation
from newsletter.store.unit import Unit

logger = logging.getLogger(__name__)
T = TypeVar("T")


class Area(Enum):
    """A group of pages with places of its own at the database, so that no group holds up another (a bulkhead)."""

    OPT_OUT = "opt-out"
    """Links that people and mail providers follow to leave."""
    PUBLIC = "public"
    """Pages that everybody may open: sign-up, confirmation, preferences."""
    ADMIN = "admin"
    """The pages of the people who run the newsletter."""
    WEBHOOK = "webhook"
    """Events that mail providers send, by the thousand while an edition goes out."""
    SERVICE = "service"
    """Health, metrics, and the links of notices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """How many questions of an area are answered at the same time, and how many wait for a place."""

    transactions: int
    waiting: int | None
    """A further one gets `Busy` at once, and no place of the server is kept; None: each one waits."""


AREA_PLACES: Mapping[Area, Places] = {
    Area.OPT_OUT: Places(transactions=2, waiting=None),
    Area.PUBLIC: Places(transactions=4, waiting=40),
    Area.ADMIN: Places(transactions=2, waiting=20),
    Area.WEBHOOK: Places(transactions=1, waiting=20),
    Area.SERVICE: Places(transactions=2, waiting=20),
}
"""Eleven transactions in all; the pool of the database has 21 connections, some for the sender of the same process."""

DATABASE_WAIT_SECONDS = 25.0
"""Seconds after which a question counts as not answered, before whoever asked goes away."""


class Busy(Exception):  # noqa: N818 - it says what the reader is told
    """The database does not answer, or not in time."""


class Parts(Protocol):
    """The parts of the application that the web needs; `wiring.Application` has them all."""

    @property
    def unit(self) -> Unit:
        """The door to the database."""
        ...

    @property
    def clock(self) -> Clock:
        """The clock."""
        ...

    @property
    def keyring(self) -> Keyring:
        """The keys that links are signed with."""
        ...

    @property
    def publication(self) -> Publication:
        """The newsletter as pages show it."""
        ...

    @property
    def templates(self) -> Environment:
        """The templates of the pages."""
        ...

    @property
    def plan_rules(self) -> PlanRules:
        """What the coming dates rest on."""
        ...

    @property
    def web_options(self) -> WebOptions:
        """What the web part may show."""
        ...

    def overview(self) -> Overview:
        """Return how things stand, as `newsletter status` shows it."""
        ...

    def review(self, now: datetime) -> TipValidation:
        """Return what a tip is judged by."""
        ...


class Site:
    """The parts, and the way to ask the database."""

    def __init__(self, parts: Parts, *, patience: float = DATABASE_WAIT_SECONDS) -> None:
        self.unit = parts.unit
        self.clock = parts.clock
        self.keyring = parts.keyring
        self.plan_rules = parts.plan_rules
        self.review = parts.review
        self.overview = parts.overview
        self.web_options = parts.web_options
        self._patience = patience
        self._bulkheads = {area: _Bulkhead(places) for area, places in AREA_PLACES.items()}

    async def ask(self, question: Callable[[], T], *, about: str, area: Area = Area.SERVICE) -> T:
        """Run a question to the database beside the event loop; raises `Busy` when there is no answer.

        One that takes too long is left to itself: it may still commit, which is the effect that was asked for.
        """
        bulkhead = self._bulkheads[area]
        # Counted here: the limiter knows of a request only after its first turn of the event loop.
        if bulkhead.full:
            logger.error("%s: too many requests wait for the database", about)
            raise Busy
        bulkhead.count += 1
        try:
            return await self._ask(question, bulkhead.limiter, about)
        finally:
            bulkhead.count -= 1

    async def _ask(self, question: Callable[[], T], limiter: anyio.CapacityLimiter, about: str) -> T:
        try:
            with anyio.fail_after(self._patience):
                return await anyio.to_thread.run_sync(question, abandon_on_cancel=True, limiter=limiter)
        except TimeoutError as error:
            logger.error("%s: no answer of the database within %g seconds", about, self._patience)  # noqa: TRY400 - no bug, so no trace
            raise Busy from error
        except NewsletterError as error:
            logger.error("%s: %s", about, error)  # noqa: TRY400 - our own errors say all in one line
            raise Busy from error
        except Exception as error:
            # A reader who wants to leave cannot use a server error: the log has the bug, the reader a way out.
            logger.exception("%s: a bug", about)
            raise Busy from error


class _Bulkhead:
    """The places of one area, and how many requests hold one or wait for one."""

    def __init__(self, places: Places) -> None:
        self.limiter = anyio.CapacityLimiter(places.transactions)
        self.count = 0
        self._count_max = None if places.waiting is None else places.transactions + places.waiting

    @property
    def full(self) -> bool:
        """Tell whether a further request is refused."""
        return self._count_max is not None and self.count >= self._count_max

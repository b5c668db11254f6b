"""The publisher: enters tips into the public archive once their readers have them.

In: editions. Out: pages. It runs with each tick and does a bounded number of pages in a round, so that the editions of
an installation from before the archive follow within minutes, and no round is long. Any number of publishers do no
harm: the mark on the edition decides which of them publishes.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from newsletter.core.message import Publication
from newsletter.errors import InputError
from newsletter.flows.publish_page import publish_page, set_aside, unpublished
from newsletter.store.unit import Unit

logger = logging.getLogger(__name__)

PAGES_PER_ROUND_MAX = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Publisher:
    """One per process that ticks."""

    unit: Unit
    publication: Publication
    delay: timedelta = timedelta()
    """How long after the last readers have begun to get a tip."""

    def work(self, now: datetime) -> int:
        """Publish the pages that are due; return for how many editions something was decided."""
        with self.unit.read() as tx:
            waiting = unpublished(tx, delay=self.delay, now=now, limit=PAGES_PER_ROUND_MAX)
        decided = 0
        for due in waiting:
            try:
                decided += publish_page(self.unit, self.publication, due, now=now)
            except InputError as error:
                logger.warning("the tip %s has no page in the archive: %s", due.tip.slug, error)
                set_aside(self.unit, due)
        return decided

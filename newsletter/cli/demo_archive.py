"""The year before the edition of `newsletter demo`: 52 short tips, one sent on each past Tuesday.

In: an application whose clock can be turned. Out: its database with the editions, deliveries and reports of that year.
Each mail goes over SMTP to a catcher that only counts; none of it leaves this machine.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from newsletter.cli.sample import sample_folder
from newsletter.errors import NewsletterError
from newsletter.flows.queue_tip import TipText
from newsletter.sending.sender_loop import send_until_idle

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from newsletter.core.cadence import Slot
    from newsletter.testing.clocks import TurnedClock
    from newsletter.wiring import Application

TOPICS_PREFIX = "Topics: "


def past_tips() -> list[TipText]:
    """Return the tips of the year before, oldest first, as tip files."""
    text = (sample_folder() / "archive.md").read_text(encoding="utf-8")
    sections = text.split("\n## ")[1:]
    return [_tip_file(number, section) for number, section in enumerate(sections, start=1)]


def _tip_file(number: int, section: str) -> TipText:
    title, topics, body = section.split("\n", 2)
    front = f"---\ntitle: {title}\ntags: [{topics.removeprefix(TOPICS_PREFIX)}]\nstatus: approved\n---\n"
    return TipText(name=f"{number:02}.md", text=front + body)


def send_past_editions(
    application: Application,
    clock: TurnedClock,
    slots: Sequence[Slot],
    *,
    progress: Callable[[int], None],
) -> int:
    """Send the edition of each of these slots, one after the other; return how many mails were accepted."""
    mails = 0
    for count, slot in enumerate(slots, start=1):
        clock.turn_to(slot.sends_at)
        if application.ticker.tick() is None:
            raise NewsletterError(f"Nothing was frozen for {slot.date}; please report this.")
        with application.right_to_send():
            result = send_until_idle(application.sender(), threading.Event())
        if result.trouble:
            raise NewsletterError(result.trouble)
        mails += result.counts.total()
        progress(count)
    return mails

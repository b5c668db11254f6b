"""Whether another process sends, as several commands show it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from newsletter.wiring import Application


def service_alive(application: Application) -> bool:
    """Tell whether another process holds the right to send.

    Not by signs of life: those of a run that has just ended, our own too, would still look fresh.
    """
    from newsletter.errors import NotNow

    try:
        with application.sender_lock():
            return False
    except NotNow:
        return True

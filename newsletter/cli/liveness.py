"""Whether somebody else sends, which several commands tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from newsletter.wiring import Application


ALIVE_SECONDS = 60
"""A part of the service writes a sign of life every five seconds; after a minute without one it is taken for dead."""


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

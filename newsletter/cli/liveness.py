"""Whether the service is alive, which several commands tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from newsletter.wiring import Application

ALIVE_SECONDS = 60
"""A sender writes a sign of life every five seconds; after a minute without one it is taken for dead."""


def service_alive(application: Application) -> bool:
    """Tell whether a sender gave a sign of life within the last minute."""
    from newsletter.store import installation as installations

    with application.unit.read() as tx:
        beats = installations.heartbeats(tx)
    if "sender" not in beats:
        return False
    return (application.clock.now() - beats["sender"][0]).total_seconds() < ALIVE_SECONDS

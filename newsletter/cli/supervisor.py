"""What the service tells the supervisor that started it: systemd's notifications (sd_notify(3)), without a library.

In: the address that the supervisor put into the environment, and the signs of life of the parts. Out: datagrams:
ready, stopping, a line of status, and a ping as long as all is well. Without a supervisor nothing is said, and trouble
with telling never ends the service.
"""

from __future__ import annotations

import logging
import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from newsletter.clock import Clock

logger = logging.getLogger(__name__)

STATUS_LENGTH = 200


class Supervisor:
    """The one that started this process; safe to be told things from any thread."""

    def __init__(self, environ: Mapping[str, str], *, clock: Clock, least_patience: float) -> None:
        """Read where it listens and how long it waits for a ping; a hung tick is given half of that."""
        self._address = environ.get("NOTIFY_SOCKET", "")
        self._clock = clock
        seconds = _watchdog_seconds(environ)
        self._patience = max(seconds / 2, least_patience) if seconds else None
        self._last_tick: float | None = None
        self._trouble = ""
        self._status = ""
        self._silent = False
        self._failed = False

    @property
    def reads_status(self) -> bool:
        """Whether a supervisor shows what the service is at."""
        return bool(self._address)

    @property
    def expects_pings(self) -> bool:
        """Whether a supervisor restarts a service that gives no ping."""
        return self._patience is not None

    def ready(self) -> None:
        """Tell that every part runs; from here on ticks are expected."""
        self._send("READY=1")

    def expect_ticks(self) -> None:
        """Begin to count the time in which a tick must end: this process runs the scheduler."""
        self._last_tick = self._clock.monotonic()

    def ticked(self, *, trouble: str = "") -> None:
        """Note that a tick came to its end, well or not: one that fails is told by an alert, and is not hung.

        `trouble` is what it found that only a new start can cure.
        """
        self._last_tick = self._clock.monotonic()
        self._trouble = trouble

    def status(self, words: str) -> None:
        """Tell what the service is at, for `systemctl status`; the same words are told once."""
        line = " ".join(words.split())[:STATUS_LENGTH]
        if line != self._status:
            self._status = line
            self._send(f"STATUS={line}")

    def ping(self) -> None:
        """Tell that all is well; say nothing when it is not, so that the supervisor starts the service again."""
        if self._patience is None:
            return
        reason = self._hung() or self._trouble
        if not reason:
            self._silent = False
            self._send("WATCHDOG=1")
        elif not self._silent:
            self._silent = True
            logger.error(
                "%s: the watchdog gets no ping until that ends, and the supervisor will restart the service", reason
            )

    def stopping(self) -> None:
        """Tell that the end has begun."""
        self._send("STOPPING=1\nSTATUS=finishing the messages in flight")

    def _hung(self) -> str:
        if self._last_tick is None or self._patience is None:
            return ""
        since = self._clock.monotonic() - self._last_tick
        return f"no tick has ended for {since:.0f} s" if since > self._patience else ""

    def _send(self, message: str) -> None:
        if not self._address:
            return
        # A leading @ stands for the zero byte of a name outside the file system (unix(7)).
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as wire:
                # A supervisor that does not read must not hold up the process that notifies it.
                wire.setblocking(False)
                wire.sendto(message.encode(), address)
        except OSError as error:
            if not self._failed:
                logger.warning("the supervisor cannot be notified (%s); logged once until it can", error)
            self._failed = True
        else:
            self._failed = False


def _watchdog_seconds(environ: Mapping[str, str]) -> float:
    """Return within how many seconds a ping is expected; 0 when none is, or it is meant for another process."""
    meant_for = environ.get("WATCHDOG_PID", "")
    if meant_for and meant_for != str(os.getpid()):
        return 0.0
    microseconds = environ.get("WATCHDOG_USEC", "")
    return int(microseconds) / 1e6 if microseconds.isdecimal() else 0.0

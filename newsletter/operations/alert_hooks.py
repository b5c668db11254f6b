"""Alert channels other than e-mail: NEWSLETTER_ALERT_COMMAND, and NEWSLETTER_PING_URL after each good tick.

In: the text of an alert, or the news that a tick went well. Out: a child process or a request, each in a thread of its
own, so that neither can hold up the tick. Their results are in the log; this module does not touch the database.
"""

from __future__ import annotations

import logging
import os
import shlex
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field

from newsletter.errors import words_of

logger = logging.getLogger(__name__)

TEXT_VARIABLE = "NEWSLETTER_ALERT_TEXT"
"""Where a command finds the text, besides its standard input; it is no setting."""
ALERT_COMMAND_SECONDS = 60.0
PING_EVERY_SECONDS = 60.0
PING_SECONDS = 5.0
_OUTPUT_LENGTH = 500


@dataclass(kw_only=True)
class AlertCommand:
    """The command of `NEWSLETTER_ALERT_COMMAND`."""

    line: str
    timeout: float = ALERT_COMMAND_SECONDS
    _threads: list[threading.Thread] = field(default_factory=list)

    def run(self, text: str) -> None:
        """Run the command with the text on its standard input and in `NEWSLETTER_ALERT_TEXT`, without waiting."""
        thread = threading.Thread(target=self._run, args=(text,), name="alert-command", daemon=True)
        self._threads = [item for item in self._threads if item.is_alive()] + [thread]
        thread.start()

    def join(self, seconds: float | None = None) -> None:
        """Wait for the commands that still run."""
        for thread in self._threads:
            thread.join(seconds)

    def _run(self, text: str) -> None:
        # The secrets of the newsletter are none of the command's business; everything else is as any child has it.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("NEWSLETTER_")}  # noqa: TID251
        try:
            completed = subprocess.run(  # noqa: S603 - the operator's own command, split without a shell
                shlex.split(self.line),
                input=text,
                env={**inherited, TEXT_VARIABLE: text},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=self.timeout,
                check=False,
                encoding="utf-8",
                errors="replace",
            )
        except subprocess.TimeoutExpired:
            logger.error("the alert command took longer than %g s and was ended", self.timeout)  # noqa: TRY400
        except (OSError, ValueError) as error:
            why = words_of(error, with_file=True)
            logger.error("the alert command cannot be run (%s); check NEWSLETTER_ALERT_COMMAND", why)  # noqa: TRY400
        else:
            if completed.returncode:
                words = " ".join((completed.stdout or "").split())[:_OUTPUT_LENGTH]
                logger.error("the alert command failed with exit code %s: %s", completed.returncode, words)
            else:
                logger.warning("the alert command was run")


@dataclass(kw_only=True)
class HeartbeatPing:
    """The dead man's switch: an outside service raises an alarm when its address is not fetched any more."""

    url: str
    monotonic: Callable[[], float]
    _next: float = float("-inf")
    _failed: bool = False
    _thread: threading.Thread | None = None

    def well(self) -> None:
        """Say that all is well, at most once a minute, without waiting."""
        now = self.monotonic()
        if now < self._next or (self._thread is not None and self._thread.is_alive()):
            return
        self._next = now + PING_EVERY_SECONDS
        self._thread = threading.Thread(target=self._fetch, name="ping", daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait for the request that is under way."""
        if self._thread is not None:
            self._thread.join()

    def _fetch(self) -> None:
        try:
            with urllib.request.urlopen(self.url, timeout=PING_SECONDS) as answer:  # noqa: S310 - checked by the settings
                answer.read(1024)
        except (OSError, ValueError, urllib.error.URLError) as error:
            if not self._failed:
                logger.warning("NEWSLETTER_PING_URL could not be fetched (%s); logged once until it works", error)
            self._failed = True
        else:
            if self._failed:
                logger.warning("NEWSLETTER_PING_URL answers again")
            self._failed = False

"""Access tokens for a login without a password (XOAUTH2), from a command of the operator's.

In: a command line. Out: the token that it prints, or a `TokenFailure` that says what went wrong. No shell is involved,
and the token is neither written down nor logged.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import threading
from collections.abc import Callable

from newsletter.errors import words_of

COMMAND_SECONDS = 30.0
KEEP_SECONDS = 60.0
"""How long a token is used again: connections are opened many times a minute, and the issuer of tokens counts."""
_OUTPUT_LENGTH = 200
_TOKEN = re.compile(r"[!-~]{1,16384}")
"""RFC 6750 §2.1 allows less; what matters is that nothing in it ends the line or the field."""


class TokenFailure(Exception):  # noqa: N818 - it carries words to `open_session`, and ends there.
    """There is no token."""

    def __init__(self, words: str, *, lasting: bool = False) -> None:
        """Say why; `lasting` when trying again would not help."""
        super().__init__(words)
        self.lasting = lasting


class TokenCommand:
    """The command of NEWSLETTER_SMTP_TOKEN_COMMAND; shared by the threads that open connections."""

    def __init__(self, line: str, *, monotonic: Callable[[], float], timeout: float = COMMAND_SECONDS) -> None:
        """Run nothing yet."""
        self._line = line
        self._monotonic = monotonic
        self._timeout = timeout
        self._lock = threading.Lock()
        self._token = ""
        self._until = 0.0
        self._reused = False

    def fetch(self) -> str:
        """Return the token of the last minute, or a new one; raises `TokenFailure`."""
        with self._lock:
            self._reused = bool(self._token) and self._monotonic() < self._until
            if not self._reused:
                self._token = _run(self._line, self._timeout)
                self._until = self._monotonic() + KEEP_SECONDS
            return self._token

    def forget(self) -> bool:
        """Drop a token that was refused; False when it was new, so that the next one would be no better."""
        with self._lock:
            self._token = ""
            return self._reused


def _run(line: str, timeout: float) -> str:
    """Run the command and return what it prints on its standard output, without the white space around it."""
    # The secrets of the newsletter are none of the command's business; everything else is as any child has it.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("NEWSLETTER_")}  # noqa: TID251
    try:
        completed = subprocess.run(  # noqa: S603 - the operator's own command, split without a shell
            shlex.split(line),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=inherited,
            timeout=timeout,
            check=False,
            encoding="utf-8",
            errors="replace",
        )
    except subprocess.TimeoutExpired:
        # Not chained: the exception holds what was printed so far, which may be the token.
        raise TokenFailure(f"it took longer than {timeout:g} s and was ended") from None
    except (OSError, ValueError) as error:
        raise TokenFailure(f"it cannot be run ({words_of(error, with_file=True)})", lasting=True) from error
    if completed.returncode:
        words = " ".join(completed.stderr.split())[-_OUTPUT_LENGTH:]
        raise TokenFailure(f"it failed with exit code {completed.returncode}{f': {words}' if words else ''}")
    token = completed.stdout.strip()
    if not _TOKEN.fullmatch(token):
        raise TokenFailure("it printed no token" if not token else "what it printed is not a token", lasting=True)
    return token

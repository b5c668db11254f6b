"""What can go wrong, sorted by what the reader of the message should do.

Each class has the exit code of the command line. An SMTP reply is never an exception: it is a value (`core/reply.py`).
"""

from __future__ import annotations


class NewsletterError(Exception):
    """It did not work, or it needs a person."""

    exit_code = 1

    def __init__(self, message: str | None = None, *, details: tuple[str, ...] = ()) -> None:
        """Take a one-line message that says what to do, and further lines (such as one per fault of a file)."""
        super().__init__(message or (self.__doc__ or "").strip())
        self.details = details


class InputError(NewsletterError):
    """The input or the settings are wrong; nothing was changed."""

    exit_code = 2


class NotNow(NewsletterError):
    """It cannot be done at this moment; the same call may work later."""


class Stop(NewsletterError):
    """It cannot be done until an operator acts."""


def words_of(trouble: Exception, *, with_file: bool = False) -> str:
    """Return what a library says of a failure, without the system's number for it; `with_file` says of which file."""
    if not isinstance(trouble, OSError) or not trouble.strerror:
        return str(trouble) or type(trouble).__name__
    return f"{trouble.filename}: {trouble.strerror}" if with_file and trouble.filename else trouble.strerror

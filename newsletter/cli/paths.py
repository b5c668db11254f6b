"""Files and folders as people name them: what stands there, looked at before anything is done.

In: a path from the command line. Out: what is there, opened for reading where asked, or an `InputError` in one line.
It changes nothing.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from newsletter.errors import InputError


def look_at(path: Path) -> os.stat_result | None:
    """Return what stands at a path, None when nothing does; raise `InputError` when nothing ever could.

    `Path.exists` and its like raise for a name that is too long, and for a folder that this user may not enter.
    """
    try:
        return path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"{path} cannot be used ({error.strerror}); give another path") from error


def is_folder(path: Path) -> bool:
    """Tell whether a folder stands at a path."""
    kind = look_at(path)
    return kind is not None and stat.S_ISDIR(kind.st_mode)


@contextmanager
def opened_file(path: Path) -> Iterator[BinaryIO]:
    """Open an ordinary file for reading; raise `InputError` for a named pipe or a device, which may never answer."""
    try:
        # Without O_NONBLOCK, to open a named pipe waits until a program writes to it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{str(path)!r} cannot be the path of a file") from error
    with os.fdopen(descriptor, "rb") as stream:
        kind = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(kind):
            raise InputError(f"{path} is not a regular file (it may be a pipe or a device); save it to a file first")
        yield stream


def check_home(path: Path) -> None:
    """Raise `InputError` for a path that cannot be the folder of a newsletter; it may still be made."""
    kind = look_at(path)
    if kind is None:
        return
    if not stat.S_ISDIR(kind.st_mode):
        raise InputError(f"{path} is a file; name the folder of the newsletter, or a new one")
    if not os.access(path, os.X_OK):
        raise InputError(f"{path} may not be entered by this user; check who owns it, or name another folder")

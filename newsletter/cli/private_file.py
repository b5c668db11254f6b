"""Files with people in them: readable by their owner only, complete or absent, and never written over by surprise.

In: a path. Out: a text stream whose content appears under that path when the block ends without an exception.
Used by every command that writes such a file. It follows no symbolic link and replaces no device or pipe.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from newsletter.errors import InputError


@contextmanager
def private_file(path: Path, *, overwrite: bool) -> Iterator[TextIO]:
    """Write a file with mode 0600 in its folder, then give it its name; an existing file needs `overwrite`."""
    _check_target(path, overwrite=overwrite)
    try:
        descriptor, name = tempfile.mkstemp(prefix=".newsletter-", suffix=".part", dir=path.parent)
    except OSError as error:
        raise _unwritable(path, error) from error
    part = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as out:
            yield out
            _synchronise(out, path)
        _publish(part, path, overwrite=overwrite)
    finally:
        with suppress(OSError):
            part.unlink()


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read, in the place of an earlier one of any mode."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as out:
        os.fchmod(out.fileno(), 0o600)
        out.write(content)


def free_name(path: Path) -> Path:
    """Return the path, or the next one with a number that does not exist: `people.rejected-2.csv`."""
    if not os.path.lexists(path):
        return path
    for number in range(2, 10_000):
        candidate = path.with_name(f"{path.stem}-{number}{path.suffix}")
        if not os.path.lexists(candidate):
            return candidate
    raise InputError(f"{path} exists, and so do 9,998 numbered files beside it; remove some of them")


def _check_target(path: Path, *, overwrite: bool) -> None:
    try:
        kind = path.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise _unwritable(path, error) from error
    if stat.S_ISDIR(kind):
        raise InputError(f"{path} is a folder; name the file to write")
    if stat.S_ISLNK(kind):
        raise InputError(f"{path} is a symbolic link; name the file itself")
    if not stat.S_ISREG(kind):
        raise InputError(f"{path} is not a regular file; name another one")
    if not overwrite:
        raise InputError(f"{path} exists; --overwrite replaces it")


def _synchronise(out: TextIO, path: Path) -> None:
    try:
        out.flush()
        os.fsync(out.fileno())
    except OSError as error:
        raise _unwritable(path, error) from error


def _publish(part: Path, path: Path, *, overwrite: bool) -> None:
    try:
        if overwrite:
            part.replace(path)
        else:
            _link(part, path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except FileExistsError as error:
        raise InputError(f"{path} exists; --overwrite replaces it") from error
    except OSError as error:
        raise _unwritable(path, error) from error


def _link(part: Path, path: Path) -> None:
    """Give the file its name unless the name is taken; file systems without hard links allow a small race."""
    try:
        os.link(part, path)
    except FileExistsError:
        raise
    except OSError:
        if os.path.lexists(path):
            raise FileExistsError from None
        part.replace(path)


def _unwritable(path: Path, error: OSError) -> InputError:
    return InputError(f"{path} cannot be written: {error.strerror}")

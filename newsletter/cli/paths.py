"""Files and folders as people name them: what stands there, looked at before anything is done.

In: a path from the command line. Out: what is there, or an `InputError` in one line for a path at which nothing can
stand. It opens nothing, and changes nothing.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

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


def check_home(path: Path) -> None:
    """Raise `InputError` for a path that cannot be the folder of a newsletter; it may still be made."""
    kind = look_at(path)
    if kind is None:
        return
    if not stat.S_ISDIR(kind.st_mode):
        raise InputError(f"{path} is a file; name the folder of the newsletter, or a new one")
    if not os.access(path, os.X_OK):
        raise InputError(f"{path} may not be entered by this user; check who owns it, or name another folder")

"""A text in the editor of the person at the terminal; an unchanged text means no change.

In: a text and a file name. Out: the text as it was saved, and the file, which is kept until `done` is called: a fault
in a text must not lose it.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from newsletter.errors import InputError, Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class EditedDraft:
    """A text as the editor saved it."""

    path: Path
    text: str
    changed: bool

    def done(self) -> None:
        """Delete the file: its text is stored, or unchanged."""
        shutil.rmtree(self.path.parent, ignore_errors=True)


def edit(text: str, *, name: str, environ: Mapping[str, str]) -> EditedDraft:
    """Open a text in $VISUAL or $EDITOR and return it as it was saved; an emptied file counts as unchanged."""
    wish = environ.get("VISUAL") or environ.get("EDITOR") or ""
    try:
        command = shlex.split(wish)
    except ValueError as error:
        raise InputError(f"the editor {wish!r} cannot be read as a command ({error}); check EDITOR") from error
    if not command:
        raise InputError(
            "no editor is known: set EDITOR, such as EDITOR=nano; or write a file and `newsletter tip add` it"
        )
    try:
        path = Path(tempfile.mkdtemp(prefix="newsletter-")) / name
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Stop(f"no temporary file can be written ({error.strerror}): free some space, or set TMPDIR") from error
    try:
        ended = subprocess.run([*command, str(path)], check=False).returncode  # noqa: S603 the person's own editor
    except OSError as error:
        shutil.rmtree(path.parent, ignore_errors=True)
        raise InputError(f"the editor {command[0]!r} cannot be started ({error.strerror}); check EDITOR") from error
    try:
        saved = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"what the editor left at {path} cannot be read as UTF-8; nothing was changed") from error
    if ended != 0:
        if saved == text:
            shutil.rmtree(path.parent, ignore_errors=True)
            raise InputError(f"the editor gave up (exit code {ended}); nothing was changed")
        raise InputError(f"the editor gave up (exit code {ended}); nothing was changed, and the text is kept at {path}")
    return EditedDraft(path=path, text=saved, changed=bool(saved.strip()) and saved != text)

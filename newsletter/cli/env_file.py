"""The `.env` that `newsletter init` writes: every setting with its sentence, the given ones filled in.

In: values by name, as an operator would write them. Out: the text, and the file. It never overwrites a file, and
only its owner may read what it writes.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values

from newsletter.errors import InputError, Stop
from newsletter.settings.model import FILE_SUFFIX, KEY_COMMAND, Setting, normal_text, settings_help

_HEAD = """\
# Settings of the newsletter, written by `newsletter init`. A variable of the environment overrides its line here.
# A line that is commented out shows the default. Keep this file secret, and keep a copy of it with your backups:
# the links in the mails that went out are signed with the key below.
# The seven settings that everybody decides come first.
"""


def env_text(values: Mapping[str, str]) -> str:
    """Return the whole file; a required setting without a value is left open, and `newsletter doctor` names it."""
    text = _HEAD + "".join(f"\n{_entry(setting, values.get(setting.name, ''))}\n" for setting in settings_help())
    # Read back before anything is written: a value that would come out changed must not get in.
    parsed = dotenv_values(stream=io.StringIO(text), interpolate=False)
    changed = [name for name, value in values.items() if parsed.get(name) != value]
    if changed:
        raise InputError(f"{changed[0]} cannot be written into a .env; set it in the environment instead.")
    return text


def _entry(setting: Setting, value: str) -> str:
    lines = [f"# {setting.description}"]
    if setting.secret:
        lines.append(f"# Or {setting.name}{FILE_SUFFIX}, a file that holds it.")
    if value:
        lines.append(f"{setting.name}={quoted(value)}")
    elif setting.required:
        example = f"for example: {quoted(setting.example)}" if setting.example else f"make one with {KEY_COMMAND}"
        lines += [f"# Required; {example}", f"{setting.name}="]
    else:
        default = quoted(setting.default) if " " in setting.default else setting.default
        lines.append(f"# {setting.name}={default}")
    return "\n".join(lines)


def quoted(value: str) -> str:
    """Write a value so that python-dotenv reads it back unchanged, and a shell that sources the file nearly always."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def differing(path: Path, values: Mapping[str, str]) -> list[str]:
    """Return the names of those values that an existing file does not have."""
    try:
        current = dotenv_values(stream=io.StringIO(path.read_text(encoding="utf-8")), interpolate=False)
    except (OSError, UnicodeDecodeError):
        # The settings say of the file what is wrong with it.
        return list(values)
    defaults = {setting.name: setting.default for setting in settings_help()}
    return [name for name, value in values.items() if not _equal(name, current.get(name) or defaults[name], value)]


def _equal(name: str, *texts: str) -> bool:
    try:
        return len({normal_text(name, text) for text in texts}) == 1
    except ValueError:
        # The settings say of the file what is wrong with it.
        return False


def write_env(path: Path, text: str) -> None:
    """Write the file for its owner only; raise `Stop` when something stands there already."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # O_EXCL: should another process write one at this moment, exactly one of the two gets it.
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError as error:
        raise Stop(f"{error.filename} exists already; it was not changed.") from error
    except OSError as error:
        raise Stop(f"{path} cannot be written ({error.strerror}); check who owns the folder.") from error
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        # Half a file would look like a finished one to the next `init`.
        path.unlink(missing_ok=True)
        raise Stop(f"{path} cannot be written ({error.strerror}); nothing was left behind.") from error

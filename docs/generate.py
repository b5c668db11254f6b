# ruff: noqa: INP001 - a script, no package.
"""Writes the pages that can be read off the code: `docs/commands.md`, `docs/settings.md` and `docs/a-year.md`.

`make docs`, or `python docs/generate.py` from the top of the checkout. `tests/rules/test_docs.py` compares the pages of
the reference with what this would write, so that no command, option or setting stays undocumented, and
`tests/path/test_a_year.py` the diary of the year.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import get_args

from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption
from typer.main import get_command

from newsletter.cli.main import app
from newsletter.cli.simulate import play_example
from newsletter.settings.model import FILE_SUFFIX, Setting, settings_help
from newsletter.simulation.diary import Diary
from newsletter.simulation.example import EXAMPLE_PEOPLE_COUNT

DOCS = Path(__file__).resolve().parent

COMMANDS_HEAD = """\
# Commands

<!-- Written by `make docs` from the command line itself; change the help texts in newsletter/cli/ instead. -->

Noun, then verb. `-C DIR` before the noun names the folder of the `.env`, and so does the environment variable
`NEWSLETTER_HOME`; without either it is the folder you are in. `--help` works everywhere. Commands that show data take
`--json`. What cannot be undone asks on a terminal; elsewhere it needs `--yes`. What the exit code says:
[exit codes](exit-codes.md).
"""

SETTINGS_HEAD = """\
# Settings

<!-- Written by `make docs` from newsletter/settings/model.py; change the descriptions there instead. -->

Environment variables, or lines `NAME=value` in the file `.env` of the home folder (`-C DIR`, `NEWSLETTER_HOME`, or the
folder you are in). The environment overrides the file, and an empty value counts as unset. Relative paths are taken
from the home folder. `newsletter init` writes an `.env` with every setting in it; the same as an example is
[`config.example.env`](../config.example.env).

All mistakes are reported together, each with what to do, and a name that is nearly right is answered with the right
one. A secret is never printed. Those marked *secret* may also be given as a file: set the name with `_FILE` at its end
to the path of a file that holds the value, as containers hand out secrets.

`newsletter config show` lists the settings in effect with the source of each: `environment`, `.env`, `file` (a name
with `_FILE`), `default`, or the setting that the value follows from, as the limits of a connection follow from
`NEWSLETTER_SMTP_PRESET`. `--changed` leaves out defaults. Secrets, commands and `NEWSLETTER_PING_URL` are shown as
`set` or `not set`.
"""

SECTIONS = {
    "from": ("The first seven", "Everybody decides these; `newsletter init` asks for them."),
    "secret_key": ("Secrets and database", ""),
    "reply_to": ("The newsletter", "What every mail says about itself, and its look."),
    "send_day": ("When", "The schedule, and what becomes of a date that the machine slept through."),
    "smtp_port": (
        "The mail server",
        "Everybody's mail goes through one server, yours or a provider's: `NEWSLETTER_SMTP_HOST`.",
    ),
    "rate_per_second": ("Pace and doubt", "How fast, and what to do about a mail that may or may not have gone out."),
    "bounce_domain": (
        "Bounces and complaints",
        "A domain of your own to come back to, and the webhooks of mail providers; see [bounces](bounces.md).",
    ),
    "dkim_domain": ("Signing", "Optional; see [DKIM](dkim.md)."),
    "proof_emails": ("People who run it", "See [notices](notices.md)."),
    "journal_dir": ("What is kept", "Beside the database, and in it."),
    "keep_deliveries_days": ("How long things are kept", "See [privacy](privacy.md)."),
    "archive_url": ("Links and templates", "See [the mail](the-mail.md)."),
    "web_host": ("The service", "See [operating](operating.md)."),
}
"""The setting that begins each section, without its prefix; a new setting falls into the section where it stands."""


YEAR_HEAD = """\
# A year

<!-- Written by `make docs`, which runs `newsletter simulate --example`. -->

What do you hear of the newsletter in a year, when much goes wrong? This is the diary of 52 Tuesdays with {people}
readers, played by the real program on a real database; only the clock, the mail server and the people are made up.
Times are those of {zone}, whose clocks change in March and in November: the hour of the mail does not.

In a week in which all is well there are two mails: on Monday the proof of what goes out, on Tuesday the report of what
became of it. The rest of this page is about the other weeks. A line of the kind `mail` is a mail to the people who run
the newsletter, with its subject and, where there is more to say than that, its first sentences.

Look for: the machine that is off over the hour (9 February) and for three weeks (August), the queue that runs dry
(March), the mailbox that does not exist (4 May) and those that are full (8 June, 9 November), the date that is skipped
(6 July), the mail server that is dead for six hours of a Tuesday (14 September), the extra date (14 October), the tip
that is swapped after its proof (15 November), and the one that is pinned to a date (21 December).

Your own coming weeks: `newsletter simulate` plays them with your tips, your dates and your settings, on a throwaway
copy without names of people. `--from` begins on a later day, and `--weeks` plays more or fewer than 52.

```text
"""
"""How the page begins; the diary follows."""


def year_page(diary: Diary) -> str:
    """Return the text of `docs/a-year.md`."""
    lines = [*diary.lines(), "", *diary.summary()]
    return YEAR_HEAD.format(people=EXAMPLE_PEOPLE_COUNT, zone=diary.zone) + "\n".join(lines) + "\n```\n"


def commands_page() -> str:
    """Return the text of `docs/commands.md`."""
    root = get_command(app)
    if not isinstance(root, TyperGroup):
        raise TypeError(root)
    parts = [COMMANDS_HEAD, _parameters(root), _overview(root)]
    for name, command in root.commands.items():
        if isinstance(command, TyperGroup):
            parts.append(f"## `newsletter {name}`\n\n{_prose(command.help)}")
            parts += [_command(f"newsletter {name} {verb}", found, "###") for verb, found in _verbs(command)]
        elif isinstance(command, TyperCommand):
            parts.append(_command(f"newsletter {name}", command, "##"))
    return "\n".join(parts)


def _overview(root: TyperGroup) -> str:
    """Return a table of everything with links, since the page is long."""
    rows = []
    for name, command in root.commands.items():
        if isinstance(command, TyperGroup):
            verbs = [_link(verb, _usage(f"newsletter {name} {verb}", found)) for verb, found in _verbs(command)]
            rows.append(f"| {_link(name, f'newsletter {name}')} | {' · '.join(verbs)} |")
        elif isinstance(command, TyperCommand):
            rows.append(f"| {_link(name, _usage(f'newsletter {name}', command))} | |")
    return "\n".join(["| noun | verbs |", "|---|---|", *rows, ""])


def _link(words: str, heading: str) -> str:
    """Return a link to a heading of this page, under the name that GitHub gives it."""
    return f"[{words}](#{re.sub(r'[^a-z0-9 -]', '', heading.lower()).replace(' ', '-')})"


def _verbs(group: TyperGroup) -> Iterator[tuple[str, TyperCommand]]:
    yield from ((name, found) for name, found in group.commands.items() if isinstance(found, TyperCommand))


def _usage(path: str, command: TyperCommand) -> str:
    return " ".join([path, *(_place(one) for one in command.params if isinstance(one, TyperArgument))])


def _command(path: str, command: TyperCommand, level: str) -> str:
    usage = _usage(path, command)
    return "\n".join(
        [f"{level} `{usage}`", "", _prose(command.help), *([_parameters(command)] if command.params else [])]
    )


def _prose(text: str | None) -> str:
    return " ".join((text or "").split()) + "\n"


def _place(argument: TyperArgument) -> str:
    """Return an argument as the usage shows it; brackets mean that it may be left out."""
    name = (argument.metavar or str(argument.name).upper()).strip("[]")
    name = f"{name.removesuffix('...')}…" if argument.nargs == -1 else name
    return name if argument.required else f"[{name}]"


def _parameters(command: TyperCommand | TyperGroup) -> str:
    rows = [
        _argument_row(one) if isinstance(one, TyperArgument) else _option_row(one)
        for one in command.params
        if isinstance(one, TyperArgument | TyperOption)
    ]
    return "\n".join(["| | |", "|---|---|", *rows, ""])


def _argument_row(argument: TyperArgument) -> str:
    return f"| `{_barred(_place(argument))}` | {_cell(argument.help)} |"


def _option_row(option: TyperOption) -> str:
    value = "" if option.is_flag or option.count else f" {option.metavar or _kind(option)}"
    names = ", ".join(f"`{name}{_barred(value)}`" for name in option.opts)
    notes = [option.help or ""]
    if option.required:
        notes.append("Required.")
    if option.default not in {None, "", False}:
        notes.append(f"Default: {option.default}.")
    return f"| {names} | {_cell(' '.join(notes))} |"


def _kind(option: TyperOption) -> str:
    """Return what kind of value an option takes, where it does not say so itself."""
    annotation = option.type_descriptor.annotation
    kind = next(iter(get_args(annotation)), annotation)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "|".join(str(member.value) for member in kind)
    return "N" if kind is int else "TEXT"


def _barred(text: str) -> str:
    return text.replace("|", "\\|")


def _cell(text: str | None) -> str:
    return _barred(" ".join((text or "").split()))


def settings_page() -> str:
    """Return the text of `docs/settings.md`."""
    return "\n".join([SETTINGS_HEAD, *_settings_sections()])


def _settings_sections() -> Iterator[str]:
    begin = {f"NEWSLETTER_{key.upper()}": section for key, section in SECTIONS.items()}
    rows: list[str] = []
    for setting in settings_help():
        if setting.name in begin:
            if rows:
                yield "\n".join([*rows, ""])
            title, words = begin[setting.name]
            rows = [f"## {title}", "", *([words, ""] if words else []), "| setting | default | |", "|---|---|---|"]
        rows.append(_setting_row(setting))
    yield "\n".join([*rows, ""])


def _setting_row(setting: Setting) -> str:
    default = f"`{setting.default}`" if setting.default else "**required**" if setting.required else ""
    words = setting.description
    if setting.example:
        words += f" For example `{setting.example}`."
    if setting.secret:
        words += f" *Secret: or `{setting.name}{FILE_SUFFIX}`.*"
    return f"| `{setting.name}` | {default} | {_cell(words)} |"


def pages() -> dict[Path, str]:
    """Return every page that is written here, with its text."""
    return {DOCS / "commands.md": commands_page(), DOCS / "settings.md": settings_page()}


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
    # Half a minute, for a year.
    logging.disable(logging.CRITICAL)
    (DOCS / "a-year.md").write_text(year_page(play_example()), encoding="utf-8")

"""`newsletter tip new`, `add`, `import` and `edit`: tips as files, from a folder, a pipe or an editor."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from newsletter.cli.archive_file import (
    ArchiveTarget,
    check_options,
    import_archive_file,
    is_archive,
    print_redirects,
)
from newsletter.cli.context import State, state
from newsletter.cli.output import Json, one_line, say, warn
from newsletter.cli.paths import is_folder, opened_file
from newsletter.errors import InputError, NewsletterError
from newsletter.wording import plural

if TYPE_CHECKING:
    from newsletter.cli.editor import EditedDraft
    from newsletter.core.tip import Tip
    from newsletter.flows.queue_tip import Queued, TipText

app = typer.Typer(rich_markup_mode=None)

TEMPLATE = """---
title: {title}
# subject: if the subject line is to differ from the title
# preheader: the line that mail programs show beside the subject
status: draft
---

Hello {{{{ first_name|there }}}},

{idea}

{task}
"""

FROM_STDIN = "standard input"
_NUMBER = re.compile("([0-9]{1,18})")


@app.command("new")
def new(context: typer.Context, title: Annotated[str, typer.Argument(help="The headline of the mail.")]) -> None:
    """Write a tip in $VISUAL or $EDITOR.

    Saving the template unchanged adds nothing.
    """
    from newsletter.cli.editor import edit
    from newsletter.core.tip import slug_from
    from newsletter.core.tip_body import PLACEHOLDERS

    invocation = state(context)
    if not title.strip():
        raise InputError('say what the tip is called: newsletter tip new "Answer with a date"')
    invocation.app.unit  # noqa: B018 a missing database is reported before the editor opens
    quoted = title.replace("\\", "\\\\").replace('"', '\\"')
    idea, task = PLACEHOLDERS
    text = TEMPLATE.format(title=f'"{quoted}"', idea=idea, task=task)
    draft = edit(text, name=f"{slug_from(title) or 'tip'}.md", environ=invocation.environ)
    if not draft.changed:
        draft.done()
        say("Saved unchanged, so nothing was added.")
        return
    _store_draft(invocation, draft)


@app.command("add")
def add(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Tip files; - reads one from standard input.")],
) -> None:
    """Add tips from files.

    A file whose slug is known updates that tip until it has gone out.
    """
    _queue(state(context), *_read_all(files))


@app.command("import")
def import_folder(
    context: typer.Context,
    *,
    folders: Annotated[
        list[Path],
        typer.Argument(
            metavar="FOLDER|FILE",
            help="A folder: every .md file in it. Or a WordPress export, an RSS, Atom or JSON feed (export.xml).",
        ),
    ],
    target: Annotated[
        ArchiveTarget | None,
        typer.Option(
            "--as",
            help="What published posts of an export become: pages of the public archive (the default), drafts of the "
            "queue, or evergreens.",
        ),
    ] = None,
    update: Annotated[bool, typer.Option("--update", help="Write posts of an export anew that are there.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Of an export: show the result; write nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Add every tip of a folder, or bring an old archive along.

    A folder: in the order of the file names, all of them, or none when one has a fault. An export of another program:
    post by post, with a report; a second import changes nothing.
    """
    archives = [path for path in folders if is_archive(path) and not is_folder(path)]
    others = [path for path in folders if path not in archives]
    check_options(archives, others, chosen=target is not None or update or dry_run or as_json)
    for path in archives:
        import_archive_file(
            state(context),
            path,
            target=target or ArchiveTarget.ARCHIVE,
            update=update,
            dry_run=dry_run,
            as_json=as_json,
        )
    if others:
        _import_tips(state(context), others)


@app.command("redirects")
def redirects(context: typer.Context, as_json: Json = False) -> None:
    """Print where old addresses lead, as a map for nginx."""
    print_redirects(state(context), as_json=as_json)


def _import_tips(invocation: State, folders: list[Path]) -> None:
    paths: list[Path] = []
    unreadable: list[InputError] = []
    for folder in folders:
        if not is_folder(folder):
            paths.append(folder)
            continue
        try:
            paths += _files_of(folder)
        except InputError as fault:
            unreadable.append(fault)
    _queue(invocation, *_read_all(paths, unreadable))


def _files_of(folder: Path) -> list[Path]:
    try:
        inside = list(folder.iterdir())
    except OSError as error:
        raise InputError(f"{folder} cannot be read ({error.strerror})") from error
    files = [path for path in inside if path.suffix.lower() == ".md" and not path.name.startswith(".")]
    if not files:
        raise InputError(f"{folder} holds no .md file")
    return sorted(files, key=_by_numbers)


@app.command("edit")
def edit_one(
    context: typer.Context, tip: Annotated[str, typer.Argument(metavar="TIP", help="A slug, or the beginning of one.")]
) -> None:
    """Change a tip in $VISUAL or $EDITOR.

    Saving it unchanged changes nothing.
    """
    from newsletter.cli.editor import edit
    from newsletter.cli.tip_names import editions_of, find_tip, named
    from newsletter.core.tip import draft_of
    from newsletter.core.tip_file import render_tip_file
    from newsletter.flows.queue_tip import TipText, edit_tip

    invocation = state(context)
    known = find_tip(invocation.app.unit, tip)
    sent = editions_of(invocation.app.unit, known)
    if sent:
        warn(
            f"{known.slug} was frozen for {', '.join(map(str, sent))}: what you change here does not change that mail."
        )
    draft = edit(render_tip_file(draft_of(known)), name=f"{known.slug}.md", environ=invocation.environ)
    if not draft.changed:
        draft.done()
        say("Saved unchanged, so nothing was changed.")
        return
    try:
        file = TipText(name=draft.path.name, text=draft.text)
        result = edit_tip(
            invocation.app.unit, known, file, invocation.app.review(invocation.app.clock.now()), who=invocation.who
        )
    except NewsletterError as error:
        raise _kept(error, draft) from error
    draft.done()
    say(f"{named(result.tip)}: {result.outcome}, {result.tip.status}.")
    _warn_of_placeholder(result.tip)


def _store_draft(invocation: State, draft: EditedDraft) -> None:
    from newsletter.flows.queue_tip import TipText

    try:
        _queue(invocation, [TipText(name=draft.path.name, text=draft.text)])
    except NewsletterError as error:
        raise _kept(error, draft) from error
    draft.done()


def _kept(error: NewsletterError, draft: EditedDraft) -> NewsletterError:
    where = f"your text is kept: correct {draft.path} and run `newsletter tip add {draft.path}`"
    return type(error)(str(error), details=(*error.details, where))


def _queue(invocation: State, files: list[TipText], unreadable: Sequence[str] = ()) -> None:
    from newsletter.cli.tip_names import tell_due
    from newsletter.flows.queue_tip import QueueOutcome, queue_tips

    app = invocation.app
    now = app.clock.now()
    result = queue_tips(app.unit, files, app.review(now), who=invocation.who, unreadable=unreadable)
    for queued in result:
        say(_words(queued))
        _warn_of_placeholder(queued.tip)
    counts = {outcome: sum(queued.outcome is outcome for queued in result) for outcome in QueueOutcome}
    if len(result) > 1:
        text = [f"{count:,} {outcome}" for outcome, count in counts.items() if count]
        say(f"{plural(len(result), 'file')}: {', '.join(text)}.")
    if counts[QueueOutcome.ADDED] or counts[QueueOutcome.UPDATED]:
        tell_due(app, now)


def _warn_of_placeholder(tip: Tip) -> None:
    from newsletter.cli.tip_names import named
    from newsletter.core.tip import TipStatus
    from newsletter.core.tip_body import placeholder_faults

    left = placeholder_faults(tip.body, 1)
    if left and tip.status is TipStatus.DRAFT:
        warn(f"{named(tip)}: {left[0].text} before you approve it: newsletter tip edit {tip.slug}")


def _words(queued: Queued) -> str:
    from newsletter.cli.tip_names import named
    from newsletter.flows.queue_tip import QueueOutcome

    pinned = f", pinned to {queued.tip.pin}" if queued.tip.pin else ""
    match queued.outcome:
        case QueueOutcome.SENT:
            return (
                f"{named(queued.tip)}: not changed, since it went out already; "
                "give the file another slug to send it as a new tip"
            )
        case QueueOutcome.UNCHANGED:
            return f"{named(queued.tip)}: unchanged, {queued.tip.status}{pinned}"
        case _:
            return f"{named(queued.tip)}: {queued.outcome}, {queued.tip.status}{pinned}"


def _read_all(paths: list[Path], unreadable: Sequence[InputError] = ()) -> tuple[list[TipText], list[str]]:
    """Read every file; return also a line about each that cannot be read, so that it hides no fault of the others."""
    files: list[TipText] = []
    faults = list(unreadable)
    for path in paths:
        try:
            files.append(_read(path))
        except InputError as fault:
            faults.append(fault)
    if len(faults) == 1 and not files:
        raise InputError(f"{faults[0]}; nothing was changed")
    return files, [str(fault) for fault in faults]


def _is_stream(path: Path) -> bool:
    """Return whether a path is an open descriptor, such as a shell's `<(command)`."""
    parts = path.parts[1:]
    # Not all of /dev: /dev/shm holds ordinary files.
    return path.is_absolute() and (parts[:2] in (("dev", "fd"), ("dev", "stdin")) or parts[:1] == ("proc",))


def _read(path: Path) -> TipText:
    from newsletter.core.tip_file import FILE_LIMIT
    from newsletter.flows.queue_tip import TipText

    # A file name may hold bytes that no terminal and no database takes.
    name = FROM_STDIN if str(path) == "-" else one_line(str(path))
    if is_folder(path):
        raise InputError(f"{path} is a folder; `newsletter tip import {path}` takes every .md file in it")
    try:
        if name == FROM_STDIN:
            content = sys.stdin.buffer.read(FILE_LIMIT + 1)
        elif _is_stream(path):
            with path.open("rb") as file:
                content = file.read(FILE_LIMIT + 1)
        else:
            with opened_file(path) as file:
                content = file.read(FILE_LIMIT + 1)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror})") from error
    if len(content) > FILE_LIMIT:
        raise InputError(f"{name} is over {FILE_LIMIT:,} bytes long, which no tip is")
    try:
        return TipText(name=name, text=content.decode("utf-8"))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        message = f"{name}, line {line}: this is not UTF-8 text; save the file as UTF-8"
        raise InputError(message) from error


def _by_numbers(path: Path) -> list[tuple[int, str]]:
    """Return a key that puts `2-two.md` before `10-ten.md`, as people count."""
    return [
        (int(part), "") if _NUMBER.fullmatch(part) else (-1, part.lower()) for part in _NUMBER.split(path.name) if part
    ]

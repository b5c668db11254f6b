"""`newsletter tip preview` and `export`: tips as mails to look at, and as files to keep or to import elsewhere."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from newsletter.cli.context import State, state
from newsletter.cli.output import say, warn
from newsletter.cli.private_file import write_private
from newsletter.errors import InputError, NewsletterError
from newsletter.wording import plural

if TYPE_CHECKING:
    from newsletter.core.tip import Tip
    from newsletter.flows.proof import Proof

app = typer.Typer(rich_markup_mode=None)

TipName = Annotated[str, typer.Argument(metavar="TIP", help="A slug, or the beginning of one.")]


@app.command("preview")
def preview(
    context: typer.Context,
    tip: TipName,
    *,
    reader: Annotated[
        str | None, typer.Option("--as", metavar="EMAIL", help="As this subscriber would see it.")
    ] = None,
    to: Annotated[
        list[str] | None, typer.Option("--to", metavar="EMAIL", help="Mail it to this address instead, as a proof.")
    ] = None,
    browser: Annotated[bool, typer.Option("--open", help="Open it in a browser.")] = False,
    folder: Annotated[
        Path | None,
        typer.Option("--folder", metavar="FOLDER", help="Where to put the files. Default: data/previews/SLUG."),
    ] = None,
) -> None:
    """Write the mail of a tip to files, or mail it.

    As a reader would get it: HTML, text and .eml. Drafts too.
    """
    from newsletter.cli.tip_names import TIP_DATE_WEEKS, find_tip
    from newsletter.flows.freeze import series_of
    from newsletter.flows.plan import outlook
    from newsletter.flows.preview import compile_tip, find_reader, recipient_of
    from newsletter.flows.proof import preview_proof

    if to and (reader is not None or folder is not None or browser):
        raise InputError("--to mails the preview, with the values of its reader; leave out --as, --open and --folder")
    invocation = state(context)
    app_ = invocation.app
    now = app_.clock.now()
    known = find_tip(app_.unit, tip)
    ahead = outlook(app_.unit, app_.plan_rules, weeks=TIP_DATE_WEEKS, now=now)
    coming = next((choice.slot.date for choice in ahead.choices if choice.tip and choice.tip.id == known.id), None)
    with app_.unit.read() as tx:
        series = series_of(tx, known)
    compiled = compile_tip(app_.render_context, known, on=coming or app_.review(now).on, series=series)
    if to:
        _mail(invocation, known, preview_proof(known, compiled, coming), to)
        return
    person = find_reader(app_.unit, reader) if reader is not None else None
    recipient = recipient_of(app_.render_context, person, now=now)
    from newsletter.render.preview import preview_files

    folder = folder or invocation.home / "data" / "previews" / known.slug
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in preview_files(compiled, recipient).items():
            write_private(folder / name, content)
            say(str(folder / name))
    except OSError as error:
        message = f"{folder} cannot be written ({error.strerror}); choose another folder with --folder"
        raise InputError(message) from error
    for warning in compiled.warnings:
        warn(f"Warning: {warning}")
    say(f"Subject: {compiled.subject(recipient)}")
    page = folder / "preview.html"
    if browser and not webbrowser.open(page.absolute().as_uri()):
        raise NewsletterError(f"no browser could be started; open {page} yourself")
    say(f"It passes every check; open {page} in a browser. Its unsubscribe link is a sample.")


@app.command("export")
def export(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where to put the files; it is made if need be.")],
    tips: Annotated[
        list[str] | None, typer.Argument(metavar="TIP", help="Slugs, or beginnings of them. Default: the queue.")
    ] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Sent and retired tips as well.")] = False,
) -> None:
    """Write tips as files in the order of the queue.

    Importing them again changes nothing.
    """
    from newsletter.cli.tip_names import find_tip
    from newsletter.core.tip import TipStatus
    from newsletter.core.tip_file import export_draft, render_tip_file
    from newsletter.store import tip as stored

    if tips and everything:
        raise InputError("name tips, or write --all; not both")
    unit = state(context).app.unit
    chosen = [find_tip(unit, text) for text in tips or ()]
    if not chosen:
        with unit.read() as tx:
            queued = (TipStatus.DRAFT, TipStatus.APPROVED)
            chosen = list(stored.all_tips(tx, statuses=tuple(TipStatus) if everything else queued))
    digits = max(2, len(str(len(chosen))))
    files = {
        f"{number:0{digits}}-{tip.slug}.md": render_tip_file(export_draft(tip))
        for number, tip in enumerate(chosen, start=1)
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        present = sorted(path.name for path in folder.glob("*.md"))
        if present:
            raise InputError(f"{folder} holds .md files already, such as {present[0]}; name an empty folder")
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{folder} cannot be written ({error.strerror}); name another folder") from error
    say(f"{plural(len(files), 'tip')} written to {folder}; `newsletter tip import {folder}` reads them.")


def _mail(invocation: State, tip: Tip, proof: Proof, people: list[str]) -> None:
    """Mail a preview to people, as a proof is mailed: at once, counted nowhere."""
    from newsletter.core.notice import NoticeKey, NoticeKind
    from newsletter.flows.proof import proof_for
    from newsletter.sending.notice_sender import NoticeSender

    app_ = invocation.app
    key = NoticeKey(kind=NoticeKind.PROOF, about=tip.slug, variant="preview")
    now = app_.clock.now()
    messages = {email: proof_for(app_.unit, app_.notice_context, proof, email, key, now=now) for email in people}
    sender = NoticeSender.beside(app_.sender())
    for email, message in messages.items():
        sender.hand_over_now(message, email)
        say(f"Sent to {email}: a preview of “{tip.title}”.")

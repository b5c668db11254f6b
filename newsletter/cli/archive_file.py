"""`newsletter tip import` with the archive of another program: a WordPress export, or an RSS, Atom or JSON feed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from newsletter.cli.output import one_line, print_json, say, warn
from newsletter.cli.paths import opened_file
from newsletter.errors import InputError
from newsletter.wording import plural

if TYPE_CHECKING:
    from newsletter.cli.context import State
    from newsletter.core.archive_import import ArchiveRules
    from newsletter.flows.import_archive import ArchiveReport

SUFFIXES = frozenset((".xml", ".rss", ".atom", ".json", ".rdf", ".zip", ".gz"))
"""Files that are no tips; the last two are named so that people hear what to do with them."""
_PROGRESS_POST_COUNT = 1_000


class ArchiveTarget(StrEnum):
    """Values of `--as`."""

    ARCHIVE = "archive"
    DRAFT = "draft"
    EVERGREEN = "evergreen"


def is_archive(path: Path) -> bool:
    """Tell by its name whether a file is the archive of another program."""
    return path.suffix.lower() in SUFFIXES


def import_archive_file(
    invocation: State, path: Path, *, target: ArchiveTarget, update: bool, dry_run: bool, as_json: bool
) -> None:
    """Import one file and print the report."""
    from newsletter.flows.import_archive import ArchiveFile, import_archive

    app = invocation.app
    now = app.clock.now()
    name = one_line(path.name)
    rules = _rules(invocation, target, update=update)
    with opened_file(path) as stream, _archive_progress(quiet=as_json) as progress:
        report = import_archive(
            app.unit,
            ArchiveFile(stream=stream, name=name),
            rules,
            app.review(now),
            who=invocation.who,
            dry_run=dry_run,
            progress=progress,
        )
    if as_json:
        print_json(_report_json(report))
        return
    _print_report(report, target)


def print_redirects(invocation: State, *, as_json: bool) -> None:
    """Print where old addresses lead."""
    from newsletter.store import redirect as redirects

    app = invocation.app
    with app.unit.read() as tx:
        pairs = redirects.all_redirects(tx)
    base = app.settings.base_url
    if as_json:
        print_json([{"from": path, "to": f"{base}/tips/{slug}"} for path, slug in pairs])
        return
    if not pairs:
        warn("No old address leads to a page yet: `newsletter tip import export.xml` brings them along.")
    say("# Old addresses of the archive, for the http block of nginx, where many of them need more room:")
    say("#   map_hash_max_size 65536; map_hash_bucket_size 512;")
    say("# In the server block of the old site:")
    say("#   if ($archive_page) { return 301 $archive_page; }")
    say("#   if ($archive_post) { return 301 $archive_post; }")
    _print_map("$uri", "$archive_page", [pair for pair in pairs if "?" not in pair[0]], base)
    _print_map('"$uri?$args"', "$archive_post", [pair for pair in pairs if "?" in pair[0]], base)


def _print_map(source: str, variable: str, pairs: Sequence[tuple[str, str]], base: str) -> None:
    """Print one map. nginx compares without capitals, and with a closing slash as another address."""
    say(f"map {source} {variable} {{")
    for path, slug in pairs:
        if path.isprintable():
            quoted = path.replace("\\", "\\\\").replace('"', '\\"')
            for end in ("",) if "?" in path else ("", "/"):
                say(f'    "{quoted}{end}" {base}/tips/{slug};')
    say("}")


def _rules(invocation: State, target: ArchiveTarget, *, update: bool) -> ArchiveRules:
    from newsletter.core.archive_import import ArchiveRules, ImportMode
    from newsletter.core.archive_title import split_patterns
    from newsletter.core.cadence import local

    app = invocation.app
    settings = app.settings
    return ArchiveRules(
        mode=ImportMode(target.value),
        title_patterns=split_patterns(settings.import_titles),
        footer_patterns=split_patterns(settings.import_drop_lines),
        today=local(app.clock.now(), app.cadence.zone).date(),
        base_url=settings.base_url,
        update=update,
    )


@contextmanager
def _archive_progress(*, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on a terminal, a line now and then elsewhere; always on standard error, beside the data."""
    if not sys.stderr.isatty():

        def tell(posts: int, total: int) -> None:
            if not quiet and posts % _PROGRESS_POST_COUNT == 0:
                warn(f"{posts:,} of {total:,} posts")

        yield tell
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading", total=None)
        yield lambda posts, total: bar.update(task, completed=posts, total=total, description=f"{posts:,} posts")


_ADDED = {
    ArchiveTarget.ARCHIVE: "pages of the archive added",
    ArchiveTarget.DRAFT: "drafts added",
    ArchiveTarget.EVERGREEN: "evergreens added, approved",
}
_OUTCOMES = {
    "added_draft": "added as drafts: look at each, then `newsletter tip approve`",
    "updated": "written anew",
    "known": "there already, left as they are",
    "duplicate": "left out: the same text as a post before",
    "deleted": "left out: in the trash there",
    "empty": "left out: without any text",
    "refused": "left out: cannot be used",
}
_REMARKS = {
    "not_published": "were not public there, so they are drafts",
    "title_date": "have a date to look at",
    "time_words": "speak of their own time",
    "dead_link": "link to pages of the old site that do not come along",
    "old_picture": "have pictures or files that are still on the old site",
    "shortcode": "had shortcodes, which are gone; the words in them stayed",
    "emphasis": "lost bold or italic words",
}


def _print_report(report: ArchiveReport, target: ArchiveTarget) -> None:
    from newsletter.core.archive_import import PostOutcome

    would = "Nothing was written; this is what would happen. " if report.dry_run else ""
    say(f"{would}{report.file} ({report.kind}): {plural(report.post_count, 'entry', 'entries')}")
    say(f"{report.outcomes[PostOutcome.ADDED]:>11,}  {_ADDED[target]}")
    for outcome, words in _OUTCOMES.items():
        if count := report.outcomes[PostOutcome(outcome)]:
            say(f"{count:>11,}  {words}")
    for kind, count in report.other_kinds.items():
        say(f"{count:>11,}  left out: {one_line(kind)}, which is no post")
    for refusal in report.refusals:
        say(f"             {refusal}")
    if (refused := report.outcomes[PostOutcome.REFUSED]) > len(report.refusals):
        say(f"             and {refused - len(report.refusals):,} more")
    _print_notes(report)


def _print_notes(report: ArchiveReport) -> None:
    for kind, summary in report.remarks.items():
        say(f"note: {plural(summary.count, 'post')} {_REMARKS[kind.value]}:")
        for example in summary.examples:
            say(f"             {one_line(example)}")
        if summary.count > len(summary.examples):
            say(f"             and {summary.count - len(summary.examples):,} more")
    if report.dropped_lines:
        lines = ", ".join(f"“{one_line(line)}” ({count:,})" for line, count in report.dropped_lines.items())
        say(f"note: lines that were dropped (NEWSLETTER_IMPORT_DROP_LINES): {lines}")
    for line, count in report.repeated_lines.items():
        say(f"note: {count:,} posts end with “{one_line(line)}”. To drop it, add it to NEWSLETTER_IMPORT_DROP_LINES.")
    if report.comment_count:
        say(f"note: {plural(report.comment_count, 'comment')} of readers did not come along")
    if report.removed_count:
        say(f"note: {plural(report.removed_count, 'character')} that XML forbids were taken out")


def _report_json(report: ArchiveReport) -> dict[str, object]:
    return {
        "file": report.file,
        "kind": report.kind,
        "dry_run": report.dry_run,
        "entries": report.post_count,
        **{outcome.value: count for outcome, count in report.outcomes.items()},
        "other_kinds": dict(report.other_kinds),
        "refusals": list(report.refusals),
        "remarks": {
            kind.value: {"count": summary.count, "examples": list(summary.examples)}
            for kind, summary in report.remarks.items()
        },
        "dropped_lines": dict(report.dropped_lines),
        "repeated_lines": dict(report.repeated_lines),
        "removed_characters": report.removed_count,
        "comments": report.comment_count,
    }


def check_options(archives: list[Path], others: list[Path], *, chosen: bool) -> None:
    """Refuse options that only an archive has, and two kinds of files in one command."""
    if archives and (others or len(archives) > 1):
        raise InputError("import the archive of another program by itself, one file at a time")
    if chosen and not archives:
        raise InputError("--as, --update, --dry-run and --json are for an archive, such as export.xml")

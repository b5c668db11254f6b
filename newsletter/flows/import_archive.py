"""Importing an old archive: a WordPress export or a feed becomes pages, drafts or evergreens.

In: a file that can be read twice. Out: an `ArchiveReport` whose counts add up to the posts of the file. The first
reading finds every fault of the file, so that one that is not whole changes nothing. The second writes some posts at a
time, each time in one transaction: an import that was killed is run again and goes on where it ended, and a second
import changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import BinaryIO

from newsletter.core.archive_import import (
    ArchiveFacts,
    ArchivePlanner,
    ArchiveRules,
    PlannedPost,
    PostOutcome,
    RemarkKind,
)
from newsletter.core.archive_post import ArchivedPost, PostStatus
from newsletter.flows.prepare_post import PreparedPost, plain_title, prepare_post
from newsletter.flows.queue_tip import TipValidation
from newsletter.flows.read_feed import open_archive
from newsletter.flows.store_post import PostStore, StoredPost
from newsletter.store import log as logs
from newsletter.store.unit import Unit

BATCH_POST_COUNT = 50
"""Posts of one transaction: a sender beside it waits for some milliseconds at most."""
EXAMPLES_MAX = 5
REFUSALS_MAX = 20
REPEATED_LINE_POSTS_MIN = 10
REPEATED_LINE_SHARE = 0.05
"""A line that ends more posts than this is probably a footer that no pattern names yet."""
_LINE_LENGTH_MAX = 120
_LINES_COUNTED_MAX = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveFile:
    """A file, and its name in messages."""

    stream: BinaryIO
    """Read twice, so it must be seekable."""
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RemarkSummary:
    """How many posts have a remark of one kind, and the first of them."""

    count: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveReport:
    """The result of an import; `post_count` is the sum of all outcomes."""

    file: str
    kind: str
    dry_run: bool
    post_count: int
    outcomes: Mapping[PostOutcome, int]
    other_kinds: Mapping[str, int]
    refusals: tuple[str, ...]
    """Title and reason of the first refused posts."""
    remarks: Mapping[RemarkKind, RemarkSummary]
    dropped_lines: Mapping[str, int]
    """How often each footer line was dropped, the commonest first."""
    repeated_lines: Mapping[str, int]
    """Lines that end many posts and that no pattern names."""
    removed_count: int
    """Characters that XML forbids, which were taken out."""
    comment_count: int
    """Comments of readers, which are not imported."""


@dataclass(slots=True)
class _ArchiveTally:
    """The counts, as they grow."""

    outcomes: Counter[PostOutcome] = field(default_factory=Counter)
    other_kinds: Counter[str] = field(default_factory=Counter)
    refusals: list[str] = field(default_factory=list)
    remark_counts: Counter[RemarkKind] = field(default_factory=Counter)
    examples: dict[RemarkKind, list[str]] = field(default_factory=dict)
    dropped: Counter[str] = field(default_factory=Counter)
    last_lines: Counter[str] = field(default_factory=Counter)
    comment_count: int = 0

    @property
    def changed_count(self) -> int:
        changes = (PostOutcome.ADDED, PostOutcome.ADDED_DRAFT, PostOutcome.UPDATED)
        return sum(self.outcomes[outcome] for outcome in changes)

    def count_planned(self, planned: PlannedPost, outcome: PostOutcome) -> None:
        self.outcomes[outcome] += 1
        self.comment_count += planned.post.comment_count
        if outcome is PostOutcome.OTHER_KIND:
            self.other_kinds[planned.post.kind] += 1

    def count_stored(self, stored: StoredPost) -> None:
        prepared = stored.prepared
        self.count_planned(prepared.planned, stored.outcome)
        if stored.outcome is PostOutcome.REFUSED:
            if len(self.refusals) < REFUSALS_MAX:
                self.refusals.append(f"“{prepared.title}”: {stored.reason}")
            return
        for line in prepared.dropped_lines:
            if line in self.dropped or len(self.dropped) < _LINES_COUNTED_MAX:
                self.dropped[line[:_LINE_LENGTH_MAX]] += 1
        line = prepared.last_line[:_LINE_LENGTH_MAX]
        if line and (line in self.last_lines or len(self.last_lines) < _LINES_COUNTED_MAX):
            self.last_lines[line] += 1
        for remark in prepared.remarks:
            self.remark_counts[remark.kind] += 1
            examples = self.examples.setdefault(remark.kind, [])
            if len(examples) < EXAMPLES_MAX:
                examples.append(f"“{prepared.title}”: {remark.text}")

    def summary(self) -> str:
        counts = {outcome.value.replace("_", " "): self.outcomes[outcome] for outcome in PostOutcome}
        return ", ".join(f"{count} {words}" for words, count in counts.items() if count)

    def repeated_lines(self) -> dict[str, int]:
        stored = sum(self.last_lines.values())
        least = max(REPEATED_LINE_POSTS_MIN, stored * REPEATED_LINE_SHARE)
        return {line: count for line, count in self.last_lines.most_common(EXAMPLES_MAX) if count >= least}


def survey_archive(file: ArchiveFile, rules: ArchiveRules, *, zone: str) -> ArchiveFacts:
    """Read the file through; raise `InputError` for one that is not whole."""
    archive = open_archive(file.stream, file_name=file.name, zone=zone)
    planner = ArchivePlanner(rules=rules)
    slugs: dict[str, str] = {}
    count = 0
    for planned in _planned(archive, planner):
        count += 1
        if slug := planned.slug or planned.same_as:
            is_page = planned.post.status is PostStatus.PUBLISHED
            slugs.update(dict.fromkeys(planned.old_paths, slug) if is_page else {})
    return ArchiveFacts(
        kind=archive.kind, post_count=count, site=archive.site, slugs=slugs, removed_count=archive.removed_count
    )


def import_archive(
    unit: Unit,
    file: ArchiveFile,
    rules: ArchiveRules,
    review: TipValidation,
    *,
    who: str,
    dry_run: bool = False,
    progress: Callable[[int, int], None] = lambda _posts, _total: None,
) -> ArchiveReport:
    """Import a file; `progress` gets the posts so far, and those of the whole file, after each transaction.

    Raises `InputError` when the file as a whole is of no use; a post that is of no use is counted and named.
    """
    facts = survey_archive(file, rules, zone=review.cadence.zone)
    tally = _ArchiveTally()
    store = PostStore(unit=unit, rules=rules, review=review, who=who, source=file.name, dry_run=dry_run)
    archive = open_archive(file.stream, file_name=file.name, zone=review.cadence.zone)
    number = 0
    begun = False
    for batch in _batches(_planned(archive, ArchivePlanner(rules=rules))):
        _import_batch(store, batch, facts, rules, tally)
        number += len(batch)
        if tally.changed_count and not (dry_run or begun):
            # The entry at the end has the numbers; this one stays even if the import is killed before that.
            begun = True
            _log(unit, "begun", file.name, who=who, now=review.now)
        progress(number, facts.post_count)
    if begun:
        _log(unit, tally.summary(), file.name, who=who, now=review.now)
    return ArchiveReport(
        file=file.name,
        kind=facts.kind,
        dry_run=dry_run,
        post_count=number,
        outcomes={outcome: tally.outcomes[outcome] for outcome in PostOutcome},
        other_kinds=dict(tally.other_kinds.most_common()),
        refusals=tuple(tally.refusals),
        remarks={
            kind: RemarkSummary(count=tally.remark_counts[kind], examples=tuple(tally.examples.get(kind, ())))
            for kind in RemarkKind
            if tally.remark_counts[kind]
        },
        dropped_lines=dict(tally.dropped.most_common(EXAMPLES_MAX)),
        repeated_lines=tally.repeated_lines(),
        removed_count=facts.removed_count,
        comment_count=tally.comment_count,
    )


def _planned(posts: Iterable[ArchivedPost], planner: ArchivePlanner) -> Iterator[PlannedPost]:
    for post in posts:
        yield planner.plan(post, plain_title(post.title))


def _batches(posts: Iterable[PlannedPost]) -> Iterator[list[PlannedPost]]:
    iterator = iter(posts)
    while batch := list(islice(iterator, BATCH_POST_COUNT)):
        yield batch


def _import_batch(
    store: PostStore, batch: Sequence[PlannedPost], facts: ArchiveFacts, rules: ArchiveRules, tally: _ArchiveTally
) -> None:
    """Import some posts. Known posts are not converted again, so the second run of an import takes seconds."""
    importable = [planned for planned in batch if planned.outcome is None]
    known = store.known(importable)
    prepared: list[PreparedPost] = []
    for planned in batch:
        if planned.outcome is not None:
            tally.count_planned(planned, planned.outcome)
        elif planned.slug in known and not rules.update:
            tally.count_planned(planned, PostOutcome.KNOWN)
        else:
            prepared.append(prepare_post(planned, facts, rules))
    for stored in store.write(prepared, known):
        tally.count_stored(stored)
    store.write_redirects([planned for planned in batch if planned.outcome is PostOutcome.DUPLICATE])


def _log(unit: Unit, why: str, name: str, *, who: str, now: datetime) -> None:
    with unit.write() as tx:
        logs.add(tx, logs.LogEntry(at=now, who=who, what="archive import", about=name, why=why))

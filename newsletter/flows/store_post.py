"""Storing imported posts: as tips through the queue's own flow, or as pages of the archive with their old addresses.

In: prepared posts, some at a time. Out: the outcome for each. A post that cannot be stored is refused alone, with the
reason; one that is there already is left alone, or written anew when the operator says so.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from newsletter.core.archive_import import ArchiveRules, ImportMode, PlannedPost, PostOutcome
from newsletter.core.archive_page import ArchivePage, NewPage, TopicKind, topics_of
from newsletter.core.tip import TipDraft, TipStatus
from newsletter.core.tip_file import parse_tip_file, render_tip_file
from newsletter.core.tip_keys import TITLE_LIMIT
from newsletter.core.tip_markdown import source_fault
from newsletter.errors import InputError
from newsletter.flows.prepare_post import PreparedPost
from newsletter.flows.queue_tip import QueueOutcome, TipText, TipValidation, queue_drafts
from newsletter.render.article import render_article
from newsletter.store import page as pages
from newsletter.store import redirect as redirects
from newsletter.store import tip as tips
from newsletter.store.unit import Tx, Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPost:
    """One prepared post with its outcome."""

    prepared: PreparedPost
    outcome: PostOutcome
    reason: str = ""


_ParsedTip = tuple[PreparedPost, TipText, TipDraft]
_RenderedPage = tuple[PreparedPost, NewPage]


@dataclass(frozen=True, slots=True, kw_only=True)
class PostStore:
    """Writes posts of one import."""

    unit: Unit
    rules: ArchiveRules
    review: TipValidation
    who: str
    source: str
    """The name of the file, for the log."""
    dry_run: bool

    def known(self, posts: Sequence[PlannedPost]) -> set[str]:
        """Return the slugs of posts whose tip or page exists already."""
        of_pages = [planned.slug for planned in posts if planned.target is ImportMode.ARCHIVE]
        of_tips = [planned.slug for planned in posts if planned.target is not ImportMode.ARCHIVE]
        with self.unit.read() as tx:
            known = {tip.slug for tip in tips.by_slugs(tx, of_tips)} if of_tips else set()
            return known | set(pages.by_slugs(tx, of_pages)) if of_pages else known

    def write(self, prepared: Sequence[PreparedPost], known: Collection[str]) -> list[StoredPost]:
        """Store some posts, the tips in one transaction and the pages in another."""
        stored: list[StoredPost] = []
        new_tips: list[_ParsedTip] = []
        new_pages: list[_RenderedPage] = []
        for post in prepared:
            try:
                if post.planned.target is ImportMode.ARCHIVE:
                    new_pages.append((post, self._page(post)))
                else:
                    new_tips.append(self._tip(post))
            except InputError as error:
                stored.append(StoredPost(prepared=post, outcome=PostOutcome.REFUSED, reason=_reason(error)))
        return [*stored, *self._write_tips(new_tips, known), *self._write_pages(new_pages, known)]

    def write_redirects(self, posts: Sequence[PlannedPost]) -> None:
        """Let the old addresses of posts that repeat another lead to the page of that one."""
        repeated = [planned for planned in posts if planned.old_paths]
        if self.dry_run or self.rules.mode is not ImportMode.ARCHIVE or not repeated:
            return
        with self.unit.write() as tx:
            known = pages.by_slugs(tx, {planned.same_as for planned in repeated})
            for planned in repeated:
                if planned.same_as in known:
                    redirects.add(tx, planned.old_paths, known[planned.same_as][0])

    def _draft(self, post: PreparedPost) -> TipDraft:
        planned = post.planned
        evergreen = planned.target is ImportMode.EVERGREEN
        return TipDraft(
            slug=planned.slug,
            title=post.title,
            subject=post.title,
            preheader=post.preheader,
            author=post.author,
            tags=tuple(topic.name for topic in post.topics),
            evergreen=evergreen,
            first_published=planned.published_on,
            # A text that speaks of its own week is wrong when it is sent again: a person reads it first.
            status=TipStatus.APPROVED if evergreen and not post.has_time_words else TipStatus.DRAFT,
            body=post.body,
        )

    def _tip(self, post: PreparedPost) -> _ParsedTip:
        """Return the tip file of a post, and what it says: nothing gets in that a file could not say."""
        text = render_tip_file(self._draft(post))
        name = f"{self.source}, post {post.planned.post.number}"
        return post, TipText(name=name, text=text), parse_tip_file(text, file_name=name)

    def _page(self, post: PreparedPost) -> NewPage:
        planned = post.planned
        day = planned.published_on
        if day is None:
            raise InputError("it has no date, and a page of the archive needs one")
        if not post.title or len(post.title) > TITLE_LIMIT:
            raise InputError(f"its title has {len(post.title)} characters; 1 to {TITLE_LIMIT} are possible")
        if not post.body:
            raise InputError("nothing of its text is left once it is cleaned")
        if fault := source_fault(post.body, 1):
            raise InputError(fault.text)
        article = render_article(self._draft(post), self.review.render_context.publication)
        categories = topics_of((topic.name for topic in post.topics if topic.is_category), TopicKind.CATEGORY)
        slugs = {topic.slug for topic in categories}
        tags = topics_of(topic.name for topic in post.topics if not topic.is_category)
        return NewPage(
            slug=planned.slug,
            title=article.title,
            html=article.html,
            text=article.text,
            language=article.language,
            published_on=day,
            topics=(*categories, *(tag for tag in tags if tag.slug not in slugs)),
            author=post.author,
        )

    def _write_tips(self, posts: Sequence[_ParsedTip], known: Collection[str]) -> list[StoredPost]:
        if not posts:
            return []
        try:
            results = self._queue(posts, known)
        except InputError as error:
            if len(posts) > 1:
                return [stored for post in posts for stored in self._write_tips([post], known)]
            ((post, file, draft),) = posts
            if draft.status is TipStatus.DRAFT:
                return [StoredPost(prepared=post, outcome=PostOutcome.REFUSED, reason=_reason(error))]
            # It could not be mailed as it is: a person mends the draft.
            return self._write_tips([(post, file, replace(draft, status=TipStatus.DRAFT))], known)
        return [
            StoredPost(prepared=post, outcome=self._tip_outcome(post, *result))
            for (post, _, _), result in zip(posts, results, strict=True)
        ]

    def _queue(self, posts: Sequence[_ParsedTip], known: Collection[str]) -> list[tuple[QueueOutcome, TipStatus]]:
        """Add or update tips through the flow of the queue; a dry run only says what it would do."""
        if self.dry_run:
            return [
                (QueueOutcome.UPDATED if draft.slug in known else QueueOutcome.ADDED, draft.status)
                for _, _, draft in posts
            ]
        queued = queue_drafts(self.unit, [(file, draft) for _, file, draft in posts], self.review, who=self.who)
        return [(result.outcome, result.tip.status) for result in queued]

    def _tip_outcome(self, post: PreparedPost, outcome: QueueOutcome, status: TipStatus) -> PostOutcome:
        if outcome is QueueOutcome.UPDATED:
            return PostOutcome.UPDATED
        if outcome is not QueueOutcome.ADDED:
            return PostOutcome.KNOWN
        mode = self.rules.mode
        as_asked = post.planned.target is mode and (mode is ImportMode.DRAFT or status is TipStatus.APPROVED)
        return PostOutcome.ADDED if as_asked else PostOutcome.ADDED_DRAFT

    def _write_pages(self, posts: Sequence[_RenderedPage], known: Collection[str]) -> list[StoredPost]:
        if not posts:
            return []
        if self.dry_run:
            return [
                StoredPost(prepared=post, outcome=PostOutcome.UPDATED if new.slug in known else PostOutcome.ADDED)
                for post, new in posts
            ]
        with self.unit.write() as tx:
            return [StoredPost(prepared=post, outcome=self._write_page(tx, post, new)) for post, new in posts]

    def _write_page(self, tx: Tx, post: PreparedPost, new: NewPage) -> PostOutcome:
        now = self.review.now
        if pages.add_page(tx, new, now=now, old_paths=post.planned.old_paths) is not None:
            return PostOutcome.ADDED
        page_id, has_tip = pages.by_slugs(tx, [new.slug])[new.slug]
        if has_tip or not self.rules.update or _is_shown(pages.find_page(tx, new.slug), new):
            return PostOutcome.KNOWN
        pages.rewrite_page(tx, page_id, new, now=now)
        redirects.add(tx, post.planned.old_paths, page_id)
        return PostOutcome.UPDATED


def _is_shown(page: ArchivePage | None, new: NewPage) -> bool:
    """Tell whether a page shows already what it would show."""
    if page is None:
        return False
    shown = (page.html, page.entry.title, page.author, page.entry.topics)
    return shown == (new.html, " ".join(new.title.split()), new.author, new.topics)


def _reason(error: InputError) -> str:
    return error.details[0] if error.details else str(error)

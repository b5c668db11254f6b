"""The plan of an import: a slug and a target for each post of an old archive, before its text is read.

In: posts in the order of their file. Out: for each a slug that no other post of the file has, and what it is to be: a
page, a draft, an evergreen, or nothing, with the reason. The same file gives the same plan each time, so that a second
import, or one that was killed and is run again, finds what is there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from hashlib import blake2b
from urllib.parse import unquote, urlsplit

from newsletter.core.archive_post import ArchivedPost, PostStatus
from newsletter.core.archive_title import ArchiveTitle, split_title
from newsletter.core.old_path import old_path
from newsletter.core.tip import SLUG_LIMIT, slug_from

_DIGEST_BYTES = 8


class ImportMode(StrEnum):
    """The target of published posts."""

    ARCHIVE = "archive"
    DRAFT = "draft"
    EVERGREEN = "evergreen"


class PostOutcome(StrEnum):
    """The result for one post; each post has exactly one."""

    ADDED = "added"
    ADDED_DRAFT = "added_draft"
    """A draft, where a page or an approved evergreen was asked for."""
    UPDATED = "updated"
    KNOWN = "known"
    DUPLICATE = "duplicate"
    OTHER_KIND = "other_kind"
    DELETED = "deleted"
    EMPTY = "empty"
    REFUSED = "refused"


class RemarkKind(StrEnum):
    """Kinds of findings in an imported post that a person should check."""

    NOT_PUBLISHED = "not_published"
    TITLE_DATE = "title_date"
    TIME_WORDS = "time_words"
    DEAD_LINK = "dead_link"
    OLD_PICTURE = "old_picture"
    SHORTCODE = "shortcode"
    EMPHASIS = "emphasis"
    LEFT_OUT = "left_out"


@dataclass(frozen=True, slots=True, kw_only=True)
class PostRemark:
    """One remark about one post."""

    kind: RemarkKind
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveRules:
    """The options and settings of an import."""

    mode: ImportMode
    title_patterns: tuple[str, ...]
    footer_patterns: tuple[str, ...]
    today: date
    base_url: str
    """The address below which the pages are shown."""
    update: bool = False
    """Write posts anew that are there already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedPost:
    """A post with its target."""

    post: ArchivedPost
    title: ArchiveTitle
    slug: str = ""
    target: ImportMode | None = None
    outcome: PostOutcome | None = None
    """Set where the post comes to nothing."""
    same_as: str = ""
    """The slug of the post whose text this one repeats."""

    @property
    def published_on(self) -> date | None:
        """The day on which readers first had it: that of its title before that of the file."""
        if self.post.status is not PostStatus.PUBLISHED:
            return None
        return self.title.published_on or self.post.published_on

    @property
    def old_paths(self) -> tuple[str, ...]:
        """The addresses under which the old site showed it."""
        return tuple(dict.fromkeys(path for url in self.post.addresses if (path := old_path(url))))


@dataclass(slots=True)
class ArchivePlanner:
    """Plans the posts of one reading of a file, in their order."""

    rules: ArchiveRules
    _slugs: set[str] = field(default_factory=set)
    _texts: dict[bytes, str] = field(default_factory=dict)
    """The slug of each text, by a digest: twenty years of texts would not fit into memory."""
    _draft_texts: set[bytes] = field(default_factory=set)
    """The digests of texts that only drafts have so far; a published post does not repeat a draft."""

    def plan(self, post: ArchivedPost, plain_title: str) -> PlannedPost:
        """Decide about one post; `plain_title` is its title without markup."""
        title = split_title(plain_title, self.rules.title_patterns, today=self.rules.today)
        nothing = _nothing(post)
        if nothing is not None:
            return PlannedPost(post=post, title=title, outcome=nothing)
        digest = blake2b(" ".join(post.content.split()).encode("utf-8", "replace"), digest_size=_DIGEST_BYTES).digest()
        target = self._target(post)
        is_first_page = target is not ImportMode.DRAFT and digest in self._draft_texts
        if (same_as := self._texts.get(digest)) is not None and not is_first_page:
            return PlannedPost(post=post, title=title, outcome=PostOutcome.DUPLICATE, same_as=same_as)
        slug = self._free_slug(_wanted_slug(post, title.title) or f"post-{digest.hex()[:8]}")
        self._slugs.add(slug)
        self._texts[digest] = slug
        (self._draft_texts.add if target is ImportMode.DRAFT else self._draft_texts.discard)(digest)
        return PlannedPost(post=post, title=title, slug=slug, target=target)

    def _target(self, post: ArchivedPost) -> ImportMode:
        if post.status is not PostStatus.PUBLISHED or is_to_come(post, self.rules.today):
            return ImportMode.DRAFT
        return self.rules.mode

    def _free_slug(self, slug: str) -> str:
        candidate, number = slug, 1
        while candidate in self._slugs:
            number += 1
            candidate = f"{slug[: SLUG_LIMIT - len(str(number)) - 1]}-{number}"
        return candidate


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveFacts:
    """Facts about a whole file, from its first reading."""

    kind: str
    """Such as `WordPress export`."""
    post_count: int
    site: str
    """The address of the old site; empty where the file names none."""
    slugs: Mapping[str, str]
    """The slug of each post that readers could see, by its old paths."""
    removed_count: int
    """Characters that XML forbids, which were taken out."""


def is_to_come(post: ArchivedPost, today: date) -> bool:
    """Tell whether a post is dated after today, as scheduled posts and some feeds have them."""
    return post.published_on is not None and post.published_on > today


def _nothing(post: ArchivedPost) -> PostOutcome | None:
    """Return why a post comes to nothing, whatever its text says."""
    if post.kind != "post":
        return PostOutcome.OTHER_KIND
    if post.status is PostStatus.DELETED:
        return PostOutcome.DELETED
    return None if post.content.strip() else PostOutcome.EMPTY


def _wanted_slug(post: ArchivedPost, title: str) -> str:
    """Return the slug of the old site, so that addresses stay alike; else the one that the title suggests."""
    if slug := slug_from(unquote(post.slug)):
        return slug
    path = urlsplit(post.addresses[0]).path if post.addresses and old_path(post.addresses[0]) else ""
    last = unquote(path.rstrip("/").rpartition("/")[2])
    return slug_from(title) if not last or last.isdigit() else slug_from(last.removesuffix(".html"))

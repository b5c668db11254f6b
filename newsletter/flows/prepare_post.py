"""Make the text of a tip from one post of an old archive: the costly part of an import, and nothing but values.

In: a planned post and what is known of its file. Out: Markdown and the keys of a tip, with remarks for a person. It
reads no database and opens no address.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote, urljoin

from newsletter.core.archive_import import (
    ArchiveFacts,
    ArchiveRules,
    ImportMode,
    PlannedPost,
    PostRemark,
    RemarkKind,
    is_to_come,
)
from newsletter.core.archive_post import PostStatus, PostTopic, same_site, split_address
from newsletter.core.footer_lines import without_footer
from newsletter.core.front_matter import NOT_IN_A_LINE
from newsletter.core.old_path import old_path
from newsletter.core.time_words import TIME_WORDS_SHOWN_MAX, time_words
from newsletter.core.tip_keys import NAME_LIMIT, PREHEADER_LIMIT, TAGS_LIMIT
from newsletter.core.wordpress_text import site_html
from newsletter.render.from_html import markdown_from_html, words_from_html

_NO_TOPIC = frozenset(("uncategorized", "uncategorised", "allgemein"))
"""The category that WordPress gives to posts without one."""
_LINK = re.compile(r"(?P<picture>!?)\[(?:\\.|[^\]\\])*\]\((?P<url>[^\s)]+(?:\([^\s)]*\)[^\s)]*)*)")
_UPLOADS = re.compile(r"/wp-content/|/files/|\.(?:pdf|docx?|pptx?|xlsx?|jpe?g|png|gif|mp3|mp4|zip)$", re.IGNORECASE)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_REMARK_LINKS_MAX = 3
_DATES_APART_DAYS_MAX = 31
"""A tip is often posted days before or after it was mailed; more is a slip of the pen in one of the two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedPost:
    """A post as it is to be stored."""

    planned: PlannedPost
    title: str
    body: str
    """Markdown; empty where nothing was left of the post."""
    author: str
    preheader: str
    topics: tuple[PostTopic, ...]
    remarks: tuple[PostRemark, ...]
    dropped_lines: tuple[str, ...]
    last_line: str

    @property
    def has_time_words(self) -> bool:
        """Whether the text speaks of its own week or year."""
        return any(remark.kind is RemarkKind.TIME_WORDS for remark in self.remarks)


def plain_title(text: str) -> str:
    """Return the title of a post as one line of plain text."""
    return line_of(words_from_html(text))


def prepare_post(planned: PlannedPost, facts: ArchiveFacts, rules: ArchiveRules) -> PreparedPost:
    """Convert a post that is to be stored."""
    post = planned.post
    # Only WordPress keeps shortcodes and blank lines for paragraphs; a feed has the HTML of the page.
    is_wordpress = facts.kind == "WordPress export"
    shown = site_html(post.content) if is_wordpress else None
    base = next(iter(post.addresses), "") or facts.site

    def resolve(kind: str, url: str) -> str:
        return _resolved(kind, url, base, facts, rules)

    converted = markdown_from_html(shown.html if shown else post.content, resolve)
    trimmed = without_footer(converted.markdown, rules.footer_patterns)
    remarks = [*_state_remarks(planned, rules), *_text_remarks(trimmed.markdown, facts)]
    if shown and shown.shortcodes:
        codes = ", ".join(f"[{name}]" for name in shown.shortcodes)
        remarks.append(PostRemark(kind=RemarkKind.SHORTCODE, text=codes))
    if converted.emphasis_lost:
        remarks.append(PostRemark(kind=RemarkKind.EMPHASIS, text="bold and italic words became plain"))
    preheader = line_of(words_from_html(post.excerpt))
    author = line_of(words_from_html(post.author))
    return PreparedPost(
        planned=planned,
        title=planned.title.title,
        body=trimmed.markdown,
        author=author if len(author) <= NAME_LIMIT else "",
        preheader=preheader if len(preheader) <= PREHEADER_LIMIT else "",
        topics=_topics(post.topics),
        remarks=tuple(remarks),
        dropped_lines=trimmed.dropped,
        last_line=trimmed.last_line,
    )


def line_of(text: str) -> str:
    """Return a text as one line that a tip file takes: no control characters and no merge field."""
    return " ".join(NOT_IN_A_LINE.sub(" ", text).replace("{{", "{ {").split())


def _topics(topics: tuple[PostTopic, ...]) -> tuple[PostTopic, ...]:
    """Return the categories and tags that a tip can have, each name once, whatever its capitals."""
    clean: dict[str, PostTopic] = {}
    for topic in sorted(topics, key=lambda topic: not topic.is_category):
        name = " ".join(line_of(words_from_html(topic.name)).replace(",", " ").split())
        if name and len(name) <= NAME_LIMIT and name.casefold() not in _NO_TOPIC:
            clean.setdefault(name.casefold(), PostTopic(name=name, is_category=topic.is_category))
    return tuple(clean.values())[:TAGS_LIMIT]


def _resolved(kind: str, url: str, base: str, facts: ArchiveFacts, rules: ArchiveRules) -> str:
    """Return an address as it may stand in a tip: absolute, to a page of ours where there will be one."""
    url = _absolute(url, base)
    if kind == "img":
        # Mail programs show no picture over plain http, and nearly every site answers https.
        return re.sub(r"^http://", "https://", url, flags=re.IGNORECASE)
    if url.lower().startswith(("mailto:", "tel:")):
        return url
    if split_address(url) is None:
        return ""
    slug = None
    if rules.mode is ImportMode.ARCHIVE and facts.site and same_site(url, facts.site):
        slug = facts.slugs.get(old_path(url))
    return f"{rules.base_url}/tips/{slug}" if slug else url


def _absolute(url: str, base: str) -> str:
    """Return an absolute address; empty for a place within the page itself."""
    if url.startswith("#"):
        return ""
    if url.lower().startswith("www."):
        return f"https://{url}"
    if not base or _SCHEME.match(url):
        return url
    try:
        return urljoin(base, url)
    except ValueError:
        return ""


def _state_remarks(planned: PlannedPost, rules: ArchiveRules) -> list[PostRemark]:
    post = planned.post
    remarks = []
    if post.status is not PostStatus.PUBLISHED:
        text = f"{post.status} there"
        if post.status is PostStatus.SCHEDULED and post.published_on:
            text += f", for {post.published_on}"
        remarks.append(PostRemark(kind=RemarkKind.NOT_PUBLISHED, text=text))
    elif is_to_come(post, rules.today):
        remarks.append(PostRemark(kind=RemarkKind.NOT_PUBLISHED, text=f"dated {post.published_on}"))
    if planned.title.fault:
        remarks.append(PostRemark(kind=RemarkKind.TITLE_DATE, text=planned.title.fault))
    elif planned.title.published_on and post.published_on and post.status is PostStatus.PUBLISHED:
        days = abs((planned.title.published_on - post.published_on).days)
        if days > _DATES_APART_DAYS_MAX:
            text = f"its title says {planned.title.published_on}, the file {post.published_on}; the title counts"
            remarks.append(PostRemark(kind=RemarkKind.TITLE_DATE, text=text))
    return remarks


def _text_remarks(markdown: str, facts: ArchiveFacts) -> list[PostRemark]:
    remarks = []
    if words := time_words(markdown):
        shown = ", ".join(f"“{word}”" for word in words[:TIME_WORDS_SHOWN_MAX])
        remarks.append(PostRemark(kind=RemarkKind.TIME_WORDS, text=shown))
    dead: dict[str, None] = {}
    pictures: dict[str, None] = {}
    for match in _LINK.finditer(markdown) if facts.site else ():
        url = match["url"]
        if not same_site(url, facts.site):
            continue
        path = old_path(url)
        if match["picture"] or _UPLOADS.search(path):
            pictures.setdefault(url)
        elif path and path not in facts.slugs:
            dead.setdefault(unquote(path))
    if dead:
        remarks.append(PostRemark(kind=RemarkKind.DEAD_LINK, text=", ".join(list(dead)[:_REMARK_LINKS_MAX])))
    if pictures:
        remarks.append(PostRemark(kind=RemarkKind.OLD_PICTURE, text=", ".join(list(pictures)[:_REMARK_LINKS_MAX])))
    return remarks

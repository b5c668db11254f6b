"""What the tests of imports share: exports and feeds in few words, and one way to import them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import UTC, datetime

from newsletter.core.archive_import import ArchiveRules, ImportMode
from newsletter.core.archive_title import split_patterns
from newsletter.flows.import_archive import ArchiveFile, ArchiveReport, import_archive
from newsletter.settings.model import setting_fields
from newsletter.store.unit import Unit
from tests.flows.tip_fixtures import WHO, review

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
SITE = "https://old.example.com"
BASE = "https://news.example.com"

HEAD = f"""<?xml version="1.0" encoding="UTF-8" ?>
<rss version="2.0" xmlns:excerpt="http://wordpress.org/export/1.2/excerpt/"
  xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:dc="http://purl.org/dc/elements/1.1/"
  xmlns:wp="http://wordpress.org/export/1.2/"><channel><title>Tips</title><link>{SITE}</link>
<wp:wxr_version>1.2</wp:wxr_version><wp:base_site_url>{SITE}</wp:base_site_url>
<wp:base_blog_url>{SITE}</wp:base_blog_url>
<wp:author><wp:author_login><![CDATA[robin]]></wp:author_login>
<wp:author_display_name><![CDATA[Robin Reader]]></wp:author_display_name></wp:author>
"""
TAIL = "</channel></rss>\n"


def item(
    slug: str,
    content: str = "One idea, told in a few words.",
    *,
    title: str = "",
    status: str = "publish",
    kind: str = "post",
    day: str = "2014-07-08",
    categories: Sequence[str] = (),
    tags: Sequence[str] = (),
    more: str = "",
    number: int = 7,
) -> str:
    """Return one post of an export."""
    topics = "".join(f'<category domain="category" nicename="x"><![CDATA[{name}]]></category>' for name in categories)
    topics += "".join(f'<category domain="post_tag" nicename="x"><![CDATA[{name}]]></category>' for name in tags)
    return f"""<item><title>{title or f"Title of {slug}"}</title><link>{SITE}/2014/07/{slug}/</link>
<guid isPermaLink="false">{SITE}/?p={number}</guid><dc:creator><![CDATA[robin]]></dc:creator>
<content:encoded><![CDATA[{content}]]></content:encoded><excerpt:encoded><![CDATA[]]></excerpt:encoded>
<wp:post_id>{number}</wp:post_id><wp:post_date><![CDATA[{day} 09:00:00]]></wp:post_date>
<wp:post_name><![CDATA[{slug}]]></wp:post_name><wp:status><![CDATA[{status}]]></wp:status>
<wp:post_type><![CDATA[{kind}]]></wp:post_type><wp:post_password></wp:post_password>{topics}{more}</item>
"""


def export(*items: str) -> bytes:
    """Return a WordPress export."""
    return (HEAD + "".join(items) + TAIL).encode()


def rules(mode: ImportMode = ImportMode.ARCHIVE, *, update: bool = False) -> ArchiveRules:
    """Return what an operator decides who changes no setting."""
    fields = setting_fields()
    return ArchiveRules(
        mode=mode,
        title_patterns=split_patterns(str(fields["import_titles"].default)),
        footer_patterns=split_patterns(str(fields["import_drop_lines"].default)),
        today=NOW.date(),
        base_url=BASE,
        update=update,
    )


def file_of(data: bytes, name: str = "export.xml") -> ArchiveFile:
    """Return a file."""
    return ArchiveFile(stream=io.BytesIO(data), name=name)


def run_import(
    unit: Unit,
    data: bytes,
    mode: ImportMode = ImportMode.ARCHIVE,
    *,
    update: bool = False,
    dry_run: bool = False,
    name: str = "export.xml",
) -> ArchiveReport:
    """Import a file as a person does."""
    return import_archive(unit, file_of(data, name), rules(mode, update=update), review(NOW), who=WHO, dry_run=dry_run)

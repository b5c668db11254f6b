"""What becomes of each post of an old archive, before its text is looked at."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from newsletter.core.archive_import import ArchivePlanner, ImportMode, PlannedPost, PostOutcome
from newsletter.core.archive_post import ArchivedPost, PostStatus
from tests.flows.archive_fixtures import rules

POST = ArchivedPost(number=1, title="Ask first - 7/8/14", content="<p>A text.</p>", slug="ask-first")


def plan(*posts: ArchivedPost, mode: ImportMode = ImportMode.ARCHIVE) -> list[PlannedPost]:
    """Return the plan of some posts of one file."""
    planner = ArchivePlanner(rules=rules(mode))
    return [planner.plan(post, post.title) for post in posts]


@pytest.mark.parametrize("mode", list(ImportMode))
@pytest.mark.parametrize(
    "status", [PostStatus.DRAFT, PostStatus.PRIVATE, PostStatus.SCHEDULED], ids=lambda status: status.value
)
def test_what_readers_never_saw_becomes_a_draft(mode: ImportMode, status: PostStatus) -> None:
    """Whatever was asked for, and without a day on which it was first published."""
    [planned] = plan(replace(POST, status=status, published_on=date(2014, 7, 8)), mode=mode)
    assert (planned.target, planned.published_on) == (ImportMode.DRAFT, None)


@pytest.mark.parametrize("mode", list(ImportMode))
def test_a_published_post_becomes_what_was_asked_for(mode: ImportMode) -> None:
    """The date of its title counts before that of the file."""
    [planned] = plan(replace(POST, published_on=date(2014, 7, 1)), mode=mode)
    assert (planned.target, planned.title.title, planned.published_on) == (mode, "Ask first", date(2014, 7, 8))


def test_a_published_post_of_tomorrow_becomes_a_draft() -> None:
    """A feed may hold what is to come; no page shows it early."""
    assert plan(replace(POST, title="Ask", published_on=date(2027, 1, 5)))[0].target is ImportMode.DRAFT


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ({"kind": "page"}, PostOutcome.OTHER_KIND),
        ({"kind": "attachment"}, PostOutcome.OTHER_KIND),
        ({"kind": "nav_menu_item"}, PostOutcome.OTHER_KIND),
        ({"status": PostStatus.DELETED}, PostOutcome.DELETED),
        ({"content": " \n"}, PostOutcome.EMPTY),
    ],
)
def test_what_is_no_post_comes_to_nothing(change: dict[str, object], outcome: PostOutcome) -> None:
    """Each with the reason that the report counts."""
    [planned] = plan(replace(POST, **change))  # type: ignore[arg-type]
    assert (planned.outcome, planned.target, planned.slug) == (outcome, None, "")


def test_the_same_text_again_is_a_duplicate_of_the_first() -> None:
    """Other blanks, another title and another address make no other tip."""
    again = replace(POST, title="Ask first - 7/1/25", content="<p>A  text.</p>", slug="ask-first-2")
    assert [(planned.outcome, planned.same_as) for planned in plan(POST, again)] == [
        (None, ""),
        (PostOutcome.DUPLICATE, "ask-first"),
    ]


def test_a_published_post_is_no_duplicate_of_a_draft() -> None:
    """The copy that readers never saw comes first in the file, and the page of the published one is not lost for it."""
    copy = replace(POST, status=PostStatus.DRAFT, slug="copy")
    planned = plan(copy, POST, replace(POST, slug="again"), copy)
    assert [(item.outcome, item.target, item.same_as) for item in planned] == [
        (None, ImportMode.DRAFT, ""),
        (None, ImportMode.ARCHIVE, ""),
        (PostOutcome.DUPLICATE, None, "ask-first"),
        (PostOutcome.DUPLICATE, None, "ask-first"),
    ]


def test_each_post_has_a_slug_of_its_own_and_the_same_one_each_time() -> None:
    """That of the old site, the end of its address, or its title; a number where it is taken."""
    posts = [
        replace(POST, content="1"),
        replace(POST, content="2"),
        replace(POST, content="3", slug="", addresses=("https://old.example.com/2014/07/Listen-More.html",)),
        replace(POST, content="4", slug="", title="Say It Once"),
        replace(POST, content="5", slug="%e3%81%82", title="\N{HIRAGANA LETTER A}"),
        replace(POST, content="6", slug="x" * 200),
        replace(POST, content="7", slug="x" * 200),
    ]
    slugs = [planned.slug for planned in plan(*posts)]
    assert slugs == [planned.slug for planned in plan(*posts)]
    assert slugs[:4] == ["ask-first", "ask-first-2", "listen-more", "say-it-once"]
    assert slugs[4].startswith("post-")
    assert (len(slugs[5]), slugs[6]) == (80, "x" * 78 + "-2")

"""Publishing: the tip of an edition becomes a page of the archive.

In: a tip that is frozen, or an edition whose readers have it. Out: rows of pages, which are all that public pages read.
The page is written in the transaction of the freeze, so that the link in the mail works for the first reader; it enters
lists, feeds and search later, when the last readers have begun to get it. No draft is ever written here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from newsletter.core.archive_page import NewPage, PageId, topics_of
from newsletter.core.edition import Edition, EditionId, EditionKind
from newsletter.core.message import Publication
from newsletter.core.publishing import PublishVerdict, judge_publishing
from newsletter.core.tip import Tip, TipStatus
from newsletter.render.article import Article, render_article
from newsletter.store import edition as editions
from newsletter.store import page as pages
from newsletter.store import redirect as redirects
from newsletter.store import tip as tips
from newsletter.store import wave as wave_rows
from newsletter.store.unit import Tx, Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpublishedEdition:
    """An edition about which the archive has nothing to wait for."""

    id: EditionId
    tip: Tip
    verdict: PublishVerdict


def write_page(tx: Tx, tip: Tip, article: Article, edition: Edition, *, now: datetime) -> PageId | None:
    """Write the page of a frozen edition, so that its address works; it enters the lists when it is published.

    A tip that was sent before keeps its page, with the text that is mailed now. A page of the same name from an import
    becomes the page of the tip. None when another tip's page has the name.
    """
    new = replace(_page_of(tip, article, on=edition.date), listed=False, edition_id=edition.id)
    known = pages.of_tip(tx, tip.id)
    page_id = known.id if known is not None else pages.without_tip(tx, tip.slug)
    if page_id is None:
        return pages.add_page(tx, new, now=now)
    pages.rewrite_page(tx, page_id, new, now=now)
    return page_id


def correct_page(tx: Tx, tip: Tip, article: Article, *, on: date, now: datetime) -> None:
    """Let the page of a tip that went out show what a person corrected in its file, and say when.

    The text of an evergreen is that of its next mail, so that its page waits for that mail.
    """
    known = pages.of_tip(tx, tip.id)
    if known is None or tip.status is not TipStatus.SENT:
        return
    shown = pages.find_page(tx, known.slug)
    same = shown is not None and (shown.html, shown.entry.title) == (article.html, article.title)
    pages.rewrite_page(tx, known.id, _page_of(tip, article, on=on), corrected_on=None if same else on, now=now)
    if not tip.listed:
        pages.unlist_page(tx, known.id, now=now)
    elif not editions.awaits_archive(tx, tip.id):
        pages.list_page(tx, known.id, now=now)


def replace_page(tx: Tx, wrong: Edition, right: PageId) -> None:
    """Let the address of a wrong tip lead to the page of the tip that replaces it.

    A page that readers had before this edition, as that of an evergreen, stays.
    """
    known = pages.of_tip(tx, wrong.tip.id)
    if known is None or known.id == right or known.published_on < wrong.date:
        return
    pages.remove_page(tx, known.id)
    redirects.add(tx, [f"/tips/{known.slug}"], right)
    # The publisher would write the page of the wrong tip anew.
    editions.mark_archived(tx, wrong.id)


def withdraw_page(tx: Tx, edition: Edition) -> None:
    """Remove the page of an edition that reached no reader; one that was published before stays."""
    known = pages.of_tip(tx, edition.tip.id)
    if known is None or known.listed or editions.was_sent(tx, edition.tip.id):
        return
    pages.remove_page(tx, known.id)


def unpublished(tx: Tx, *, delay: timedelta, now: datetime, limit: int) -> list[UnpublishedEdition]:
    """Return the oldest editions that the archive is to decide about now."""
    due: list[UnpublishedEdition] = []
    for edition, tip_used in editions.unarchived(tx, limit=limit):
        begins = wave_rows.begins(tx, edition.id) if edition.local else ()
        last_wave_at = begins[-1][1] if begins else None
        verdict = judge_publishing(edition, tip_used=tip_used, last_wave_at=last_wave_at, delay=delay, now=now)
        tip = tips.by_id(tx, edition.tip.id)
        if verdict is not PublishVerdict.WAIT and tip is not None:
            due.append(UnpublishedEdition(id=edition.id, tip=tip, verdict=verdict))
    return due


def publish_page(unit: Unit, publication: Publication, due: UnpublishedEdition, *, now: datetime) -> bool:
    """Enter the tip of an edition into the archive; tell whether this process did.

    The page of an edition from before the archive is written from its tip as it is now. Raises `InputError` where that
    tip cannot be rendered any more.
    """
    with unit.read() as tx:
        missing = due.verdict is PublishVerdict.PUBLISH and pages.of_tip(tx, due.tip.id) is None
        # The wrong tip of a replaced edition has no page any more, and gets none.
        missing = missing and all(item.kind is not EditionKind.REPLACEMENT for item in editions.about(tx, due.id))
    article = render_article(due.tip, publication) if missing else None
    with unit.write() as tx:
        if not editions.mark_archived(tx, due.id):
            return False
        if due.verdict is PublishVerdict.NOTHING:
            return True
        edition = editions.by_id(tx, due.id)
        known = pages.of_tip(tx, due.tip.id)
        page_id = known.id if known is not None else None
        if page_id is None and article is not None:
            page_id = write_page(tx, due.tip, article, edition, now=now)
        if page_id is None:
            return True
        pages.record_sending(tx, page_id, edition.date, now=now)
        if due.tip.listed:
            pages.list_page(tx, page_id, now=now)
        return True


def set_aside(unit: Unit, due: UnpublishedEdition) -> None:
    """Decide that an edition has no page: its tip cannot be rendered."""
    with unit.write() as tx:
        editions.mark_archived(tx, due.id)


def _page_of(tip: Tip, article: Article, *, on: date) -> NewPage:
    """Return the page of a tip; `on` is its date where it was not published before."""
    return NewPage(
        slug=tip.slug,
        title=article.title,
        html=article.html,
        text=article.text,
        language=article.language,
        published_on=tip.first_published or on,
        topics=topics_of(tip.tags),
        author=tip.author,
        series=tip.part.series if tip.part else None,
        part=tip.part.number if tip.part else None,
        tip_id=tip.id,
    )

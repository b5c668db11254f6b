"""What `edition replace` and `edition correct` share: a further edition of a date, for some people of an earlier one.

In: the edition it is about, a tip, a kind. Out: `DATE.2`, with its content, its audience and its log, in one
transaction. It never waits for what is on its way: `store/audience.py` says how those people are judged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from newsletter.core.edition import Edition, EditionKind, EditionTip
from newsletter.core.lineup import Source
from newsletter.core.series import SeriesPlace
from newsletter.core.tip import Tip, TipStatus
from newsletter.core.wave import Wave
from newsletter.errors import InputError, NotNow
from newsletter.flows.freeze import RenderContext, new_nonce, render, series_of
from newsletter.flows.publish_page import replace_page, write_page
from newsletter.render.article import Article, render_article
from newsletter.store import audience as audiences
from newsletter.store import edition as editions
from newsletter.store import installation as installations
from newsletter.store import ledger, retention
from newsletter.store import tip as tips
from newsletter.store.ledger import LedgerKind
from newsletter.store.unit import Tx, Unit

WORDS = {EditionKind.REPLACEMENT: "replaces", EditionKind.CORRECTION: "corrects"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUpPlan:
    """What opening a further edition would do."""

    wrong: Edition
    """The edition as it stands now."""
    known: Edition | None = None
    """The very edition that is asked for, when it was opened before; nothing is left to be done then."""
    people: int = 0
    """For how many it would be."""
    pending: int = 0
    """Of how many of them the outcome of the edition before is still open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUpDraft:
    """A further edition, rendered; whether it still fits is looked at when it is written."""

    kind: EditionKind
    wrong: Edition
    tip: Tip
    number: int
    content: str
    article: Article
    nonce: str

    @property
    def name(self) -> str:
        """Return the name that it will bear."""
        return f"{self.wrong.date.isoformat()}.{self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUp:
    """What came of it."""

    edition: Edition
    wrong: Edition
    new: bool
    """False when it was opened before; nothing was changed then."""
    unpinned: date | None = None
    """The date for which the tip was planned; it has gone out now."""
    drafted: bool = False
    """True when nothing of the wrong tip was handed to a server: it is a draft again."""


def open_once(
    unit: Unit,
    render_context: RenderContext,
    kind: EditionKind,
    tip: Tip,
    *,
    plan: Callable[[Tx], FollowUpPlan],
    act: Callable[[Tx, FollowUpDraft], FollowUp],
) -> FollowUp:
    """Plan it, render it with no transaction open, plan it again, and act in that transaction.

    Done before, it changes nothing and returns what was opened. `plan` raises `InputError` when it cannot be done.
    """
    with unit.read() as tx:
        outlook = plan(tx)
        number = editions.next_number(tx, outlook.wrong.date)
        series = series_of(tx, tip)
    if outlook.known is not None:
        return FollowUp(edition=outlook.known, wrong=outlook.wrong, new=False)
    draft = prepare(render_context, kind, outlook.wrong, tip, number=number, series=series)
    with unit.write() as tx:
        installations.lock(tx)
        outlook = plan(tx)
        if outlook.known is not None:
            return FollowUp(edition=outlook.known, wrong=outlook.wrong, new=False)
        refuse_changed(tx, draft)
        return act(tx, replace(draft, wrong=outlook.wrong))


def prepare(
    render_context: RenderContext,
    kind: EditionKind,
    edition: Edition,
    tip: Tip,
    *,
    number: int,
    series: SeriesPlace | None = None,
) -> FollowUpDraft:
    """Render it, with no transaction open; raise `InputError` when a gate refuses the tip."""
    nonce = new_nonce()
    name = f"{edition.date.isoformat()}.{number}"
    content = render(render_context, tip, edition.date, nonce=nonce, name=name, series=series)
    article = render_article(tip, render_context.publication)
    return FollowUpDraft(
        kind=kind, wrong=edition, tip=tip, number=number, content=content, article=article, nonce=nonce
    )


def opened_before(tx: Tx, kind: EditionKind, edition: Edition, tip: Tip) -> Edition | None:
    """Return the edition that did this already: the same command given twice, or again after it was killed."""
    matching = [item for item in editions.about(tx, edition.id) if item.kind is kind and item.tip.id == tip.id]
    return matching[-1] if matching else None


def refuse_unfit(tx: Tx, edition: Edition, tip: Tip) -> None:
    """Refuse a tip that cannot go out, and an edition of which it is not known any more who got it."""
    if tip.id == edition.tip.id:
        raise InputError(f"{tip.slug!r} is the very tip of the edition of {edition.name}; name another one")
    if tip.status is TipStatus.DRAFT:
        raise InputError(f"{tip.slug!r} is a draft; `newsletter tip approve {tip.slug}` first")
    if tip.status is not TipStatus.APPROVED:
        verb = "was sent already" if tip.status is TipStatus.SENT else "is retired"
        raise InputError(f"{tip.slug!r} {verb}; name an approved tip (`newsletter tip list`)")
    if not retention.seems_whole(tx, edition.id):
        raise InputError(
            f"who got the edition of {edition.name} is not known any more: its rows were deleted "
            "after NEWSLETTER_KEEP_DELIVERIES_DAYS"
        )


def plan_follow_up(tx: Tx, kind: EditionKind, edition: Edition, *, now: datetime) -> FollowUpPlan:
    """Count for whom it would be."""
    people, pending = audiences.count(tx, kind, edition.id, now=now)
    return FollowUpPlan(wrong=edition, people=people, pending=pending)


def refuse_changed(tx: Tx, draft: FollowUpDraft) -> None:
    """Refuse what was rendered from a tip, or for a number, that is not that one any more."""
    unchanged = tips.by_id(tx, draft.tip.id) == draft.tip and retention.is_whole(tx, draft.wrong.id)
    if not unchanged or editions.next_number(tx, draft.wrong.date) != draft.number:
        raise NotNow(f"{draft.tip.slug!r} or {draft.wrong.name} changed at this moment; nothing was done. Try again.")


def write(tx: Tx, draft: FollowUpDraft, *, sends_at: datetime, now: datetime, waves: Sequence[Wave] = ()) -> FollowUp:
    """Open it: its rows, its tip used up, its line in the ledger. Raises `InputError` when it has no audience."""
    tip, wrong = draft.tip, draft.wrong
    edition = editions.create(
        tx,
        editions.NewEdition(
            date=wrong.date,
            tip=EditionTip(
                id=tip.id,
                slug=tip.slug,
                title=tip.title,
                source=Source.CHOSEN,
                why=f"{WORDS[draft.kind]} the edition of {wrong.name}",
            ),
            content=draft.content,
            nonce=draft.nonce,
            sends_at=sends_at,
            kind=draft.kind,
            of_edition=wrong.id,
        ),
        waves=waves,
        now=now,
    )
    if not edition.audience:
        # Leaving the transaction like this undoes all of it.
        raise InputError("no reader is left to whom it could go; nothing was changed")
    page_id = write_page(tx, tip, draft.article, edition, now=now)
    if draft.kind is EditionKind.REPLACEMENT and page_id is not None:
        replace_page(tx, wrong, page_id)
    if tip.pin is not None:
        # It has gone out: a pin that stayed would only wait for a date on which it does not go.
        tips.set_pin(tx, tip, None, now=now)
    if not tip.evergreen:
        tips.set_status(tx, tip, TipStatus.SENT, now=now)
    detail = {"tip": tip.slug, WORDS[draft.kind]: wrong.name}
    ledger.note(tx, LedgerKind.EDITION, edition.name, now=now, detail=detail)
    return FollowUp(edition=edition, wrong=wrong, new=True, unpinned=tip.pin)

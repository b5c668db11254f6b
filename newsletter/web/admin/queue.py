"""The queue: what goes out on the coming dates and why, and the buttons that change it.

In: a person who is signed in. Out: the very lineup of `newsletter queue`, with a form for each change. Dates belong to
rows, and tips move between them. A move says which order the person saw, so that the change of somebody else is never
overwritten.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from starlette.requests import Request
from starlette.responses import Response

from newsletter.core.access import Flash, Needed
from newsletter.core.cadence import SlotState, brief_slot, describe_date, describe_span
from newsletter.core.lineup import Choice, Source
from newsletter.core.queue_order import order_digest, queued_tips
from newsletter.core.tip import Tip, TipId, TipStatus
from newsletter.errors import InputError
from newsletter.flows.change_slot import skip_slot, unskip_slot
from newsletter.flows.change_tip import pin_tip, unpin_tip
from newsletter.flows.move_in_queue import QueueMove, move_in_queue
from newsletter.flows.plan import Outlook, look_ahead, outlook
from newsletter.store import tip as tips
from newsletter.web.admin.frame import AdminFrame, as_sentence
from newsletter.web.admin.route import AdminRequest, AdminRoute
from newsletter.web.forms import read_fields
from newsletter.web.pages import Page
from newsletter.web.site import Site
from newsletter.wording import people_words, plural

QUEUE_PATH = "/admin/queue"
TIP_PATH = "/admin/tips/{}"
DATE_PATH = "/admin/dates/{day}"
WEEKS_CHOICES = (12, 26, 52)
QUEUE_PAGE_DRAFTS_MAX = 10
SKIP_REASON_LENGTH_MAX = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueRow:
    """One date as the page shows it."""

    day: str
    when: str
    source: Source
    why: str
    slug: str
    title: str
    url: str
    """Of the tip; empty where there is none, or no page for it."""
    people: str
    warnings: Sequence[str]
    is_first: bool
    is_last: bool
    others: Sequence[tuple[str, str]]
    """Slug and words of the tips that this one may go before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lineup:
    """What the page reads."""

    ahead: Outlook
    drafts: Sequence[Tip]
    draft_count: int


class QueuePages:
    """The answers of `/admin/queue` and `/admin/dates/…`."""

    def __init__(self, site: Site, frame: AdminFrame) -> None:
        self._site = site
        self._frame = frame
        self._draw(None, None, weeks=WEEKS_CHOICES[0])

    @property
    def routes(self) -> tuple[AdminRoute, ...]:
        """Return the routes of these pages."""
        changes = (
            (f"{QUEUE_PATH}/move", self.move),
            (f"{QUEUE_PATH}/pin", self.pin),
            (f"{QUEUE_PATH}/unpin", self.unpin),
            (f"{DATE_PATH}/skip", self.skip),
            (f"{DATE_PATH}/unskip", self.unskip),
        )
        return (
            AdminRoute(path=QUEUE_PATH, handler=self.show, needed=Needed.EDITOR),
            *(
                AdminRoute(path=path, handler=handler, needed=Needed.EDITOR, methods=("POST",))
                for path, handler in changes
            ),
        )

    async def show(self, asked: AdminRequest) -> Response:
        """Show the coming dates."""
        site, weeks = self._site, _weeks(asked.request.query_params.get("weeks", ""))

        def question() -> _Lineup:
            with site.unit.read() as tx:
                ahead = look_ahead(tx, site.plan_rules, weeks=weeks, now=asked.now)
                drafts = tips.drafts(tx, limit=QUEUE_PAGE_DRAFTS_MAX)
                return _Lineup(ahead=ahead, drafts=drafts, draft_count=tips.count_by_status(tx, TipStatus.DRAFT))

        shown = await self._frame.read(question, about="queue")
        return self._draw(asked, shown, weeks=weeks).response(200)

    async def move(self, asked: AdminRequest) -> Response:
        """Move a tip up, down, to the top, to the end or before another one."""
        fields = await read_fields(asked.request)
        weeks = _weeks(fields.get("weeks", ""))

        def flow() -> Flash:
            moved = move_in_queue(
                self._site.unit,
                self._site.plan_rules,
                fields.get("tip", ""),
                _move(fields.get("to", "")),
                before=fields.get("before", ""),
                weeks=weeks,
                seen=fields.get("seen", ""),
                who=asked.who,
                now=asked.now,
            )
            back = QueueMove.BEFORE if moved.follower else QueueMove.END
            undo = {"tip": moved.tip.slug, "to": back.value, "before": moved.follower, "weeks": str(weeks)}
            return Flash(text=self._now_on(moved.tip, asked, weeks), undo_path=f"{QUEUE_PATH}/move", undo_fields=undo)

        return await self._frame.change(asked, flow, about="move of a tip", back=_back(weeks))

    async def pin(self, asked: AdminRequest) -> Response:
        """Pin a tip to a date."""
        fields = await read_fields(asked.request)

        def flow() -> Flash:
            tip, day = self._tip(fields.get("tip", "")), _day(fields.get("date", ""))
            pin_tip(self._site.unit, tip, day, self._site.review(asked.now), who=asked.who)
            text = self._frame.words("queue", "pinned", title=tip.title, date=describe_date(day))
            if tip.pin is None:
                return Flash(text=text, undo_path=f"{QUEUE_PATH}/unpin", undo_fields={"tip": tip.slug})
            undo = {"tip": tip.slug, "date": tip.pin.isoformat()}
            return Flash(text=text, undo_path=f"{QUEUE_PATH}/pin", undo_fields=undo)

        return await self._frame.change(asked, flow, about="pin of a tip", back=_back(_weeks(fields.get("weeks", ""))))

    async def unpin(self, asked: AdminRequest) -> Response:
        """Give a pinned tip back to the queue."""
        fields = await read_fields(asked.request)

        def flow() -> Flash:
            tip = self._tip(fields.get("tip", ""))
            unpin_tip(self._site.unit, tip, who=asked.who, now=asked.now)
            text = self._frame.words("queue", "unpinned", title=tip.title)
            undo = {"tip": tip.slug, "date": tip.pin.isoformat()} if tip.pin is not None else {}
            return Flash(text=text, undo_path=f"{QUEUE_PATH}/pin" if undo else "", undo_fields=undo)

        return await self._frame.change(asked, flow, about="unpin", back=_back(_weeks(fields.get("weeks", ""))))

    async def skip(self, asked: AdminRequest) -> Response:
        """Send nothing on a date."""
        fields = await read_fields(asked.request)

        def flow() -> Flash:
            day = _day_of(asked.request)
            reason = " ".join(fields.get("because", "").split())[:SKIP_REASON_LENGTH_MAX]
            skip_slot(
                self._site.unit,
                day,
                self._site.plan_rules,
                who=asked.who,
                because=reason or self._frame.words("queue", "no_reason"),
                now=asked.now,
            )
            text = self._frame.words("queue", "skipped", date=describe_date(day))
            return Flash(text=text, undo_path=f"{DATE_PATH}/unskip".format(day=day))

        return await self._frame.change(asked, flow, about="skip", back=_back(_weeks(fields.get("weeks", ""))))

    async def unskip(self, asked: AdminRequest) -> Response:
        """Send on a skipped date after all."""
        fields = await read_fields(asked.request)

        def flow() -> Flash:
            day = _day_of(asked.request)
            slot = unskip_slot(self._site.unit, day, self._site.plan_rules.cadence, who=asked.who, now=asked.now).slot
            text = self._frame.words("queue", "opened", date=brief_slot(slot, self._frame.zone))
            return Flash(text=text, undo_path=f"{DATE_PATH}/skip".format(day=day))

        return await self._frame.change(asked, flow, about="unskip", back=_back(_weeks(fields.get("weeks", ""))))

    def _tip(self, slug: str) -> Tip:
        with self._site.unit.read() as tx:
            tip = tips.by_slug(tx, slug)
        if tip is None:
            raise InputError(self._frame.words("queue", "no_tip"))
        return tip

    def _now_on(self, tip: Tip, asked: AdminRequest, weeks: int) -> str:
        """Say when a moved tip goes out now."""
        ahead = outlook(self._site.unit, self._site.plan_rules, weeks=weeks, now=asked.now)
        choice = next((item for item in ahead.choices if item.tip is not None and item.tip.id == tip.id), None)
        if choice is None:
            return self._frame.words("queue", "moved_beyond", title=tip.title)
        return self._frame.words("queue", "moved", title=tip.title, date=describe_date(choice.slot.date))

    def _draw(self, asked: AdminRequest | None, shown: _Lineup | None, *, weeks: int) -> Page:
        frame = self._frame
        words = frame.section("queue")
        ahead = shown.ahead if shown is not None else None
        drafts = shown.drafts if shown is not None else ()
        count = shown.draft_count if shown is not None else 0
        return frame.page(
            "queue",
            asked,
            words=words,
            rows=self._rows(ahead) if ahead is not None else [],
            seen=order_digest(ahead.choices) if ahead is not None else "",
            stock=self._stock(ahead) if ahead is not None else "",
            takes=self._takes(ahead) if ahead is not None else "",
            warnings=_general_warnings(ahead) if ahead is not None else (),
            undated=[(item.tip.slug, item.tip.title, item.why) for item in ahead.stranded] if ahead is not None else [],
            drafts=[(draft.title, frame.link(TIP_PATH, draft.slug)) for draft in drafts],
            drafts_heading=plural(count, "draft is", "drafts are") + " " + words["not_approved"],
            drafts_left=count - len(drafts),
            free_dates=self._free_dates(ahead) if ahead is not None else [],
            weeks=weeks,
            weeks_choices=WEEKS_CHOICES,
            new_tip=frame.link("/admin/tips/new"),
            path=QUEUE_PATH,
        )

    def _rows(self, ahead: Outlook) -> list[QueueRow]:
        queued = queued_tips(ahead.choices)
        dates = {choice.tip.id: choice.slot.date for choice in ahead.choices if choice.tip is not None}
        places = {tip.id: place for place, tip in enumerate(queued)}
        return [self._row(choice, ahead, queued, dates, places) for choice in ahead.choices]

    def _row(
        self,
        choice: Choice,
        ahead: Outlook,
        queued: Sequence[Tip],
        dates: Mapping[TipId, date],
        places: Mapping[TipId, int],
    ) -> QueueRow:
        tip = choice.tip
        place = places.get(tip.id, -1) if tip is not None and choice.source is Source.QUEUE else -1
        others = [
            (other.slug, f"{other.title} ({describe_date(dates[other.id])})")
            for other in queued
            if tip is not None and other.id != tip.id
        ]
        return QueueRow(
            day=choice.slot.date.isoformat(),
            when=brief_slot(choice.slot, self._frame.zone),
            source=choice.source,
            why=choice.why,
            slug=tip.slug if tip is not None else "",
            title=tip.title if tip is not None else "",
            url=self._frame.link(TIP_PATH, tip.slug) if tip is not None else "",
            people=people_words(ahead.audience_of(choice)) if tip is not None else "",
            warnings=choice.warnings,
            is_first=place == 0,
            is_last=place == len(queued) - 1,
            others=others if place >= 0 else (),
        )

    def _free_dates(self, ahead: Outlook) -> list[tuple[str, str]]:
        """Return the dates that a tip can be pinned to."""
        return [
            (choice.slot.date.isoformat(), describe_date(choice.slot.date))
            for choice in ahead.choices
            if choice.slot.state is SlotState.OPEN and choice.source is not Source.PINNED
        ]

    def _stock(self, ahead: Outlook) -> str:
        return self._frame.words("queue", "stock", stock=ahead.stock.describe())

    def _takes(self, ahead: Outlook) -> str:
        if ahead.takes is None:
            return ""
        seconds = max(1, round(ahead.takes.total_seconds()))
        span = plural(seconds, "second") if seconds < 120 else describe_span(ahead.takes)  # noqa: PLR2004 two minutes
        return self._frame.words("queue", "takes", people=people_words(ahead.audience), span=span)


def _general_warnings(ahead: Outlook) -> list[str]:
    """Return the warnings that belong to no single row, each as a sentence."""
    of_rows = {f"{choice.slot.date}: {warning}" for choice in ahead.choices for warning in choice.warnings}
    return [as_sentence(warning) for warning in ahead.warnings if warning not in of_rows]


def _weeks(text: str) -> int:
    """Return how many weeks are shown: one of the choices."""
    return int(text) if text.isdecimal() and text.isascii() and int(text) in WEEKS_CHOICES else WEEKS_CHOICES[0]


def _back(weeks: int) -> str:
    return QUEUE_PATH if weeks == WEEKS_CHOICES[0] else f"{QUEUE_PATH}?weeks={weeks}"


def _move(text: str) -> QueueMove:
    try:
        return QueueMove(text)
    except ValueError as error:
        raise InputError("choose where the tip goes") from error


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise InputError("choose a date") from error


def _day_of(request: Request) -> date:
    return _day(request.path_params["day"])

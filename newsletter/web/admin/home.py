"""The home of the admin area: the next date in one sentence, what needs a person, and how everything else stands.

In: a person who is signed in. Out: the very lines of `newsletter status` (`flows/overview_words.py`), the counts behind
them, and links to the pages that the area has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup
from starlette.responses import Response

from newsletter.core.access import Needed, Role
from newsletter.core.cadence import describe_instant
from newsletter.core.receipt import Receipt
from newsletter.flows.first_steps import FirstStep, first_steps
from newsletter.flows.overview import NextState, Overview
from newsletter.flows.overview_words import describe_overview
from newsletter.render.notice import Words
from newsletter.web.admin.frame import AdminFrame
from newsletter.web.admin.route import HOME_PATH, AdminRequest, AdminRoute
from newsletter.web.site import Site
from newsletter.wording import people_words, plural

STOCK_METER_WEEKS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRows:
    """The counts of the last edition, and what they come to."""

    counts: Sequence[tuple[str, str]] = ()
    """Number and label of each state that holds somebody."""
    total: str = ""
    balances: bool = True


class HomePage:
    """The answer of `/admin/`."""

    def __init__(self, site: Site, frame: AdminFrame) -> None:
        self._site = site
        self._frame = frame

    @property
    def routes(self) -> tuple[AdminRoute, ...]:
        """Return the routes of this page; without the slash it is the same page."""
        return (
            AdminRoute(path=HOME_PATH, handler=self.show, needed=Needed.EDITOR),
            AdminRoute(path="/admin", handler=self.show, needed=Needed.EDITOR),
        )

    async def show(self, asked: AdminRequest) -> Response:
        """Show how things stand."""
        site = self._site

        def question() -> tuple[Overview, Mapping[FirstStep, bool]]:
            summary = site.overview()
            return summary, first_steps(site.unit, summary)

        summary, steps = await self._frame.read(question, about="admin home")
        frame, low_stock = self._frame, site.plan_rules.lineup.low_stock_weeks
        words = describe_overview(summary, frame.zone, low_stock)
        page = frame.page(
            "home",
            asked,
            words=frame.section("home"),
            needs=_marked(summary.needs),
            beside=summary.beside,
            steps=[(Words(frame.words("first_steps", step.value)).html, taken) for step, taken in steps.items()],
            steps_heading=frame.words("first_steps", "heading"),
            state=summary.next_state.value,
            badge=frame.words("next_state", _key(summary.next_state)),
            state_sentence=Words(self._state_sentence(summary)).html,
            next={
                "skipped": words.next.skipped,
                "when": words.next.when,
                "tip": words.next.tip,
                "people": words.next.people,
            },
            now=_marked(words.now),
            last=_marked(words.last),
            report=self._report(summary),
            service=_marked(words.service),
            stock=_marked(words.stock),
            people=_marked(words.people),
            meter=_meter(summary.outlook.stock.fresh),
            links=self._links(summary, asked),
        )
        return page.response(200)

    def _state_sentence(self, summary: Overview) -> str:
        """Return what follows from the state of the next date, beyond the lines of the command."""
        rules, coming = self._site.plan_rules, summary.next
        until = describe_instant(coming.slot.sends_at + rules.grace, self._frame.zone) if coming else ""
        drafts = plural(summary.drafts, "draft waits", "drafts wait")
        return self._frame.words("next_state", f"{_key(summary.next_state)}_more", until=until, drafts=drafts)

    def _links(self, summary: Overview, asked: AdminRequest) -> Mapping[str, str]:
        link, tip = self._frame.link, summary.next.tip if summary.next else None
        last = summary.snapshot.last
        running = summary.snapshot.running
        return {
            "tip": link("/admin/tips/{}", tip.slug if tip else ""),
            "queue": link("/admin/queue"),
            "new_tip": link("/admin/tips/new"),
            "last": link("/admin/editions/{}", last.edition.name if last else ""),
            "running": link("/admin/editions/{}", running[0].edition.name if running else ""),
            "people": link("/admin/people") if asked.role is Role.ADMIN else "",
        }

    def _report(self, summary: Overview) -> ReportRows:
        if summary.snapshot.last is None:
            return ReportRows()
        receipt = summary.snapshot.last.receipt
        labels = self._frame.section("report")
        names = ("accepted", "rejected", "uncertain", "expired", "skipped", "queued", "sending", "deferred")
        counts = [(f"{value:,}", labels[name]) for name in names if (value := getattr(receipt.counts, name))]
        later = ((receipt.came_back, "came_back"), (receipt.complained, "complained"))
        counts += [(f"{value:,}", labels[name]) for value, name in later if value]
        return ReportRows(counts=counts, total=_total(receipt), balances=receipt.balances)


def _meter(fresh: int) -> str:
    """Draw the weeks that fresh tips last."""
    filled = min(STOCK_METER_WEEKS, fresh)
    return "▮" * filled + "▯" * (STOCK_METER_WEEKS - filled)


def _total(receipt: Receipt) -> str:
    return people_words(receipt.edition.audience)


def _marked(lines: Sequence[str]) -> list[Markup]:
    return [Words(line).html for line in lines]


def _key(state: NextState) -> str:
    return state.value.replace(" ", "_")

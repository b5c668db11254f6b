# ruff: noqa: INP001 - a script, no package.
"""Takes the pictures that `docs/notices.md` shows: a proof, a report, an alert; needs the `dev` extra and a Chromium.

Run it from the top of the checkout: `python docs/take_notice_pictures.py [/usr/bin/chromium]`.
"""

from __future__ import annotations

import shutil
import sys
from datetime import UTC, date, datetime, time, timedelta
from email import message_from_string, policy
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from newsletter.core.alert import AlertKind
from newsletter.core.cadence import Cadence, Slot
from newsletter.core.delivery import DeliveryCounts
from newsletter.core.edition import Edition, EditionId, EditionStatus, EditionTip
from newsletter.core.lineup import Choice, LineupRules, Source
from newsletter.core.message import Publication, PublicationLinks, Recipient
from newsletter.core.proof import Change
from newsletter.core.receipt import Receipt
from newsletter.core.tip import Tip, TipId, TipStatus
from newsletter.core.token import Keyring
from newsletter.flows.freeze import RenderContext
from newsletter.flows.plan import Outlook, PlanRules
from newsletter.flows.proof import NoticeContext, make_proof
from newsletter.operations.notice_texts import alert_letter, report_letter
from newsletter.render.environment import make_environment
from newsletter.render.notice import NoticeBody, Original, Stamp, compose
from newsletter.store.alert import Alert

ROOT = Path(__file__).parent.parent
ZONE = "America/New_York"
MONDAY = datetime(2026, 11, 23, 14, tzinfo=UTC)
TUESDAY = MONDAY + timedelta(days=1)
PUBLICATION = Publication(
    name="Tip of the Week",
    from_email="tips@news.example.com",
    reply_to="hello@example.com",
    postal_address="12 Harbour Lane\nSpringfield, ZZ 00000",
    base_url="https://news.example.com",
    links=PublicationLinks(archive_url="https://news.example.com/archive"),
)
STAMP = Stamp(to="editor@example.org", message_id="notice.sample@news.example.com", date=MONDAY)
SIZES = {"": (760, "light"), "-phone-dark": (360, "dark")}


def notice_context() -> NoticeContext:
    """Return the sample newsletter."""
    return NoticeContext(
        render_context=RenderContext(publication=PUBLICATION, templates=make_environment(), rules=LineupRules()),
        keyring=Keyring(current="a sample secret for the pictures only"),
        plan=PlanRules(
            cadence=Cadence(weekday=1, at=time(9), zone=ZONE), lineup=LineupRules(), grace=timedelta(hours=36)
        ),
    )


def _tip(number: int, slug: str, title: str) -> Tip:
    body = (ROOT / "tests/render/samples/tip.md").read_text(encoding="utf-8")
    return Tip(
        id=TipId(number),
        slug=slug,
        title=title,
        subject=title,
        preheader="Three small habits, and nobody asks what fix2 was.",
        status=TipStatus.APPROVED,
        body=body,
        position=number,
    )


def proof(change: Change) -> str:
    """Return the HTML of a proof as one editor gets it."""
    choices = [
        Choice(
            slot=Slot(date=date(2026, 11, 24) + timedelta(weeks=week), sends_at=TUESDAY + timedelta(weeks=week)),
            tip=_tip(week + 1, slug, title),
            source=Source.QUEUE,
            why="next in the queue (1st of 3)",
        )
        for week, (slug, title) in enumerate(
            [("branch-names", "Name your branches after the work"), ("say-no", "A no that keeps the door open")]
        )
    ]
    outlook = Outlook(
        choices=choices, due=None, audience=1204, takes=timedelta(minutes=2), stock=3, stranded=(), warnings=()
    )
    sample_proof = make_proof(notice_context(), choices[0], outlook, change, now=MONDAY)
    person = Recipient(
        email="editor@example.org",
        fields={"first_name": "Ann"},
        unsubscribe_url="https://news.example.com/u/sample",
        message_id="sample@news.example.com",
        date=MONDAY,
    )
    original = Original(text=sample_proof.compiled.text(person), html=sample_proof.compiled.html(person))
    return _html(sample_proof.letter, original)


def alert() -> str:
    """Return the HTML of an alert."""
    sample_alert = Alert(
        kind=AlertKind.EMPTY_AHEAD,
        about="2026-11-24",
        message="Nothing would go out on Tuesday 24 November 2026, 09:00 EST (UTC−5): the queue is empty. "  # noqa: RUF001
        "Approve or pin a tip, or skip the date: `newsletter queue`.",
        raised_at=MONDAY,
    )
    return _html(alert_letter(notice_context(), sample_alert, others=1))


def report() -> str:
    """Return the HTML of a delivery report."""
    edition = Edition(
        id=EditionId(7),
        date=date(2026, 11, 24),
        tip=EditionTip(
            id=TipId(1),
            slug="branch-names",
            title="Name your branches after the work",
            source=Source.QUEUE,
            why="next in the queue (1st of 3)",
        ),
        status=EditionStatus.FINISHED,
        audience=1204,
        nonce="sample",
        sends_at=TUESDAY,
        started_at=TUESDAY,
        finished_at=TUESDAY + timedelta(minutes=17),
    )
    receipt = Receipt(
        edition=edition,
        counts=DeliveryCounts(accepted=1201, rejected=2, skipped=1),
    )
    return _html(report_letter(notice_context(), edition, receipt))


def _html(letter: NoticeBody, original: Original | None = None) -> str:
    render_context = notice_context().render_context
    text = compose(letter, render_context.publication, render_context.templates, STAMP, original=original)
    body = message_from_string(text, policy=policy.SMTP).get_body(("html",))
    return str(body.get_content()) if body is not None else ""


def take(browser: Browser, html: str, name: str, *, width: int, scheme: str) -> None:
    """Photograph the whole mail at a width and in a colour scheme."""
    page = browser.new_page(
        viewport={"width": width, "height": 600},
        device_scale_factor=1.5,
        color_scheme="dark" if scheme == "dark" else "light",
    )
    page.set_content(html)
    picture = Image.open(BytesIO(page.screenshot(full_page=True))).convert("RGB")
    page.close()
    # A palette keeps flat colours exact and the file small.
    picture.quantize(128).save(ROOT / "docs" / "images" / f"{name}.png", optimize=True)


def main() -> None:
    """Take all pictures."""
    chromium = sys.argv[1] if len(sys.argv) > 1 else shutil.which("chromium")
    mails = {"proof-mail": proof(Change.EDITED), "proof-alert": alert(), "proof-report": report()}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, html in mails.items():
            for size, (width, scheme) in SIZES.items():
                take(browser, html, f"{name}{size}", width=width, scheme=scheme)
        browser.close()


if __name__ == "__main__":
    main()

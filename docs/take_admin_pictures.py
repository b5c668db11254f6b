# ruff: noqa: INP001 - a script, no package.
"""Take pictures of the admin area, served from a throwaway installation at a fixed hour, into `docs/images`.

python docs/take_admin_pictures.py [path of Chromium]
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import threading
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright
from sqlalchemy import update

from newsletter.cli.admin_tools import admin_tools
from newsletter.cli.context import State
from newsletter.core.access import SignInMethod
from newsletter.core.cadence import Slot, SlotState, cadence_text
from newsletter.core.edition import EditionTip
from newsletter.core.lineup import Source
from newsletter.core.monitor import ServicePart
from newsletter.core.tip import TipDraft, TipStatus
from newsletter.core.token import key_fingerprint
from newsletter.flows.add_subscriber import newcomer
from newsletter.store import delivery as deliveries
from newsletter.store import edition as editions
from newsletter.store import heartbeat as heartbeats
from newsletter.store import installation as installations
from newsletter.store import log as logs
from newsletter.store import session as sessions
from newsletter.store import slot as slots
from newsletter.store import subscriber as subscribers
from newsletter.store import subscriber_batch as batches
from newsletter.store import tip as tips
from newsletter.store.database import connect, open_unit
from newsletter.store.log import LogEntry
from newsletter.store.schema import delivery
from newsletter.store.subscriber import Consent
from newsletter.store.unit import Tx
from newsletter.store.upgrade import upgrade
from newsletter.testing.clocks import FixedClock
from newsletter.web.admin.guard import SESSION_COOKIE, hash_of_session
from newsletter.web.app import create_app
from newsletter.web.serve import serve
from newsletter.wiring import Application

ROOT = Path(__file__).parent.parent
NOW = datetime(2026, 12, 2, 15, tzinfo=UTC)
SENT_AT = datetime(2026, 12, 1, 14, tzinfo=UTC)
PEOPLE_COUNT = 412
SECRET = "only for a picture, never for a list"  # noqa: S105 - as it says
PICTURES = {
    "admin-home": ("/admin/", 1100, "light"),
    "admin-home-dark": ("/admin/", 1100, "dark"),
    "admin-home-phone": ("/admin/", 375, "light"),
    "admin-home-phone-dark": ("/admin/", 375, "dark"),
    "admin-sessions": ("/admin/sessions", 1100, "light"),
    "admin-sessions-phone-dark": ("/admin/sessions", 375, "dark"),
    "admin-log": ("/admin/log", 1100, "light"),
    "admin-sign-in-phone": ("/admin/sign-in", 375, "light"),
    "admin-code-phone-dark": ("/admin/sign-in/code", 375, "dark"),
}
"""File name: address, width, colour scheme; pages for signing in are taken without a session."""

SETTINGS = f"""
NEWSLETTER_FROM=tips@news.example.com
NEWSLETTER_POSTAL_ADDRESS='Example Society, 1 Example Street, Springfield'
NEWSLETTER_BASE_URL=https://news.example.com
NEWSLETTER_SECRET_KEY='{SECRET}'
NEWSLETTER_SMTP_HOST=127.0.0.1
NEWSLETTER_SMTP_SECURITY=none
NEWSLETTER_WEB_PAGES=all
NEWSLETTER_ADMIN_EMAILS=ada@example.org
NEWSLETTER_EDITOR_EMAILS=ed@example.org
NEWSLETTER_STATE_DIR=state
"""
TITLES = ("Say the next step", "The question behind the question", "A no that keeps the door open")


def furnish(tx: Tx, application: Application) -> None:
    """Write an installation that has sent its first edition."""
    installations.create(tx, now=NOW - timedelta(days=90), key_fingerprint=key_fingerprint(SECRET))
    installations.begin(tx, now=NOW - timedelta(days=90), cadence=cadence_text(application.cadence))
    for part in ServicePart:
        heartbeats.record(tx, part, now=NOW - timedelta(seconds=3), process="news 1204")
    emails = [f"reader{number:03}@example.com" for number in range(PEOPLE_COUNT)]
    people = [newcomer(email=email, canonical=email, now=NOW - timedelta(days=30)) for email in emails]
    ids = list(batches.add_new(tx, people).values())
    for count, action in ((19, "subscribed"), (4, "unsubscribed"), (1, "bounced")):
        for who in ids[:count]:
            subscribers.add_consent(tx, who, Consent(at=NOW - timedelta(days=2), action=action, channel="web"))
    for number, title in enumerate(TITLES):
        draft = TipDraft(slug=f"tip-{number}", title=title, subject=title, body="B", status=TipStatus.APPROVED)
        tips.add(tx, draft, now=NOW)
    title = "Name your branches"
    tip = tips.add(tx, TipDraft(slug="name-your-branches", title=title, subject=title, body="B"), now=NOW)
    tips.set_status(tx, tip, TipStatus.SENT, now=NOW)
    send(tx, EditionTip(id=tip.id, slug=tip.slug, title=title, source=Source.QUEUE, why="next in the queue"))
    for minutes, (who, description, about, why) in enumerate(LOG):
        entry = LogEntry(at=NOW - timedelta(minutes=40 - 7 * minutes), who=who, what=description, about=about, why=why)
        logs.add(tx, entry)
    browsers = (("ada@example.org", "Firefox on Linux"), ("ada@example.org", "Safari on an iPhone"))
    for number, (email, browser) in enumerate((*browsers, ("ed@example.org", "Chrome on Windows"))):
        sessions.add(
            tx,
            hash_of_session(f"cookie-{number}"),
            email=email,
            method=SignInMethod.CODE,
            browser=browser,
            browser_hash="known",
            network="192.0.2.0/24",
            now=NOW - timedelta(hours=5 * number),
        )


LOG = (
    ("ada", "admin sign-in", "session 1", "by the code of a mail, Firefox on Linux, 192.0.2.0/24"),
    ("ed", "tip approve", "say-the-next-step", ""),
    ("ed", "tip move", "a-no-that-keeps-the-door-open", "to the end of the queue"),
    ("ada", "slot skip", "2026-12-29", "holidays"),
)


def send(tx: Tx, tip: EditionTip) -> None:
    """Write an edition that has ended."""
    day = date(2026, 12, 1)
    slots.add(tx, Slot(date=day, sends_at=SENT_AT), now=SENT_AT)
    slots.move(tx, day, was=SlotState.OPEN, to=SlotState.FROZEN, reason="", now=SENT_AT)
    new = editions.NewEdition(date=day, tip=tip, content="{}", nonce="n", sends_at=SENT_AT)
    edition = editions.create(tx, new, now=SENT_AT)
    tx.execute(update(delivery).values(state="accepted"))
    tx.execute(update(delivery).where(delivery.c.id <= 3).values(state="rejected"))  # noqa: PLR2004 - for the picture
    tx.execute(update(delivery).where(delivery.c.id == 4).values(state="skipped"))  # noqa: PLR2004 - as above
    totals = deliveries.counts(tx, edition.id)
    editions.close(tx, edition.id, totals=totals, now=SENT_AT + timedelta(seconds=9))


def take(browser: Browser, url: str, path: str, width: int, scheme: str) -> Image.Image:
    """Return a picture of a page, in as few colours as do it justice."""
    context = browser.new_context(
        base_url=url,
        viewport={"width": width, "height": 600},
        color_scheme="dark" if scheme == "dark" else "light",
        device_scale_factor=1.5,
    )
    if not path.startswith("/admin/sign-in"):
        cookie = {"name": SESSION_COOKIE, "value": "cookie-0", "domain": "127.0.0.1", "path": "/"}
        context.add_cookies([{**cookie, "secure": True, "httpOnly": True, "sameSite": "Lax"}])  # type: ignore[list-item]
    page = context.new_page()
    page.goto(path)
    picture = Image.open(BytesIO(page.screenshot(full_page=True)))
    context.close()
    return picture.convert("RGB").quantize(128)


def main() -> None:
    """Take every picture."""
    chromium = sys.argv[1] if len(sys.argv) > 1 else shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory(prefix="newsletter-") as name:
        folder = Path(name)
        (folder / ".env").write_text(SETTINGS)
        (folder / ".env").chmod(0o600)
        (folder / "data").mkdir()
        state = State(home=folder, environ={}, clock=FixedClock(NOW))
        engine = connect(state.settings.database_url.get_secret_value())
        upgrade(engine)
        with open_unit(engine).write() as tx:
            furnish(tx, state.app)
        app = create_app(state.app, tools=admin_tools(state))
        with serve(app, "127.0.0.1", 0, stop=threading.Event()) as server, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            for picture, (path, width, scheme) in PICTURES.items():
                image = take(browser, f"http://127.0.0.1:{server.port}", path, width, scheme)
                image.save(ROOT / "docs" / "images" / f"{picture}.png", optimize=True)
            browser.close()


if __name__ == "__main__":
    main()

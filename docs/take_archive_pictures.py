# ruff: noqa: INP001 - a script, no package.
"""Takes the pictures of the public archive that the documentation shows; needs the `dev` extra and a Chromium.

Run it from the top of the checkout: `python docs/take_archive_pictures.py [/usr/bin/chromium]`. It shows the sample
tips of `data/tips`, as if they had gone out on Tuesdays.
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
from playwright.sync_api import sync_playwright

from newsletter.core.archive_page import NewPage, topics_of
from newsletter.core.tip import TipDraft
from newsletter.core.tip_file import parse_tip_file
from newsletter.flows.set_up import set_up
from newsletter.render.article import render_article
from newsletter.settings.loader import load_settings
from newsletter.store.page import add_page
from newsletter.testing.clocks import FixedClock
from newsletter.web.app import create_app
from newsletter.web.serve import serve
from newsletter.wiring import Application, build

ROOT = Path(__file__).parent.parent
NOW = datetime(2026, 12, 1, 15, tzinfo=UTC)
LAST_TUESDAY = date(2026, 12, 1)
PICTURES = {
    "archive-home": ("/", 1100, 1000, "light"),
    "archive-home-dark": ("/", 1100, 1000, "dark"),
    "archive-home-phone": ("/", 360, 1000, "light"),
    "archive-home-phone-dark": ("/", 360, 1000, "dark"),
    "archive-tip": ("/tips/a-no-that-keeps-the-door-open", 1100, 700, "light"),
    "archive-tip-dark": ("/tips/a-no-that-keeps-the-door-open", 1100, 700, "dark"),
    "archive-tip-phone": ("/tips/a-no-that-keeps-the-door-open", 360, 800, "light"),
    "archive-tip-phone-dark": ("/tips/a-no-that-keeps-the-door-open", 360, 800, "dark"),
    "archive-search": ("/search?q=customer+waiting", 1100, 700, "light"),
    "archive-topics-phone": ("/topics/", 360, 600, "light"),
}
"""File name: address, width, height, colour scheme."""


def sample_tips() -> list[TipDraft]:
    """Return the sample tips in the order of their files."""
    files = sorted((ROOT / "data" / "tips").glob("*.md"))
    return [parse_tip_file(file.read_text(encoding="utf-8"), file_name=file.name) for file in files]


def publish(application: Application) -> None:
    """Write a page for each sample tip, the newest one on the last Tuesday."""
    tips = sample_tips()
    with application.unit.write() as tx:
        for weeks, tip in enumerate(tips):
            article = render_article(tip, application.publication)
            new = NewPage(
                slug=tip.slug,
                title=article.title,
                html=article.html,
                text=article.text,
                language=article.language,
                published_on=LAST_TUESDAY - timedelta(weeks=weeks),
                topics=topics_of(tip.tags),
                author=tip.author,
                series=tip.part.series if tip.part else None,
                part=tip.part.number if tip.part else None,
            )
            add_page(tx, new, now=NOW)


def main() -> None:
    """Take every picture."""
    chromium = sys.argv[1] if len(sys.argv) > 1 else shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as folder:
        environ = {
            "NEWSLETTER_DATABASE_URL": f"sqlite:///{folder}/newsletter.db",
            "NEWSLETTER_SECRET_KEY": "a secret of pictures alone, long enough",
            "NEWSLETTER_FROM": "Tip of the Week <tips@news.example.com>",
            "NEWSLETTER_NAME": "Tip of the Week",
            "NEWSLETTER_POSTAL_ADDRESS": "12 Harbour Lane, Springfield, ZZ 00000",
            "NEWSLETTER_BASE_URL": "https://news.example.com",
            "NEWSLETTER_SMTP_HOST": "mail.example.com",
            "NEWSLETTER_JOURNAL_DIR": f"{folder}/journal",
            "NEWSLETTER_STATE_DIR": f"{folder}/state",
            "NEWSLETTER_WEB_PAGES": "public",
        }
        application = build(load_settings(environ, Path(folder)), clock=FixedClock(NOW))
        set_up(application.engine, application.keyring, who="ada", now=NOW)
        publish(application)
        app = create_app(application)
        with serve(app, "127.0.0.1", 0, stop=threading.Event()) as server, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            for name, (path, width, height, scheme) in PICTURES.items():
                page = browser.new_page(
                    viewport={"width": width, "height": height},
                    color_scheme="dark" if scheme == "dark" else "light",
                    device_scale_factor=1.5,
                )
                page.goto(f"http://127.0.0.1:{server.port}{path}")
                picture = Image.open(BytesIO(page.screenshot(full_page=path != "/")))
                picture.convert("RGB").quantize(128).save(ROOT / "docs" / "images" / f"{name}.png", optimize=True)
                page.close()
            browser.close()


if __name__ == "__main__":
    main()

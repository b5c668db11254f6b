# ruff: noqa: INP001 - a script, no package.
"""Takes the pictures of a mail that `docs/the-mail.md` shows; needs the `dev` extra and a Chromium.

Run it from the top of the checkout: `python docs/take_mail_pictures.py [/usr/bin/chromium]`.
"""

from __future__ import annotations

import shutil
import sys
from datetime import UTC, date, datetime
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from newsletter.core.message import Publication, PublicationLinks, Recipient
from newsletter.core.tip import TipDraft
from newsletter.render.edition import render_edition
from newsletter.render.environment import make_environment
from newsletter.render.mime import compile_message

ROOT = Path(__file__).parent.parent
PICTURES = {
    "mail-desktop": (760, "light"),
    "mail-phone": (360, "light"),
    "mail-dark": (760, "dark"),
    "mail-phone-dark": (360, "dark"),
}


def sample_html() -> str:
    """Return the HTML of the sample tip as one subscriber gets it."""
    publication = Publication(
        name="Tip of the Week",
        from_email="tips@news.example.com",
        reply_to="hello@example.com",
        postal_address="12 Harbour Lane\nSpringfield, ZZ 00000",
        base_url="https://news.example.com",
        links=PublicationLinks(
            archive_url="https://news.example.com/archive",
            signup_url="https://news.example.com/join",
            contact_url="https://news.example.com/contact",
            resources_url="https://news.example.com/resources",
        ),
    )
    tip = TipDraft(
        slug="branch-names",
        title="Name your branches after the work",
        subject="Name your branches after the work",
        preheader="Three small habits, and nobody asks what fix2 was.",
        body=(ROOT / "tests/render/samples/tip.md").read_text(encoding="utf-8"),
    )
    rendered = render_edition(tip, publication, make_environment(), nonce="picture", date=date(2026, 11, 24))
    recipient = Recipient(
        email="ann@example.org",
        fields={"first_name": "Ann"},
        unsubscribe_url="https://news.example.com/u/sample",
        message_id="sample@news.example.com",
        date=datetime(2026, 11, 24, 14, tzinfo=UTC),
    )
    return compile_message(rendered, publication).html(recipient)


def take(browser: Browser, html: str, name: str, *, width: int, scheme: str) -> None:
    """Photograph the whole mail at a width and in a colour scheme."""
    page = browser.new_page(
        viewport={"width": width, "height": 800},
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
    html = sample_html()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, (width, scheme) in PICTURES.items():
            take(browser, html, name, width=width, scheme=scheme)
        browser.close()


if __name__ == "__main__":
    main()

# ruff: noqa: INP001 - a script, no package.
"""Takes the pictures of the pages that `docs/unsubscribe.md` shows; needs the `dev` extra and a Chromium.

Run it from the top of the checkout: `python docs/take_page_pictures.py [/usr/bin/chromium]`.
"""

from __future__ import annotations

import shutil
import sys
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from newsletter.core.message import Publication
from newsletter.render.environment import make_environment
from newsletter.web.pages import render_pages

ROOT = Path(__file__).parent.parent
PICTURES = {
    "page-unsubscribe": ("unsubscribe", 820, 620, "light"),
    "page-unsubscribe-dark": ("unsubscribe", 820, 620, "dark"),
    "page-unsubscribe-phone": ("unsubscribe", 360, 720, "light"),
    "page-done": ("unsubscribed", 820, 560, "light"),
    "page-done-phone-dark": ("unsubscribed", 360, 720, "dark"),
    "page-unknown-phone": ("unknown", 360, 720, "light"),
    "page-trouble": ("trouble", 820, 680, "light"),
}
"""File name: page, width, height, colour scheme."""

PUBLICATION = Publication(
    name="Tip of the Week",
    from_email="tips@news.example.com",
    reply_to="hello@example.com",
    postal_address="12 Harbour Lane\nSpringfield, ZZ 00000",
    base_url="https://news.example.com",
    signup_url="https://news.example.com/join",
    home_url="https://news.example.com",
)


def take(browser: Browser, html: str, size: tuple[int, int], scheme: str) -> Image.Image:
    """Return a picture of a page, in as few colours as do it justice."""
    page = browser.new_page(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if scheme == "dark" else "light",
        device_scale_factor=1.5,
    )
    page.set_content(html)
    picture = Image.open(BytesIO(page.screenshot(full_page=True)))
    page.close()
    return picture.convert("RGB").quantize(128)


def main() -> None:
    """Take every picture."""
    chromium = sys.argv[1] if len(sys.argv) > 1 else shutil.which("chromium") or shutil.which("google-chrome")
    pages = render_pages(make_environment(None), PUBLICATION)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, (page, width, height, scheme) in PICTURES.items():
            picture = take(browser, getattr(pages, page).html, (width, height), scheme)
            picture.save(ROOT / "docs" / "images" / f"{name}.png", optimize=True)
        browser.close()


if __name__ == "__main__":
    main()

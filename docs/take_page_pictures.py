# ruff: noqa: INP001 - a script, no package.
"""Takes the pictures of the pages that the documentation shows; needs the `dev` extra and a Chromium.

Run it from the top of the checkout: `python docs/take_page_pictures.py [/usr/bin/chromium]`.
"""

from __future__ import annotations

import shutil
import sys
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Route, sync_playwright

from newsletter.core.cadence import describe_instant
from newsletter.core.message import Publication, PublicationLinks
from newsletter.core.web_options import WebOptions
from newsletter.render.environment import make_environment
from newsletter.web.assets import Assets
from newsletter.web.pages import Page, render_pages
from newsletter.web.public.frame import PublicFrame
from newsletter.web.public.legal import LegalPages
from newsletter.web.public.signup_form import SIGNUP_FIELDS, SignupForm
from newsletter.web.responses import ResponseKind

ROOT = Path(__file__).parent.parent
SITE = "https://news.example.com"
PICTURES = {
    "page-unsubscribe": ("unsubscribe", 820, 620, "light"),
    "page-unsubscribe-dark": ("unsubscribe", 820, 620, "dark"),
    "page-unsubscribe-phone": ("unsubscribe", 360, 720, "light"),
    "page-done": ("unsubscribed", 820, 560, "light"),
    "page-done-phone-dark": ("unsubscribed", 360, 720, "dark"),
    "page-unknown-phone": ("unknown", 360, 720, "light"),
    "page-trouble": ("trouble", 820, 680, "light"),
    "page-left": ("left", 820, 860, "light"),
    "page-left-phone-dark": ("left", 360, 900, "dark"),
    "page-settings": ("settings", 820, 900, "light"),
    "page-settings-phone-dark": ("settings", 360, 900, "dark"),
    "page-subscribe": ("subscribe", 820, 780, "light"),
    "page-subscribe-dark": ("subscribe", 820, 780, "dark"),
    "page-subscribe-phone": ("subscribe", 360, 800, "light"),
    "page-subscribe-mistake-phone-dark": ("mistake", 360, 800, "dark"),
    "page-imprint": ("imprint", 820, 480, "light"),
    "page-privacy": ("privacy", 820, 900, "light"),
    "page-privacy-phone-dark": ("privacy", 360, 900, "dark"),
    "page-sent": ("sent", 820, 620, "light"),
    "page-sent-phone-dark": ("sent", 360, 720, "dark"),
    "page-confirm": ("confirm", 820, 560, "light"),
    "page-confirm-phone-dark": ("confirm", 360, 700, "dark"),
    "page-confirmed": ("confirmed", 820, 560, "light"),
    "page-confirmed-phone-dark": ("confirmed", 360, 700, "dark"),
}
"""File name: page, width, height, colour scheme."""

PUBLICATION = Publication(
    name="Tip of the Week",
    from_email="tips@news.example.com",
    reply_to="hello@example.com",
    postal_address="12 Harbour Lane\nSpringfield, ZZ 00000",
    base_url=SITE,
    links=PublicationLinks(signup_url=f"{SITE}/subscribe", home_url="https://www.example.com"),
)
NEXT_DAY = describe_instant(datetime(2026, 12, 8, 14, tzinfo=UTC), "America/New_York")
LATEST = (
    ("Tuesday 1 December 2026", "Say the next step", "/tips/say-the-next-step"),
    ("Tuesday 24 November 2026", "Name your branches", "/tips/name-your-branches"),
    ("Tuesday 17 November 2026", "The question behind", "/tips/the-question-behind"),
)
MASKED = "a***@example.org"
TEMPLATES = make_environment(None)
OPTIONS = WebOptions(public=True, privacy_url="https://www.example.com/privacy")
FRAME = PublicFrame(TEMPLATES, PUBLICATION, OPTIONS, Assets(TEMPLATES, ""))


def form_page(form: SignupForm) -> Page:
    """Return the form of a sign-up."""
    words = FRAME.words
    facts = {
        "next": words("subscribe", "next", day=NEXT_DAY),
        "latest": words("subscribe", "latest", title="Say the next step", day="Tuesday 1 December 2026"),
    }
    return FRAME.page(
        "subscribe",
        kind=ResponseKind.PUBLIC,
        words=FRAME.section("subscribe"),
        summary=words("mistakes", "summary"),
        form=form,
        mistakes=dict.fromkeys(SIGNUP_FIELDS, "") | dict(form.mistakes),
        facts=facts,
        stamp="",
        zone_options="",
    )


def every_page() -> dict[str, str]:
    """Return the HTML of every page by its name."""
    pages = render_pages(TEMPLATES, PUBLICATION)
    first = FRAME.words("confirmed", "first", day=NEXT_DAY, sender="tips@news.example.com")
    wrong = {"email": FRAME.words("mistakes", "email_wrong", reason="not an e-mail address: there is no @ sign")}
    public = {
        "subscribe": form_page(SignupForm()),
        "mistake": form_page(SignupForm(email="ada.example.org", first_name="Ada", mistakes=wrong)),
        "left": FRAME.page(
            "left", words=FRAME.section("left", subscriber=MASKED), address=MASKED, token=MASKED, reason_length="500"
        ),
        "settings": FRAME.page(
            "me",
            words=FRAME.section("me", subscriber=MASKED, day="Tuesday 3 March 2026"),
            standing=FRAME.words("me", "active"),
            can_pause=True,
            can_resume=False,
            catches_up=False,
            first_day="2026-12-02",
            last_day="2027-12-02",
            usual_day="2026-12-29",
            first_name="Ada",
            zone_options="",
            history=[
                {"day": day, "title": title, "outcome": FRAME.words("history", outcome)}
                for (day, title, _), outcome in zip(LATEST, ("accepted", "skipped_paused", "rejected"), strict=True)
            ],
            arriving=FRAME.section("arriving", sender="tips@news.example.com"),
            path="",
            note=FRAME.words("me", "saved"),
            mistake="",
        ),
        "sent": FRAME.page("sent", words=FRAME.section("sent"), note="", mistake=""),
        "confirm": FRAME.page("confirm", words=FRAME.section("confirm", address=MASKED), same_browser=False),
        "confirmed": FRAME.page(
            "confirmed",
            words=FRAME.section("confirmed", sender="tips@news.example.com"),
            first=first,
            latest=LATEST,
        ),
    }
    for path, page in LegalPages(FRAME).pages.items():
        public[path.strip("/")] = page
    names = ("unsubscribe", "unsubscribed", "unknown", "trouble")
    return {name: getattr(pages, name).html for name in names} | {name: page.html for name, page in public.items()}


def take(browser: Browser, html: str, size: tuple[int, int], scheme: str) -> Image.Image:
    """Return a picture of a page, in as few colours as do it justice."""
    page = browser.new_page(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if scheme == "dark" else "light",
        device_scale_factor=1.5,
    )

    def answer(route: Route) -> None:
        name = route.request.url.rpartition("/")[2]
        if name.endswith((".css", ".js")):
            stem, *_, extension = name.split(".")
            route.fulfill(path=ROOT / "templates" / "web" / f"{stem}.{extension}")
        else:
            route.fulfill(body=html, content_type="text/html; charset=utf-8")

    page.route("**/*", answer)
    page.goto(f"{SITE}/")
    picture = Image.open(BytesIO(page.screenshot(full_page=True)))
    page.close()
    return picture.convert("RGB").quantize(128)


def main() -> None:
    """Take every picture."""
    chromium = sys.argv[1] if len(sys.argv) > 1 else shutil.which("chromium") or shutil.which("google-chrome")
    pages = every_page()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, (page, width, height, scheme) in PICTURES.items():
            picture = take(browser, pages[page], (width, height), scheme)
            picture.save(ROOT / "docs" / "images" / f"{name}.png", optimize=True)
        browser.close()


if __name__ == "__main__":
    main()

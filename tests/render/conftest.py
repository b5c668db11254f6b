"""What the tests of rendering share: one publication, one recipient, and a way to make an edition of some Markdown."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from newsletter.core.message import Publication, PublicationLinks, Recipient
from newsletter.core.tip import TipDraft
from newsletter.render.edition import render_edition
from newsletter.render.environment import make_environment
from newsletter.render.mime import CompiledMessage, compile_message

Edit = Callable[..., CompiledMessage]


@pytest.fixture(scope="session")
def publication() -> Publication:
    """Give a newsletter with every link and header it can have."""
    return Publication(
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
            home_url="https://news.example.com/",
        ),
        cfbl_address="fbl@news.example.com",
    )


@pytest.fixture(scope="session")
def recipient() -> Recipient:
    """Give one subscriber."""
    return Recipient(
        email="ann@example.org",
        name="Ann Example",
        fields={"first_name": "Ann", "Company Name": "Harbour & Sons"},
        unsubscribe_url="https://news.example.com/u/AbCd-EfGh_123",
        message_id="2026-11-24.42.abc123@news.example.com",
        date=datetime(2026, 11, 24, 14, 0, 3, tzinfo=UTC),
    )


@pytest.fixture(scope="session")
def edit(publication: Publication) -> Edit:
    """Make an edition of some Markdown, with a fixed nonce and date; `overrides` is an operator's template folder."""

    def make(
        body: str = "Hello {{ first_name|there }}.",
        *,
        about: Publication = publication,
        overrides: Path | None = None,
        **tip: str,
    ) -> CompiledMessage:
        draft = TipDraft(**{"slug": "a-tip", "title": "A tip", "subject": "A tip", "body": body} | tip)
        rendered = render_edition(draft, about, make_environment(overrides), nonce="n0nce", date=date(2026, 11, 24))
        return compile_message(rendered, about)

    return make


@pytest.fixture
def override(tmp_path: Path) -> Callable[[str, str], Path]:
    """Write one template of an operator's own folder and return the folder."""

    def write(name: str, text: str) -> Path:
        path = tmp_path / "email" / "edition" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return tmp_path

    return write

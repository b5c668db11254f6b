"""The settings of notices: who gets them, and what happens when no mail gets through."""

from __future__ import annotations

from pathlib import Path

import pytest

from newsletter.errors import InputError
from newsletter.settings.loader import load_settings
from newsletter.settings.model import Settings

REQUIRED = {
    "NEWSLETTER_FROM": "tips@example.com",
    "NEWSLETTER_POSTAL_ADDRESS": "Example Society, 1 Example Street, Springfield",
    "NEWSLETTER_BASE_URL": "https://news.example.com",
    "NEWSLETTER_SECRET_KEY": "k3y-of-the-tests-0123456789-abcdef",
}


def load(home: Path, **values: str) -> Settings:
    """Load the required settings and those given."""
    return load_settings(REQUIRED | {f"NEWSLETTER_{name}": value for name, value in values.items()}, home)


def test_admins_are_separated_by_commas(tmp_path: Path) -> None:
    """Several people can be named, blanks and a comma at the end do no harm, and nobody is nobody."""
    assert load(tmp_path, ADMIN_EMAILS="ann@example.org, bob@Example.COM ,").admin_emails == (
        "ann@example.org",
        "bob@example.com",
    )
    assert load(tmp_path).admin_emails == load(tmp_path).proof_emails == ()


def test_one_wrong_admin_is_named(tmp_path: Path) -> None:
    """Of several addresses the wrong one is quoted."""
    with pytest.raises(InputError) as caught:
        load(tmp_path, PROOF_EMAILS="ann@example.org, bob")
    assert len(caught.value.details) == 1
    assert "NEWSLETTER_PROOF_EMAILS: 'bob' is not an e-mail address" in caught.value.details[0]


@pytest.mark.parametrize("url", ["ftp://example.com/x", "https://ann:secret@example.com/x", "example.com/ping"])
def test_ping_url_is_a_web_address(tmp_path: Path, url: str) -> None:
    """What is fetched is http or https and holds no password."""
    with pytest.raises(InputError) as caught:
        load(tmp_path, PING_URL=url)
    assert caught.value.details[0].startswith("NEWSLETTER_PING_URL:")

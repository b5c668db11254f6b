"""Where a form on another site may send its reader."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.core.return_address import allowed_return

SITE = "https://www.example.com"
ORIGINS = (SITE, "http://localhost:8000")

pieces = st.sampled_from(
    (
        *("https:", "http:", "javascript:", "//", "/", "\\", "@", ":", "?", "#", ".", "\t", "\n", " ", "%2f", "[", "]"),
        *(
            "www.example.com",
            "evil.example.net",
            "localhost:8000",
            "localhost",
            "www.example.com.evil.example.net",
            "é",
        ),
    )
)


@pytest.mark.parametrize("text", [SITE, f"{SITE}/", f"{SITE}/thanks?a=b#c", "http://localhost:8000/"])
def test_an_address_on_a_listed_site_is_taken(text: str) -> None:
    """Path, query and fragment are the operator's own business."""
    assert allowed_return(text, ORIGINS) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", "/thanks", "//evil.example.net", "javascript:alert(1)", "http://www.example.com/"),
        *(f"{SITE}.evil.example.net/", f"{SITE}@evil.example.net/", f"{SITE}:444/", "https://user@www.example.com/"),
        *(f"{SITE}\\@evil.example.net/", f"{SITE}/\r\nX: y", f"{SITE}/" + "a" * 2_000, "https://[::1/"),
    ],
)
def test_anything_else_is_not(text: str) -> None:
    """Another scheme, host or port, a name before an @ sign, and what browsers would read differently."""
    assert allowed_return(text, ORIGINS) == ""


@given(st.lists(pieces, max_size=9).map("".join) | st.text(max_size=40))
def test_no_address_leads_elsewhere(text: str) -> None:
    """Whatever is taken is the same address to a browser, on a listed site."""
    address = allowed_return(text, ORIGINS)
    if address:
        parts = urlsplit(urljoin("https://news.example.com/subscribe", address))
        assert f"{parts.scheme}://{parts.netloc}" in ORIGINS
        assert address.isascii()
        assert address.isprintable()

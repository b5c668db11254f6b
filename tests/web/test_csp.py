"""The content security policy as data."""

from __future__ import annotations

from newsletter.web.csp import PAGE_POLICY, merge_policies, policy_header


def test_every_page_forbids_what_asvs_names() -> None:
    """Objects, a foreign base and a frame around the page are forbidden by name (OWASP ASVS 5.0, 3.4.3)."""
    header = policy_header(PAGE_POLICY)
    for directive in ("default-src", "object-src", "base-uri", "frame-ancestors"):
        assert f"{directive} 'none'" in header.split("; ")


def test_a_source_takes_the_place_of_none() -> None:
    """A page that adds a source allows that source alone; `'none'` beside another source would be ignored."""
    merged = merge_policies(
        PAGE_POLICY, {"style-src": ("'self'",)}, {"style-src": ("'sha256-x'",), "script-src": ("'self'",)}
    )
    assert merged["style-src"] == ("'self'", "'sha256-x'")
    assert merged["script-src"] == ("'self'",)
    assert merged["default-src"] == ("'none'",)

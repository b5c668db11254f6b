"""The settings of the look: an accent colour that can be read, a logo that is shown, typographic signs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.settings.test_loader import load, mistakes


@pytest.mark.parametrize(
    ("written", "color"),
    [("#17604f", "#17604f"), ("8A1C2B", "#8a1c2b"), ("#00f", "#0000ff"), ("#000000", "#000000")],
)
def test_a_colour_has_one_form(tmp_path: Path, written: str, color: str) -> None:
    """With or without its sign, in three digits or six, in any case."""
    assert load(tmp_path, ACCENT_COLOR=written).accent_color == color


@pytest.mark.parametrize("written", ["red", "#12", "#12345g", "#1234567", "rgb(0,0,0)", "##0000ff", "url(x)"])
def test_what_is_no_colour_is_refused(tmp_path: Path, written: str) -> None:
    """Nothing but digits gets into a style sheet."""
    (mistake,) = mistakes(tmp_path, ACCENT_COLOR=written)
    assert f"'{written}' is not a colour such as #17604f" in mistake


@pytest.mark.parametrize(("written", "ratio"), [("#ffff00", "1.1"), ("#888888", "3.1"), ("#f3f1ec", "1.0")])
def test_a_colour_that_cannot_be_read_is_refused(tmp_path: Path, written: str, ratio: str) -> None:
    """The contrast with the background is named, and what to do."""
    (mistake,) = mistakes(tmp_path, ACCENT_COLOR=written)
    assert f"its contrast with the mail's background is {ratio} to 1, and 4.5 is the least" in mistake


def test_a_logo_is_an_https_address(tmp_path: Path) -> None:
    """Mail programs show no picture that comes over plain http."""
    assert load(tmp_path, LOGO_URL="https://example.com/logo.png").logo_url == "https://example.com/logo.png"
    (mistake,) = mistakes(tmp_path, LOGO_URL="http://example.com/logo.png")
    assert "must begin with https://" in mistake


def test_typography_can_be_turned_off(tmp_path: Path) -> None:
    """It is on by default."""
    assert load(tmp_path).typography
    assert not load(tmp_path, TYPOGRAPHY="false").typography

"""Footer lines of old posts: they go from both ends, and the text itself stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.core.archive_title import split_patterns
from newsletter.core.footer_lines import without_footer
from newsletter.settings.model import setting_fields

PATTERNS = split_patterns(str(setting_fields()["import_drop_lines"].default))
LINKS = "[Sign up](https://x.example/s) | [Contact Us](https://x.example/c) | [More Resources](/r) | [Home](/)"


@pytest.mark.parametrize(
    "footer",
    [
        "Signup for FREE Tips!",
        "**[Signup for FREE Tips!](https://x.example/s)**",
        "Sign up for free tips! Contact us at once.",
        LINKS,
        LINKS.replace(" | ", " "),
        "- [Contact us for more!](https://x.example/c)\n- [Home](https://x.example/)",
        f"---\n\n{LINKS}\n\nSignup for FREE Tips!\n\n---",
        "Sign up · Contact us · More resources · Home",
    ],
)
def test_footer_lines_go(footer: str) -> None:
    """Links in a row with any sign between them, single lines, and the rules beside them."""
    trimmed = without_footer(f"A text.\n\n**Listen first.**\n\n{footer}\n", PATTERNS)
    assert trimmed.markdown == "A text.\n\n**Listen first.**"
    assert trimmed.dropped
    assert trimmed.last_line == "Listen first."


@pytest.mark.parametrize(
    "text",
    [
        "Home is where they know your name.",
        "Resources: [the book](https://x.example/book) and [Home](https://x.example/)",
        "[Contact us](https://x.example/) before Tuesday, and ask for Robin.",
        "A text.\n\nSignup for FREE Tips!\n\nMore text.",
        "One.\n\n---\n\nTwo.",
    ],
)
def test_the_text_itself_stays(text: str) -> None:
    """A sentence with such words, and lines in the midst of a text."""
    assert without_footer(text, PATTERNS).markdown == text
    assert without_footer(text, PATTERNS).dropped == ()


def test_a_line_above_the_text_goes_too() -> None:
    """Some posts began with the line."""
    assert without_footer("[Signup for FREE Tips!](/s)\n\n---\n\nA text.", PATTERNS).markdown == "A text."


def test_the_break_before_a_footer_goes_with_it() -> None:
    """A backslash at the end of a text would be shown."""
    assert without_footer("A text.\\\nSignup for FREE Tips!", PATTERNS).markdown == "A text."


def test_a_post_of_footer_lines_alone_is_empty() -> None:
    """Nothing is left of it."""
    assert without_footer(LINKS, PATTERNS).markdown == ""


def test_no_pattern_drops_nothing() -> None:
    """An empty setting leaves every line."""
    assert without_footer("A text.\n\nHome", ()).markdown == "A text.\n\nHome"


@given(st.text(alphabet="ab[]()|*-\\\n #", max_size=60))
def test_any_text_is_taken(text: str) -> None:
    """Nothing raises, and without a footer no word is lost."""
    assert "".join(without_footer(text, PATTERNS).markdown.split()) in "".join(text.split())

"""What a library says of a failure, in words for a person."""

from __future__ import annotations

import errno

import pytest

from newsletter.errors import words_of


@pytest.mark.parametrize(
    ("trouble", "words", "with_its_file"),
    [
        (FileNotFoundError(errno.ENOENT, "No such file", "a.sh"), "No such file", "a.sh: No such file"),
        # A process that cannot be started for want of memory has no file.
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "Cannot allocate memory", "Cannot allocate memory"),
        (OSError("gone"), "gone", "gone"),
        (ValueError("odd"), "odd", "odd"),
        (TimeoutError(), "TimeoutError", "TimeoutError"),
    ],
)
def test_words_without_a_number(trouble: Exception, words: str, with_its_file: str) -> None:
    """There is always something to read, and never the number of an error, or `None` for what is not known."""
    assert words_of(trouble) == words
    assert words_of(trouble, with_file=True) == with_its_file

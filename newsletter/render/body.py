"""One part of the message: encoded fixed pieces, and the placeholders between them.

In: the pieces of a text and its placeholders. Out: for the whole message, bytes and fillers; for a preview, plain
text. The encoding is quoted-printable, or base64 where that is shorter (scripts that are not Latin), never 8bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from newsletter.core.message import MergeField
from newsletter.render.encoding import Base64Body, quoted_pieces
from newsletter.render.splice import Placeholder

ValueOf = Callable[[MergeField], str]
"""Gives one person's value of a merge field, cleaned."""
PersonalPart = Callable[[ValueOf], bytes]
"""A filler: encodes one person's value where no placeholder of quoted-printable text stands."""


class Body:
    """A text part or an HTML part."""

    __slots__ = ("_base64", "_fixed", "_placeholders", "_quoted", "transfer_encoding")

    def __init__(self, parts: Sequence[str | Placeholder]) -> None:
        """Encode the fixed pieces; `parts` begins and ends with one and alternates."""
        self._fixed = [part for part in parts if isinstance(part, str)]
        self._placeholders = [part for part in parts if isinstance(part, Placeholder)]
        self._quoted = quoted_pieces(self._fixed)
        self._base64: Base64Body | None = None
        self.transfer_encoding = "quoted-printable"
        if sum(map(len, self._quoted)) > sum(len(text.encode()) for text in self._fixed) * 4 / 3 * 78 / 76:
            self._base64 = Base64Body(self._fixed)
            self.transfer_encoding = "base64"

    @property
    def size(self) -> int:
        """Return the encoded size in bytes, values aside."""
        if self._base64 is not None:
            return len(self._base64.splice([b""] * len(self._placeholders)))
        return sum(map(len, self._quoted))

    def sequence(self) -> list[bytes | Placeholder | PersonalPart]:
        """Return the encoded part in order: fixed bytes and placeholders, or one filler for a whole base64 part."""
        if self._base64 is not None:
            return [self._splice_base64]
        mixed: list[bytes | Placeholder | PersonalPart] = [self._quoted[0]]
        for placeholder, piece in zip(self._placeholders, self._quoted[1:], strict=True):
            mixed += (placeholder, piece)
        return mixed

    def plain(self, value_of: ValueOf) -> str:
        """Return the part with one person's values, not encoded."""
        return fill(self._fixed, self._placeholders, value_of)

    def _splice_base64(self, value_of: ValueOf) -> bytes:
        """Encode the values of one person into the prepared base64 text."""
        assert self._base64 is not None  # noqa: S101 - only then is this a filler.
        return self._base64.splice(
            [placeholder.escaped(value_of(placeholder.field)).encode() for placeholder in self._placeholders]
        )


def fill(fixed: Sequence[str], placeholders: Sequence[Placeholder], value_of: ValueOf) -> str:
    """Return a text with one person's values in it."""
    values = [placeholder.escaped(value_of(placeholder.field)) for placeholder in placeholders]
    return "".join(text + value for text, value in zip(fixed, [*values, ""], strict=True))

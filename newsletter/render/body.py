"""One part of the message: encoded fixed pieces, and the holes between them.

In: the pieces of a text and its holes. Out: for the whole message, bytes and fillers; for a preview, plain text.
It picks quoted-printable, or base64 where that is shorter (scripts that are not Latin), and never 8bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from newsletter.core.message import MergeField
from newsletter.render.encoding import Base64Body, quoted_pieces
from newsletter.render.splice import Placeholder

ValueOf = Callable[[MergeField], str]
"""Gives one person's value of a merge field, cleaned."""
PersonalPart = Callable[[ValueOf], bytes]
"""What fills a place that is no hole in quoted-printable text."""


class Body:
    """A text part or an HTML part."""

    __slots__ = ("_base64", "_fixed", "_holes", "_quoted", "transfer_encoding")

    def __init__(self, parts: Sequence[str | Placeholder]) -> None:
        """Encode the fixed pieces; `parts` begins and ends with one and alternates."""
        self._fixed = [part for part in parts if isinstance(part, str)]
        self._holes = [part for part in parts if isinstance(part, Placeholder)]
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
            return len(self._base64.splice([b""] * len(self._holes)))
        return sum(map(len, self._quoted))

    def sequence(self) -> list[bytes | Placeholder | PersonalPart]:
        """Return the encoded part in order: fixed bytes and holes, or one filler for the whole of a base64 part."""
        if self._base64 is not None:
            return [self._splice_base64]
        mixed: list[bytes | Placeholder | PersonalPart] = [self._quoted[0]]
        for hole, piece in zip(self._holes, self._quoted[1:], strict=True):
            mixed += (hole, piece)
        return mixed

    def plain(self, value_of: ValueOf) -> str:
        """Return the part as one person sees it, not encoded."""
        return fill(self._fixed, self._holes, value_of)

    def _splice_base64(self, value_of: ValueOf) -> bytes:
        """Encode the values of one person into the prepared base64 text."""
        assert self._base64 is not None  # noqa: S101 - only then is this a filler.
        return self._base64.splice([hole.escaped(value_of(hole.field)).encode() for hole in self._holes])


def fill(fixed: Sequence[str], holes: Sequence[Placeholder], value_of: ValueOf) -> str:
    """Return a text with one person's values in it."""
    values = [hole.escaped(value_of(hole.field)) for hole in holes]
    return "".join(text + value for text, value in zip(fixed, [*values, ""], strict=True))

"""The short way to the message of an ordinary person, whose values stand for themselves wherever they are put.

In: the pieces of a message in order, once; a person, per message. Out: the same bytes as `render/mime.py` makes in the
general way, at a third of the cost: nothing is escaped or encoded, since one regular expression has shown that nothing
has to be. A message whose places need more than such values has no layout, and goes the general way for everybody.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Self

from newsletter.core.message import Person, settings_url
from newsletter.render import headers
from newsletter.render.encoding import QP_LINE_WIDTH, common_value
from newsletter.render.splice import URL, Placeholder

_WORDS = "(?!F)[A-Za-z0-9]+(?:[ -][A-Za-z0-9]+)*"
"""Letters and digits, with single blanks and hyphens between. Quoted-printable encodes an F at the start of a line."""
_ADDRESS = "(?!F)[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*@[A-Za-z0-9]+(?:[.-][A-Za-z0-9]+)*"
_ORDINARY = re.compile(rf"{_WORDS}\n(?:{_WORDS})?\n(?:{_WORDS})?\n{_ADDRESS}").fullmatch
_MAILBOX_LENGTH_MAX = QP_LINE_WIDTH - len("To: ") - len(" <>") - 2
"""Of name and address together: the header `To` is one line then, and each of the two is one of a body."""
_VALUE_LENGTH_MAX = 60

_VALUES = ("name", "first_name", "last_name", "email", "unsubscribe_url", "settings_url")
_MARKS = headers.OF_PERSON


def is_ordinary(name: str, first_name: str, last_name: str, address: str) -> bool:
    """Tell whether these values need no encoding in any place of a message."""
    return (
        len(name) + len(address) <= _MAILBOX_LENGTH_MAX
        and len(first_name) <= _VALUE_LENGTH_MAX
        and len(last_name) <= _VALUE_LENGTH_MAX
        and _ORDINARY(f"{name}\n{first_name}\n{last_name}\n{address}") is not None
    )


class OrdinaryLayout:
    """The fixed pieces of a message, and the order in which they and the values of a person make the whole."""

    __slots__ = ("_fallbacks", "_fixed", "_has_settings_link", "_has_token", "_in_order")

    def __init__(
        self,
        fixed: list[bytes],
        in_order: Callable[[list[bytes]], tuple[bytes, ...]],
        fallbacks: Sequence[bytes],
        *,
        has_settings_link: bool,
        has_token: bool,
    ) -> None:
        """Take the pieces, the order and what stands where a person has no first and no last name.

        The link to the reader's settings and the token of the opt-out link are made for a message that has them.
        """
        self._fixed = fixed
        self._in_order = in_order
        self._fallbacks = fallbacks
        self._has_settings_link = has_settings_link
        self._has_token = has_token

    @classmethod
    def of(cls, sequence: Sequence[object]) -> Self | None:
        """Lay out a message given in order; None where a place needs more than an ordinary value."""
        fixed = [part for part in sequence if isinstance(part, bytes)]
        values = len(fixed) + len(_MARKS)
        order: list[int] = []
        fallbacks: dict[str, str] = {}
        count = 0
        for part in sequence:
            if isinstance(part, bytes):
                order.append(count)
                count += 1
            elif isinstance(part, str):
                mark = headers.MESSAGE_ID if part == headers.FEEDBACK else part
                order.append(len(fixed) + _MARKS.index(mark))
            elif isinstance(part, Placeholder) and part.kind != URL and part.field.name in _VALUES:
                if fallbacks.setdefault(part.field.name, part.field.fallback) != part.field.fallback:
                    return None
                order.append(values + _VALUES.index(part.field.name))
            else:
                return None
        texts = [fallbacks.get(name, "") for name in ("first_name", "last_name")]
        encoded = [common_value(text) if text else b"" for text in texts]
        known = [value for value in encoded if value is not None]
        if len(known) < len(encoded):
            return None
        return cls(
            fixed,
            itemgetter(*order),
            known,
            has_settings_link="settings_url" in fallbacks,
            has_token=headers.OPT_OUT_TOKEN in sequence,
        )

    def fill(
        self, person: Person, *, name: str, address: str, unsubscribe_url: str, message_id: str, date: datetime
    ) -> bytes | None:
        """Return the message of an ordinary person; None where the link needs encoding in a body."""
        link = common_value(unsubscribe_url)
        if link is None:
            return None
        first_name, last_name = self._fallbacks
        return b"".join(
            self._in_order(
                [
                    *self._fixed,
                    f"{name} <{address}>".encode(),
                    headers.date_time(date),
                    headers.safe_uri(message_id).encode(),
                    headers.safe_uri(unsubscribe_url).encode(),
                    headers.opt_out_token(unsubscribe_url) if self._has_token else b"",
                    name.encode(),
                    person.first_name.encode() or first_name,
                    person.last_name.encode() or last_name,
                    address.encode(),
                    link,
                    settings_url(unsubscribe_url).encode() if self._has_settings_link else b"",
                ]
            )
        )

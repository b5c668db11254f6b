"""The size of a picture in a mail: numbers for Outlook, which knows no `max-width`, and CSS for all others.

In: the tokens of a tip. Out: `width`, `height` and `style` on each picture. Outlook on Windows renders with Word:
without a width attribute it shows a picture in its own size and widens the column; `height="auto"` is no number.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from markdown_it.token import Token

COLUMN_PIXELS = 528
"""Room for text in the column of 600 with a padding of 36 on both sides (`templates/email/edition/body.html`)."""
_INDENT_PIXELS = {"bullet_list_open": 26, "ordered_list_open": 26, "blockquote_open": 25}
_CELL_PADDING_PIXELS = 16
_PICTURE_PIXELS_MIN = 16
_SIZE = re.compile(r"(?P<words>.*)\|\s*(?P<width>[0-9]{1,4})(?:x(?P<height>[0-9]{1,4}))?\s*", re.DOTALL)


def size_pictures(tokens: Sequence[Token]) -> None:
    """Set the size of every picture, by its description (`![A lamp|300x200](…)`) or by the room where it stands."""
    rooms = [COLUMN_PIXELS]
    cell_room = 0
    for at, token in enumerate(tokens):
        if token.type in _INDENT_PIXELS:
            rooms.append(rooms[-1] - _INDENT_PIXELS[token.type])
        elif token.type.replace("_close", "_open") in _INDENT_PIXELS:
            rooms.pop()
        elif token.type == "table_open":
            cell_room = rooms[-1] // _columns(tokens[at:]) - _CELL_PADDING_PIXELS
        elif token.type == "table_close":
            cell_room = 0
        for child in token.children or ():
            if child.type == "image":
                _size(child, max(cell_room or rooms[-1], _PICTURE_PIXELS_MIN))


def _columns(tokens: Sequence[Token]) -> int:
    """Return the number of columns of the table that begins with these tokens."""
    head = next(at for at, token in enumerate(tokens) if token.type == "thead_close")
    return sum(token.type == "th_open" for token in tokens[:head])


def _size(image: Token, room: int) -> None:
    """Set the attributes of one picture, and take its size out of its description."""
    description = image.children or []
    match = _SIZE.fullmatch(description[-1].content) if description and description[-1].type == "text" else None
    if match is None or int(match["width"]) == 0:
        # Browsers follow the style and show it in its own size; Outlook follows the attribute.
        image.attrSet("width", str(room))
        return
    width, height = int(match["width"]), int(match["height"] or 0)
    shown = min(width, room)
    image.attrSet("width", str(shown))
    if height:
        image.attrSet("height", str(max(1, height * shown // width)))
    image.attrSet("style", f"width:{shown}px")
    description[-1].content = match["words"].rstrip()
    image.content = image.content[: image.content.rindex("|")].rstrip()

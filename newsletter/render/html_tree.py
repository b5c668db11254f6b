"""The tree of foreign HTML, brought into the shape that Markdown can say.

In: cleaned HTML as a tree. Out: the same tree without what would be read as something else: emphasis within itself or
around paragraphs, signs at its edges, tables of one column, two lists in a row, two braces in code.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from bs4 import BeautifulSoup
from bs4.element import NavigableString, Tag

OTHER_MARK = "other-mark"
"""The attribute of a list that follows another one: the same marks would make one list of the two."""
EMPHASIS = ("strong", "em", "s")

_BLOCKS = ["p", "div", "ul", "ol", "li", "table", "blockquote", "pre", "h1", "h2", "h3", "h4", "h5", "h6"]
_BLOCK_NAMES = frozenset(_BLOCKS)
_SAME = {"b": "strong", "i": "em", "strike": "s", "del": "s"}
_COLUMNS_MIN = 2


class PlainTag(Tag):
    """An element that finds the one around it at once: the converter looks for `<pre>` around each element."""

    def find_parent(self, name: Any = None, attrs: Any = None, **kwargs: Any) -> Any:  # noqa: ANN401 - as the library
        """Return the nearest element around this one, by its name."""
        if attrs or kwargs or not isinstance(name, str):
            return super().find_parent(name, attrs or {}, **kwargs)
        parent = self.parent
        while parent is not None and parent.name != name:
            parent = parent.parent
        return parent


def parse_tree(html: str) -> BeautifulSoup:
    """Return the tree of cleaned HTML."""
    return BeautifulSoup(html, "html.parser", element_classes={Tag: PlainTag})


def nesting_of(soup: BeautifulSoup) -> int:
    """Return how deep the elements are nested, without recursion."""
    deepest, level = 0, 0
    node: Any = soup
    while node is not None:
        child = next(iter(node.contents), None) if isinstance(node, Tag) else None
        if child is not None:
            node, level = child, level + 1
            deepest = max(deepest, level)
            continue
        while node is not None and node.next_sibling is None:
            node, level = node.parent, level - 1
        node = node.next_sibling if node is not None else None
    return deepest


def shape_tree(soup: BeautifulSoup) -> None:
    """Change the tree in place: one walk finds what has to be looked at, in the order of the text."""
    elements = [node for node in soup.descendants if isinstance(node, Tag) and node.name in _CHANGES]
    for element in elements:
        element.name = _SAME.get(element.name, element.name)
    for element in elements:
        # One before may have taken it out of the tree, or up into itself.
        if element.parent is not None:
            _CHANGES[element.name](element)
    soup.smooth()


def _drop_without_source(image: Tag) -> None:
    if not image.get("src"):
        image.decompose()


def _unwrap_without_address(link: Tag) -> None:
    if not link.get("href"):
        link.unwrap()


def _tidy_code(code: Tag) -> None:
    """Join code with its neighbour, and part two braces: there no backslash can tell them from a merge field."""
    if code.name != "pre":
        _join_next(code)
    for text in [node for node in code.descendants if isinstance(node, NavigableString) and "{" in node]:
        text.replace_with(NavigableString(re.sub(r"\{(?=[{%])", "{ ", text)))


def _mark_second_list(list_: Tag) -> None:
    before = list_.find_previous_sibling()
    if isinstance(before, Tag) and before.name == list_.name and not before.get(OTHER_MARK):
        list_[OTHER_MARK] = "yes"


def _unwrap_layout(table: Tag) -> None:
    if max((len(row.find_all(["td", "th"])) for row in table.find_all("tr")), default=0) < _COLUMNS_MIN:
        _unwrap_table(table)


def _tidy_emphasis(element: Tag) -> None:
    """Take out emphasis within itself, join it with its neighbour, and let signs at an edge stand outside."""
    if element.find_parent(element.name) is not None:
        element.unwrap()
        return
    _join_next(element)
    if any(isinstance(node, Tag) and node.name in _BLOCK_NAMES for node in element.descendants):
        element.unwrap()
        return
    _move_signs(element, at_end=True)
    _move_signs(element, at_end=False)


def _join_next(element: Tag) -> None:
    while (sibling := element.next_sibling) is not None and isinstance(sibling, Tag) and sibling.name == element.name:
        element.extend(list(sibling.contents))
        sibling.decompose()


def _move_signs(element: Tag, *, at_end: bool) -> None:
    """Move the signs at an edge outside where a letter follows: `**Note:**this` would show its asterisks."""
    neighbour = element.next_sibling if at_end else element.previous_sibling
    if neighbour is None or (isinstance(neighbour, Tag) and neighbour.name in _BLOCK_NAMES):
        return
    words = neighbour.get_text()
    beside = words[:1] if at_end else words[-1:]
    if not beside or beside.isspace() or not beside.isalnum():
        return
    edge = element.contents[-1 if at_end else 0] if element.contents else None
    if not isinstance(edge, NavigableString):
        return
    text = str(edge)
    kept = text.rstrip() if at_end else text.lstrip()
    kept = re.sub(r"(?:[^\w\s]|_)+$" if at_end else r"^(?:[^\w\s]|_)+", "", kept)
    moved = text[len(kept) :] if at_end else text[: len(text) - len(kept)]
    if not moved.strip():
        return
    edge.replace_with(NavigableString(kept))
    (element.insert_after if at_end else element.insert_before)(NavigableString(moved))


def _unwrap_table(table: Tag) -> None:
    """Turn a table of one column, which held a layout together, into blocks."""
    for cell in table.find_all(["td", "th", "caption"]):
        cell.name = "div"
    for element in table.find_all(["tr", "tbody", "thead", "tfoot"]):
        element.unwrap()
    table.name = "div"


_CHANGES: dict[str, Callable[[Tag], None]] = {
    "img": _drop_without_source,
    "a": _unwrap_without_address,
    **dict.fromkeys(("code", "kbd", "samp", "pre"), _tidy_code),
    **dict.fromkeys((*EMPHASIS, *_SAME), _tidy_emphasis),
    **dict.fromkeys(("ul", "ol"), _mark_second_list),
    "table": _unwrap_layout,
}

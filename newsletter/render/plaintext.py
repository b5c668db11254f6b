"""The text part of a tip, from the tokens of its Markdown.

In: markdown-it tokens. Out: text wrapped at 72, headings underlined, links numbered and listed at the end. The author's
characters are kept as they are: no entity, no straightened quote, no leftover of HTML.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from itertools import count

from markdown_it.token import Token

from newsletter.render.text_table import text_table

LINE_WIDTH_MAX = 72
_MARKS = {
    "softbreak": " ",
    "hardbreak": "\n",
    "strong_open": "*",
    "strong_close": "*",
    "em_open": "_",
    "em_close": "_",
    "s_open": "~",
    "s_close": "~",
}
"""What stands for a token of markup; a text and an image are their own content."""


def plain_text(tokens: Sequence[Token]) -> str:
    """Return the text, its blocks parted by blank lines, ending without a line break."""
    writer = _Writer()
    writer.blocks(iter(tokens))
    blocks = writer.out
    if writer.links:
        blocks.append([f"[{number}] {url}" for url, number in writer.links.items()])
    return "\n\n".join("\n".join(line.rstrip() for line in block) for block in blocks)


class _Writer:
    """Walks the tokens with the indent that quotes and lists ask for."""

    def __init__(self) -> None:
        self.out: list[list[str]] = []
        self.links: dict[str, int] = {}
        self._first = ""
        self._rest = ""
        self._tight = False

    @property
    def _room(self) -> int:
        """The width that the present indent leaves."""
        return max(24, LINE_WIDTH_MAX - len(self._rest))

    def blocks(self, tokens: Iterator[Token], end: str = "") -> None:
        """Write blocks until the closing token."""
        for token in tokens:
            if token.type == end:
                return
            self._block(token, tokens)

    def _block(self, token: Token, tokens: Iterator[Token]) -> None:
        """Write one block."""
        match token.type:
            case "paragraph_open" | "heading_open":
                self._paragraph(token, next(tokens))
                next(tokens)  # its close
            case "bullet_list_open" | "ordered_list_open":
                self._list(token, tokens)
            case "blockquote_open":
                self._nested(tokens, "blockquote_close", "> ", "> ")
            case "fence" | "code_block":
                self._emit(["    " + line if line else "" for line in token.content.rstrip("\n").split("\n")])
            case "hr":
                self._emit(["* * *"])
            case "table_open":
                self._table(tokens)
            case unknown:
                raise ValueError(f"the text part knows no block {unknown!r}")

    def _paragraph(self, token: Token, inline: Token) -> None:
        """Write wrapped text; a heading gets its line below."""
        text = self._inline(inline.children or [])
        lines = [line for hard in text.split("\n") for line in _wrap(hard, self._room)]
        if token.type == "heading_open":
            lines.append("-" * min(self._room, max(map(len, lines), default=0)))
        self._emit(lines, tight=token.hidden)

    def _list(self, token: Token, tokens: Iterator[Token]) -> None:
        """Write the items, each behind its bullet or number."""
        outer_is_tight = self._tight
        start = token.attrGet("start")
        numbers = count(1 if start is None else int(start))
        for item in tokens:
            if item.type.endswith("_list_close"):
                break
            bullet = f"{next(numbers)}. " if token.type == "ordered_list_open" else "- "
            self._nested(tokens, "list_item_close", bullet, " " * len(bullet))
        self._tight = outer_is_tight

    def _nested(self, tokens: Iterator[Token], end: str, first: str, rest: str) -> None:
        """Write what is inside a quote or a list item, indented."""
        before = self._first, self._rest
        self._first, self._rest = self._first + first, self._rest + rest
        self.blocks(tokens, end)
        self._first, self._rest = before[1], before[1]

    def _table(self, tokens: Iterator[Token]) -> None:
        """Write a table, aligned and wrapped."""
        rows: list[list[str]] = []
        right: list[bool] = []
        for token in tokens:
            if token.type == "table_close":
                break
            if token.type == "tr_open":
                rows.append([])
            elif token.type == "th_open":
                right.append("right" in str(token.attrGet("style")))
            elif token.type == "inline":
                rows[-1].append(self._inline(token.children or []))
        self._emit(text_table(rows, right=right, room=self._room))

    def _emit(self, lines: list[str], *, tight: bool = False) -> None:
        """Append a block behind the present indent; the items of a tight list stay together."""
        block = [(self._first if at == 0 else self._rest) + line for at, line in enumerate(lines)]
        self._first = self._rest
        if tight and self._tight:
            self.out[-1] += block
        else:
            self.out.append(block)
        self._tight = tight

    def _inline(self, tokens: Sequence[Token]) -> str:
        """Return the text of a paragraph, its links numbered."""
        out: list[str] = []
        opened: list[tuple[str, int]] = []
        for token in tokens:
            if token.type == "link_open":
                opened.append((str(token.attrGet("href") or ""), len(out)))
            elif token.type == "link_close":
                url, start = opened.pop()
                out.append(self._reference(url, "".join(out[start:])))
            elif token.type == "code_inline":
                out.append(f"`{token.content}`")
            elif token.type in {"text", "image"}:
                out.append(token.content)
            else:
                out.append(_MARKS[token.type])
        return "".join(out)

    def _reference(self, url: str, label: str) -> str:
        """Return what follows the words of a link: its number, or nothing when the words are the address."""
        if label in {url, url.removeprefix("mailto:"), url.removeprefix("tel:")}:
            return ""
        return f" [{self.links.setdefault(url, len(self.links) + 1)}]"


def _wrap(text: str, width: int) -> list[str]:
    """Wrap at blanks only: a broken address or hyphenated word is worse than a long line."""
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]

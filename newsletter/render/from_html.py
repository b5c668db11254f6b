"""Foreign HTML becomes the Markdown of a tip: cleaned by an allow-list first, so that nothing hostile is ever written.

In: the HTML of an old post, and what its links are to become. Out: Markdown that renders as that HTML, as far as
Markdown can say it. Scripts, styles, forms and comments are gone; a frame or a film becomes a link to it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from html import escape, unescape
from urllib.parse import quote

import nh3
from bs4 import BeautifulSoup
from bs4.element import Tag
from markdownify import BACKSLASH, MarkdownConverter

from newsletter.core.tip_markdown import tip_parser
from newsletter.render.html_tree import EMPHASIS, OTHER_MARK, nesting_of, parse_tree, shape_tree

_TAG_NAMES = (
    "a abbr article b blockquote br caption cite code dd del div dl dt em figcaption figure h1 h2 h3 h4 h5 h6 hr i img"
    " ins kbd li ol p pre q s samp section strike strong sub sup table tbody td tfoot th thead tr u ul"
)
_TAGS = set(_TAG_NAMES.split())
_ATTRIBUTES = {"a": {"href", "title"}, "img": {"src", "alt", "title"}, "ol": {"start"}}
_SCHEMES = {"http", "https", "mailto", "tel"}
_FILM = re.compile(
    r"<(iframe|video|audio|embed|object|source)\b[^<>]*?\s(?:src|data)\s*=\s*(?:\"([^\"<>]*)\"|'([^'<>]*)'|([^\s<>]+))[^<>]*>",
    re.IGNORECASE,
)
_NESTING_MAX = 60
"""Levels of elements; deeper ones are no text that a person wrote, and the converter goes down by recursion."""
_BRACES = re.compile(r"\{(?=[{%])")
"""The beginning of a merge field, or of a template tag, which a tip refuses."""
_ADDRESS = re.compile(r"https?://[^\s<>]+", re.IGNORECASE)
_ADDRESS_END = re.compile(r"[.,:;!?'\")\]*_]+$")
_RISKY = re.compile(
    r"\w\*{1,2}(?:[^\w\s*.,:;!?)\]…”]|_)|_\*{1,2}\w|[^\w\s*(\[\\/\"'“>-]\*{1,2}\w|\*{3,}|~~\S*~~~|[*~]{2}[^\w\s*~][^*~]*[*~]{2}\w"
)
"""Emphasis beside a sign and a letter, which CommonMark may read as plain asterisks: such a text is compared."""
_LABEL_SIGNS = re.compile(r"([\\\[\]`*_<>&!])")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertedHtml:
    """The Markdown, and whether it says all that the HTML said."""

    markdown: str
    emphasis_lost: bool = False
    """Bold and italic words are plain, since no Markdown could say where they begin and end."""


def markdown_from_html(html: str, resolve: Callable[[str, str], str] = lambda _kind, url: url) -> ConvertedHtml:
    """Convert foreign HTML; `resolve` gets `a` or `img` with each address, and returns it absolute, or nothing."""
    soup = parse_tree(_clean(html, resolve))
    if nesting_of(soup) > _NESTING_MAX:
        soup = parse_tree(escape(" ".join(soup.get_text(" ").split())))
    shape_tree(soup)
    markdown = _converted(soup)
    if _RISKY.search(markdown) and _shown_words(markdown) != _words_of(soup):
        for element in soup.find_all(list(EMPHASIS)):
            element.unwrap()
        soup.smooth()
        return ConvertedHtml(markdown=_converted(soup), emphasis_lost=True)
    return ConvertedHtml(markdown=markdown)


def words_from_html(html: str) -> str:
    """Return the words of a title or an excerpt, which may hold entities and markup, on one line."""
    return " ".join(unescape(nh3.clean(html, tags=set(), attributes={})).split()) if "<" in html else _one_line(html)


def _one_line(text: str) -> str:
    return " ".join(unescape(text).split())


def _clean(html: str, resolve: Callable[[str, str], str]) -> str:
    def address(tag: str, attribute: str, value: str) -> str | None:
        if attribute not in {"href", "src"}:
            return value
        return resolve("img" if tag == "img" else "a", value.strip()) or None

    with_links = _FILM.sub(_film_link, html) if re.search(_FILM_HINT, html) else html
    return nh3.clean(
        with_links,
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        url_schemes=_SCHEMES,
        link_rel=None,
        strip_comments=True,
        clean_content_tags={"script", "style", "noscript", "template", "select", "textarea", "title"},
        attribute_filter=address,
    )


_FILM_HINT = re.compile(r"<(?:iframe|video|audio|embed|object|source)\b", re.IGNORECASE)


def _film_link(match: re.Match[str]) -> str:
    url = unescape(next(part for part in match.groups()[1:] if part is not None)).strip()
    url = f"https:{url}" if url.startswith("//") else url
    if not url.lower().startswith(("https://", "http://")):
        return ""
    return f'<p><a href="{escape(url)}">{escape(url)}</a></p>'


class _TipConverter(MarkdownConverter):
    """The converter with what our dialect of Markdown has of its own."""

    def escape(self, text: str, parent_tags: set[str]) -> str:
        """Escape also what would begin a picture; write an address out as the link that our Markdown makes of it."""
        if "a" in parent_tags or "://" not in text:
            return self._escaped(text, parent_tags)
        pieces = []
        at = 0
        for match in _ADDRESS.finditer(text):
            url = _ADDRESS_END.sub("", match[0])
            pieces += [self._escaped(text[at : match.start()], parent_tags), f"<{_plain_address(url)}>"]
            at = match.start() + len(url)
        return "".join([*pieces, self._escaped(text[at:], parent_tags)])

    def _escaped(self, text: str, parent_tags: set[str]) -> str:
        # `!` before a link would make a picture of it.
        return re.sub(r"!$", r"\\!", str(super().escape(text, parent_tags)))  # type: ignore[misc]

    def convert_a(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        """Write a link whose address holds no sign that could end it."""
        if "_noformat" in parent_tags:
            return text
        words = text.strip()
        if not words:
            return text
        url = _plain_address(str(el.get("href") or ""))
        if el.get_text().strip() == url and not el.find("img"):
            words = _LABEL_SIGNS.sub(r"\\\1", url)
        title = _title_part(el)
        before, after = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
        words = re.sub(r"\s*\\?\n\s*", " ", words)
        return f"{before and ' '}[{words}]({url}{title}){after and ' '}"

    def convert_img(self, el: Tag, text: str, parent_tags: set[str]) -> str:  # noqa: ARG002 - as the library calls it
        """Write a picture, in a cell and in a heading too."""
        label = _LABEL_SIGNS.sub(r"\\\1", " ".join(str(el.get("alt") or "").split()))
        return f"![{label}]({_plain_address(str(el.get('src') or ''))}{_title_part(el)})"

    def convert_li(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        """Write an item; a list that directly follows another has the other marks."""
        item = str(super().convert_li(el, text, parent_tags))  # type: ignore[misc]
        if el.parent is not None and el.parent.get(OTHER_MARK):
            return re.sub(r"^-", "*", re.sub(r"^(\d+)\.", r"\1)", item))
        return item

    def convert_table(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        """Write a table on its own, with nothing between its rows."""
        rows = [line for line in text.split("\n") if line.strip()]
        del el, parent_tags
        return "\n\n" + "\n".join(rows) + "\n\n"

    def convert_q(self, el: Tag, text: str, parent_tags: set[str]) -> str:  # noqa: ARG002 - as the library calls it
        """Write a quotation within a line with straight marks, which the mail sets as its language does."""
        return f'"{text}"'


def _title_part(el: Tag) -> str:
    title = " ".join(str(el.get("title") or "").split())
    return ' "' + re.sub(r'(["\\`*_<>&\[\]])', r"\\\1", title) + '"' if title else ""


def _plain_address(url: str) -> str:
    """Return an address in which blanks, brackets and braces cannot be taken for Markdown or a merge field."""
    pairs = "()" if re.fullmatch(r"[^()]*(?:\([^()]*\)[^()]*)*", url) else ""
    return quote("".join(url.split()), safe="%/:?#@!$&'*+,;=~-._" + pairs)


def _converted(soup: BeautifulSoup) -> str:
    converter = _TipConverter(
        bullets="-",
        escape_misc=True,
        heading_style="atx",
        keep_inline_images_in=["td", "th", "h1", "h2", "h3", "h4", "h5", "h6"],
        newline_style=BACKSLASH,
    )
    markdown = str(converter.convert_soup(soup))
    markdown = re.sub(r"[ \t]+$", "", markdown.replace("\N{NO-BREAK SPACE}", " "), flags=re.MULTILINE)
    # A line break at the end of a block would show its backslash.
    markdown = re.sub(r"(?<!\\)((?:\\\\)*)\\\n(?=\s*(?:\n|\Z))", r"\1\n", markdown)
    markdown = re.sub(r"\n{3,}", "\n\n", markdown)
    return _BRACES.sub(r"\\{", markdown).strip("\n")


def _shown_words(markdown: str) -> str:
    """Return the words that a reader would see of Markdown, without blanks."""
    words: list[str] = []
    for block in tip_parser().parse(markdown):
        for token in block.children or ([block] if block.type in {"fence", "code_block"} else []):
            words += [token.content] if token.type in {"text", "code_inline", "fence", "code_block"} else []
    return "".join("".join(words).split())


def _words_of(soup: BeautifulSoup) -> str:
    return "".join(soup.get_text().split())

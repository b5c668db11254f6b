"""The text of a WordPress post: shortcodes and block comments out, and paragraphs where only blank lines stood.

In: the content as an export has it. Out: the HTML that the site showed, near enough, and the names of the shortcodes
that are gone. What a shortcode made of a plugin cannot be known; the words inside it stay.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape

_BLOCK_TAGS = (
    "address|article|aside|blockquote|center|col|colgroup|dd|details|div|dl|dt|fieldset|figcaption|figure|footer|form"
    "|h[1-6]|header|hr|li|main|nav|noscript|ol|p|pre|section|summary|table|tbody|td|tfoot|th|thead|tr|ul"
)
_BLOCK_TAG = re.compile(rf"\s*(</?(?:{_BLOCK_TAGS})(?:\s[^<>]*)?/?>)\s*", re.IGNORECASE)
_HOLDER = re.compile(r"<(?:h[1-6]|li|p|td|th|dt|dd|figcaption|summary)\b", re.IGNORECASE)
"""The beginning of what holds words itself, without a paragraph in it."""
_PRE = re.compile(r"<(pre|script|style|textarea)\b.*?</\1\s*>", re.IGNORECASE | re.DOTALL)
_PLACE = "\ue000{}\ue001"
_PLACES = re.compile("\ue000([0-9]+)\ue001")
_COMMENT = re.compile(r"<!--(.*?)-->", re.DOTALL)
_BLOCK_MARK = "<!-- wp:"
_SHORTCODE = re.compile(
    r"(?P<escaped>\[)?\[(?P<end>/)?(?P<name>[A-Za-z][A-Za-z0-9_-]{0,60})(?P<rest>(?:[\s=][^\[\]<>]{0,2000})?)/?\](?P<tail>\])?"
)
_ATTRIBUTE = re.compile(r"""[\w-]+\s*=\s*(?:"[^"]*"|'[^']*'|“[^”]*”|”[^”]*”|\S+)""")
_URL = re.compile(r"https?://[^\s\"'<>\]“”]+")
_ADDRESS_CODES = frozenset(("audio", "embed", "playlist", "video", "vimeo", "youtube", "wpvideo"))
"""Shortcodes that show what stands at an address: a link takes their place."""
_KNOWN_CODES = _ADDRESS_CODES | {"caption", "wp_caption", "gallery", "more"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteHtml:
    """The HTML of a post as the site showed it."""

    html: str
    shortcodes: tuple[str, ...] = ()
    """Names of those that were taken out, other than captions."""


def site_html(content: str) -> SiteHtml:
    """Return the HTML of a post; a text made of blocks has its paragraphs already."""
    content = content.replace("\r\n", "\n").replace("\r", "\n").replace("\ue000", "").replace("\ue001", "")
    blocks = _BLOCK_MARK in content
    content = _COMMENT.sub(lambda match: "\n\n" if match[1].strip().startswith(("more", "nextpage")) else "", content)
    kept: list[str] = []

    def put_away(match: re.Match[str]) -> str:
        kept.append(match[0])
        place = _PLACE.format(len(kept) - 1)
        return f"\n\n{place}\n\n" if match[1].lower() == "pre" else place

    content = _PRE.sub(put_away, content)
    content, names = _without_shortcodes(content)
    html = content if blocks else _with_paragraphs(content)
    html = _PLACES.sub(lambda match: kept[int(match[1])], html)
    return SiteHtml(html=html, shortcodes=names)


def _without_shortcodes(content: str) -> tuple[str, tuple[str, ...]]:
    """Take shortcodes out. Brackets around plain words, such as `[sic]`, are no shortcode and stay."""
    closed = {name.lower() for name in re.findall(r"\[/([A-Za-z][A-Za-z0-9_-]*)\]", content)}
    names: dict[str, None] = {}

    def replaced(match: re.Match[str]) -> str:
        name = match["name"].lower()
        if match["escaped"] and match["tail"]:
            return match[0][1:-1]
        known = name in _KNOWN_CODES or name in closed or _ATTRIBUTE.search(match["rest"])
        if not known or match["escaped"]:
            return match[0]
        if name not in {"caption", "wp_caption", "more"}:
            names.setdefault(name)
        url = None if match["end"] or name not in _ADDRESS_CODES else _URL.search(match["rest"])
        link = f'<a href="{escape(url[0])}">{escape(url[0])}</a>' if url else ""
        return link + (match["tail"] or "")

    content = _SHORTCODE.sub(replaced, content)
    return content, tuple(names)


def _with_paragraphs(content: str) -> str:
    """Make paragraphs of what blank lines separate and line breaks of single ones, as the site does (`wpautop`)."""
    apart = _BLOCK_TAG.sub(r"\n\n\1\n\n", content)
    html = []
    holder = False
    for part in re.split(r"\n\s*\n", apart):
        text = part.strip()
        if not text:
            continue
        if tag := _BLOCK_TAG.fullmatch(text):
            html.append(text)
            holder = bool(_HOLDER.match(tag[1]))
        elif _PLACES.fullmatch(text):
            html.append(text)
        else:
            lines = re.sub(r"(?:<br\s*/?>)?\s*\n\s*", "<br>\n", text)
            html.append(lines if holder else f"<p>{lines}</p>")
            holder = False
    return "\n".join(html)

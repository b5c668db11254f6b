"""A tip's Markdown, once for HTML and once for plain text, from the same token stream.

In: Markdown whose merge fields are sentinels already. Out: clean HTML from an allow-list, wrapped text, and the button
if the tip ends in a link of its own. A tip file with raw HTML is refused before; here it would come out as text, and no
template language ever sees a tip.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token

from newsletter.core.tip_markdown import tip_parser
from newsletter.core.typography import QuotationMarks, typographic_pieces
from newsletter.errors import InputError
from newsletter.render.picture import size_pictures
from newsletter.render.plaintext import plain_text
from newsletter.render.splice import URL, Sentinels

_TAGS = set(
    "p h2 h3 h4 h5 h6 strong em s a ul ol li blockquote code pre br hr img table thead tbody tr th td".split(),  # noqa: SIM905
)
_ATTRIBUTES = {
    "a": {"href", "title"},
    "img": {"src", "alt", "title", "width", "height", "style"},
    "ol": {"start"},
    "hr": {"width"},
    "table": {"width"},
    "th": {"scope", "style"},
    "td": {"style"},
}
_FIXED_ATTRIBUTES = {"th_open": {"scope": "col"}, "table_open": {"width": "100%"}, "hr": {"width": "64"}}
"""Outlook reads the width of a table and of a rule from the attribute."""
_ADDRESS_MARKUP = {"autolink", "linkify"}
"""Links whose words are the address itself."""
_SCHEMES = {"http", "https", "mailto", "tel"}
_STARTS = ("https://", "http://", "mailto:", "tel:")
_TYPED_SIGNS = re.compile(r"[\"']|--|\.\.\.")
"""What becomes another sign; most paragraphs of an old archive have none."""
_STYLES = {"text-align", "width"}
_FIXED_TARGET = re.compile(r"https?://[^/?#]+[/?#]|mailto:[^?]*\?", re.IGNORECASE)
"""The part of a link that a merge field must leave alone: whose site it leads to is the author's word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """A link that stands alone at the end of a tip: what the reader should do next."""

    url: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedTip:
    """A tip in both forms, with sentinels of the right kind in each place."""

    html: str
    text: str
    button: Button | None
    links: tuple[str, ...]
    warnings: tuple[str, ...]


@cache
def _parser() -> MarkdownIt:
    """Return one parser for all tips: to make one takes as long as to parse a short tip."""
    return tip_parser()


def render_markdown(
    markdown: str, sentinels: Sentinels, marks: QuotationMarks | None = None, *, with_text: bool = True
) -> RenderedTip:
    """Render the body of a tip; with `marks` its quotes, dashes and ellipses become typographic ones.

    `with_text` is for mails: a page has no plain text part.
    """
    parser = _parser()
    tokens = parser.parse(markdown)
    if marks is not None:
        _set_typographic(tokens, marks)
    _lower_headings(tokens)
    size_pictures(tokens)
    links, images = _prepare(tokens, sentinels)
    text = plain_text(tokens) if with_text else ""
    button, rest = _take_button(tokens)
    html = nh3.clean(
        parser.renderer.render(rest, parser.options, {}),
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        url_schemes=_SCHEMES,
        link_rel=None,
        strip_comments=True,
        filter_style_properties=_STYLES,
    )
    return RenderedTip(
        html=sentinels.plain_to_html(html),
        text=text,
        button=button,
        links=tuple(links),
        warnings=(*_link_warnings(links), *images),
    )


def _set_typographic(tokens: Sequence[Token], marks: QuotationMarks) -> None:
    """Set the words of each paragraph; code, pictures and written-out addresses stay as they are."""
    for block in tokens:
        if not block.children or not _TYPED_SIGNS.search(block.content):
            continue
        children = block.children
        pieces: list[str | None] = []
        depth = 0
        for child in children:
            depth += child.nesting if child.markup in _ADDRESS_MARKUP else 0
            pieces.append(_piece(child) if depth == 0 else None)
        for child, piece in zip(children, typographic_pieces(pieces, marks), strict=True):
            if child.type == "text" and piece is not None:
                child.content = piece


def _piece(token: Token) -> str | None:
    """Return a token as the typesetter sees it: words, nothing for markup, None for what must not change."""
    if token.type in {"softbreak", "hardbreak"}:
        return "\n"
    if token.type == "text":
        return token.content
    return "" if token.nesting else None


def _lower_headings(tokens: Sequence[Token]) -> None:
    """Keep the one `<h1>` for the title: a tip that uses `#` has all its headings moved down by one."""
    if not any(token.tag == "h1" for token in tokens):
        return
    for token in tokens:
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(6, int(token.tag[1]) + 1)}"


def _prepare(tokens: Sequence[Token], sentinels: Sentinels) -> tuple[list[str], list[str]]:
    """Turn the sentinels of links to the URL kind; return all link targets, and what to say about images."""
    links: list[str] = []
    warnings: list[str] = []
    for token in _all(tokens):
        for name, value in _FIXED_ATTRIBUTES.get(token.type, {}).items():
            token.attrSet(name, value)
        attribute = {"link_open": "href", "image": "src"}.get(token.type)
        if attribute is None:
            continue
        target = str(token.attrGet(attribute) or "")
        token.attrSet(attribute, _checked_target(target, sentinels))
        if attribute == "href":
            links.append(target)
        elif not target.startswith("https://"):
            raise InputError(f"an image must have an https:// address, not {target!r}: mail programs show no other")
        elif not token.content:
            warnings.append(f"the image {target} has no description; write ![what it shows]({target})")
    return links, warnings


def _all(tokens: Sequence[Token]) -> list[Token]:
    """Return the tokens with their children, in order."""
    return [part for token in tokens for part in (token, *(token.children or ()))]


def _checked_target(target: str, sentinels: Sentinels) -> str:
    """Return a link target with its merge fields URL-quoted, and refuse one that decides where the link leads."""
    if sentinels.prefix not in target:
        if not target.lower().startswith(_STARTS):
            raise InputError(
                f"a link must begin with https:// or mailto:, not {target!r}: a mail has no site of its own"
            )
        return target
    fixed = _FIXED_TARGET.match(target)
    if fixed is None or sentinels.prefix in fixed[0]:
        raise InputError(
            "a merge field may stand in a link only after the host, as in https://example.com/?u={{ email }}"
        )
    return sentinels.as_kind(target, URL)


def _take_button(tokens: list[Token]) -> tuple[Button | None, list[Token]]:
    """Split off a last paragraph that is nothing but one link with words of its own."""
    if len(tokens) <= 3 or [token.type for token in tokens[-3:]] != ["paragraph_open", "inline", "paragraph_close"]:  # noqa: PLR2004
        return None, tokens
    children = tokens[-2].children or []
    if tokens[-3].level or len(children) != 3 or children[0].type != "link_open" or children[1].type != "text":  # noqa: PLR2004
        return None, tokens
    url, label = str(children[0].attrGet("href")), children[1].content
    if not url.startswith("https://") or label.startswith("http"):
        return None, tokens
    return Button(url=url, label=label), tokens[:-3]


def _link_warnings(links: Sequence[str]) -> list[str]:
    """Return what a reader or a spam filter would dislike about the links."""
    warnings = [f"the link {url} is not https://" for url in links if url.startswith("http://")]
    if len(links) > 25:  # noqa: PLR2004
        warnings.append(f"{len(links)} links; more than 25 look like spam to mail providers")
    return warnings

"""The article of a page in the public archive: a tip, or foreign HTML, as clean HTML and as words without markup.

In: a tip with merge fields, or the HTML of an import. Out: HTML from an allow-list, with no script, no style and no
form, whose headings begin at `<h2>` below the title of the page. A merge field becomes its fallback: a page has no
reader.
"""

from __future__ import annotations

import html as html_entities
import re
from dataclasses import dataclass

import nh3

from newsletter.core.message import Publication
from newsletter.core.tip import TipContent
from newsletter.core.typography import quotation_marks, typographic
from newsletter.render.markdown import Button, render_markdown
from newsletter.render.splice import Placeholder, Sentinels

_TAGS = set(
    "p h2 h3 h4 h5 h6 strong em s del ins sub sup a ul ol li dl dt dd blockquote cite code pre br hr img figure"  # noqa: SIM905
    " figcaption table caption thead tbody tr th td".split(),
)
_ATTRIBUTES = {
    "a": {"href", "title"},
    "img": {"src", "alt", "title", "width", "height"},
    "ol": {"start"},
    "th": {"scope", "colspan", "rowspan"},
    "td": {"colspan", "rowspan"},
}
_ALIGNMENTS = {"left", "center", "right"}
_CLASSES = {"a": {"button"}, "th": _ALIGNMENTS, "td": _ALIGNMENTS}
_SCHEMES = {"http", "https", "mailto", "tel"}

_ALIGNED = re.compile(r'(<t[hd]\b[^>]*?) style="text-align:\s*(left|center|right);?"')
_PICTURE = re.compile(r"<img\b[^>]*>")
_WIDTH = re.compile(r' width="[0-9]+"')
_TOP_HEADING = re.compile(r"(</?h)([1-6])(?=[\s>])", re.IGNORECASE)
_BLOCK_END = re.compile(r"</(?:p|h[1-6]|li|dt|dd|blockquote|pre|tr|caption|figcaption)>|<br ?/?>|<hr ?/?>")
_CELL_END = re.compile(r"</t[hd]>")
_NONCES_MAX = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Article:
    """The body of a page."""

    title: str
    html: str
    text: str
    """Words alone, a line for each paragraph."""
    language: str


def render_article(tip: TipContent, publication: Publication) -> Article:
    """Render a tip as a page shows it, without any reader's values.

    Raises `InputError` for what could not be mailed either: an unknown merge field, a link that leads nowhere.
    """
    marks = quotation_marks(publication.language) if publication.typography else None
    sentinels = _unused_sentinels(tip.body)
    body = render_markdown(sentinels.mark(tip.body, place="body"), sentinels, marks, with_text=False)
    whole = body.html + (_button_html(body.button, sentinels) if body.button else "")
    html = clean_article(_without_fields(_without_mail_styles(whole), sentinels))
    title = typographic(tip.title, marks) if marks else tip.title
    return Article(title=title, html=html, text=article_text(html), language=publication.language)


def clean_article(html: str) -> str:
    """Return HTML with what an article may have, and nothing else; the text of what is taken off stays.

    Where it has an `<h1>`, each heading moves down by one: the title of the page is the only one.
    """
    cleaned = nh3.clean(
        _lower_headings(html),
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        allowed_classes=_CLASSES,
        clean_content_tags={"script", "style", "template", "noscript", "iframe", "object", "textarea", "title"},
        url_schemes=_SCHEMES,
        link_rel=None,
        strip_comments=True,
    )
    return cleaned.strip()


def article_text(html: str) -> str:
    """Return the words of an article, a line for each paragraph, item and row."""
    parted = _CELL_END.sub(" ", _BLOCK_END.sub("\n", html))
    words = html_entities.unescape(nh3.clean(parted, tags=set(), strip_comments=True))
    lines = (" ".join(line.split()) for line in words.split("\n"))
    return "\n".join(line for line in lines if line)


def _unused_sentinels(text: str) -> Sentinels:
    """Return sentinels that the text does not have by chance."""
    lowered = text.lower()
    return next(
        sentinels
        for sentinels in (Sentinels(f"article {number}") for number in range(_NONCES_MAX))
        if sentinels.prefix not in lowered
    )


def _button_html(button: Button, sentinels: Sentinels) -> str:
    label = sentinels.plain_to_html(html_entities.escape(button.label))
    return f'<p><a class="button" href="{html_entities.escape(button.url)}">{label}</a></p>'


def _without_fields(html: str, sentinels: Sentinels) -> str:
    """Put the fallback of each merge field in its place."""
    parts = sentinels.split(html)
    return "".join(part.escaped(part.field.fallback) if isinstance(part, Placeholder) else part for part in parts)


def _without_mail_styles(html: str) -> str:
    """Turn the style attributes that mail programs need into classes, and let a picture have its own size."""
    aligned = _ALIGNED.sub(r'\1 class="\2"', html)
    return _PICTURE.sub(lambda match: match[0] if "style=" in match[0] else _WIDTH.sub("", match[0]), aligned)


def _lower_headings(html: str) -> str:
    if not any(match[2] == "1" for match in _TOP_HEADING.finditer(html)):
        return html
    return _TOP_HEADING.sub(lambda match: f"{match[1]}{min(6, int(match[2]) + 1)}", html)

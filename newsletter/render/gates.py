"""The gates: what keeps a faulty edition from being frozen.

In: rendered parts, their places still sentinels. Out: nothing, or an `InputError` that names the number and what to do.
Each limit is a provider's: what is refused here would be cut, hidden or rejected on its way to thousands of people.
"""

from __future__ import annotations

import re
from html import unescape

from newsletter.core.message import Publication
from newsletter.errors import InputError
from newsletter.render.splice import HTML, PLAIN, Sentinels

HTML_LIMIT = 100_000
"""Bytes of the encoded HTML part. Gmail cuts at about 102,000, and with the end goes the unsubscribe link."""
HTML_WARNING_BYTES = 80_000
CSS_LIMIT = 12_000
"""Characters over all style elements. Gmail drops every style element beyond 16,384."""

_STYLE = re.compile(r"<style\b[^>]*>(.*?)</style\s*>", re.IGNORECASE | re.DOTALL)
_CSS_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_TAG = re.compile(r"<!--.*?-->|<style\b.*?</style\s*>|<[^>]*>", re.IGNORECASE | re.DOTALL)
_CSS_SIGN = re.compile(
    r"@(?:media|supports|font-face|keyframes|layer|container|page|property|scope|starting-style)\b|[{}]", re.IGNORECASE
)
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
_LEFTOVER = re.compile(r"\{\{|\{%")


def check_style(html: str, sentinels: Sentinels) -> None:
    """Refuse style sheets that a mail program would drop or that a subscriber could write into."""
    css = "".join(_STYLE.findall(html))
    if len(css) > CSS_LIMIT:
        raise InputError(
            f"the style elements hold {len(css):,} characters, over the limit of {CSS_LIMIT:,} "
            "(Gmail drops them all): shorten the CSS of body.html"
        )
    if sentinels.prefix in css:
        raise InputError(
            "body.html prints a subscriber's value inside <style>, where it cannot be made safe: move it into the text"
        )
    plain = _CSS_COMMENT.sub("", css)
    if "@import" in plain.lower():
        raise InputError(
            "the CSS of body.html has an @import, which mail programs do not follow: copy the rules into the file"
        )
    depth = 0
    for sign in _CSS_SIGN.finditer(plain):
        if sign[0] == "{":
            depth += 1
        elif sign[0] == "}":
            depth -= 1
        elif depth > 0:
            raise InputError(
                f"the CSS of body.html has {sign[0]} inside another rule, and Gmail drops the whole style element "
                "for that: write the rules one after the other"
            )


def check_sentinels(before: str, after: str, sentinels: Sentinels) -> None:
    """Refuse when inlining lost, doubled or damaged a place."""
    if sentinels.count(before) != sentinels.count(after):
        raise InputError(
            "a merge field was lost while the CSS was inlined: let body.html print recipient values "
            "in text and in quoted attributes only"
        )


def check_places(html: str, sentinels: Sentinels) -> None:
    """Refuse a value as the name of a tag or an attribute: there no escaping could hold it."""
    for tag in _TAG.findall(html):
        if not tag.startswith("<!--") and sentinels.prefix in _QUOTED.sub("", tag):
            raise InputError(
                "body.html prints a subscriber's value inside a tag but outside quotes: "
                'write it as text, or as the value of an attribute: href="{{ … }}"'
            )


def check_part(text: str, name: str, sentinels: Sentinels) -> None:
    """Refuse a part with damaged places, places escaped for another part, or leftovers of a template language."""
    counts = sentinels.count(text)
    wrong = sentinels.prefix + (PLAIN if name.endswith(".html") else HTML)
    lost = any(counts.get(mark, 0) < times for mark, times in sentinels.issued.items())
    if lost or "damaged" in counts or any(count.startswith(wrong) for count in counts):
        raise InputError(
            f"{name} sends a subscriber's value through a filter that changes it (such as upper or truncate): "
            "print it as it is"
        )
    if leftover := _LEFTOVER.search(sentinels.blank(text)):
        around = sentinels.blank(text)[leftover.start() : leftover.start() + 30].split("\n")[0]
        raise InputError(f"{name} still holds {around!r}, which looks like an unfilled place: remove it")


def check_footer(html: str, text: str, publication: Publication, unsubscribe: str, sentinels: Sentinels) -> None:
    """Refuse a mail without the two things every one must bear: how to leave, and where the sender lives."""
    link = sentinels.as_kind(unsubscribe, HTML)
    if not re.search(rf"""href\s*=\s*["']{link}["']""", html):
        raise InputError(
            'body.html has no unsubscribe link: add <a href="{{ recipient.unsubscribe_url }}">Unsubscribe</a>'
        )
    if unsubscribe not in text:
        raise InputError("body.txt has no unsubscribe link: add {{ recipient.unsubscribe_url }}")
    address = "".join(publication.postal_address.split())
    if not address:
        raise InputError(
            "there is no postal address, which the law asks of every newsletter: set NEWSLETTER_POSTAL_ADDRESS"
        )
    for name, words in (("body.html", unescape(_TAG.sub("", html))), ("body.txt", text)):
        # Without blanks and commas, since a template may set the lines of an address in its own way.
        if re.sub(r"[,·]", "", address) not in re.sub(r"[\s,·]", "", words):
            raise InputError(
                f"{name} lacks the postal address, which the law asks for: add {{{{ publication.postal_address }}}}"
            )


def check_size(encoded: int) -> tuple[str, ...]:
    """Refuse HTML that Gmail would cut; return a warning when it comes near."""
    if encoded > HTML_LIMIT:
        raise InputError(
            f"the HTML part is {encoded:,} bytes, over the limit of {HTML_LIMIT:,} "
            "(Gmail cuts longer mail, and with it the unsubscribe link): shorten the tip"
        )
    if encoded > HTML_WARNING_BYTES:
        return (f"the HTML part is {encoded:,} bytes; Gmail cuts mail at about 102,000",)
    return ()

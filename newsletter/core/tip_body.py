"""The body of a tip: the faults that keep its Markdown from becoming a mail.

In: the body and the line on which it begins. Out: faults, each with its line. It never renders and never repairs:
HTML is refused instead of being stripped, so that the file shows what readers get.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from markdown_it.token import Token

from newsletter.core.front_matter import Fault, quoted
from newsletter.core.message import split_merge_fields
from newsletter.core.tip_markdown import size_faults, source_fault, tip_parser
from newsletter.errors import InputError

BRACES_LIMIT = 200
"""Merge fields on one line. Each `{{` that is never closed is searched for to the end of its line."""
LINK_SCHEMES = ("http", "https", "mailto", "tel")
IMAGE_SCHEMES = ("https",)
"""Mail programs show no picture that comes over plain http."""

PLACEHOLDERS = (
    "Write one idea here, in 100 to 200 words of Markdown.",
    "**Try this week:** one small thing to do.",
)
"""The lines of a new tip that its author is to replace."""

_MERGE_FIELD = re.compile(r"(?<!\\)\{\{[^\n]{0,500}?\}\}")
_PLACE = "0mergefield0"
"""Stands for a merge field while links are judged, since `{{ email }}` with its blanks would end one."""
_FIXED_TARGET = re.compile(r"https?://[^/?#]+[/?#]|mailto:[^?]*\?", re.IGNORECASE)
_TELEPHONE = re.compile(r"tel:\+?(?=[^;]*[0-9])[0-9().*#-]+(?:;[A-Za-z0-9=.+-]+)*", re.IGNORECASE)
"""A telephone link (RFC 3966), with an extension such as `;ext=12`."""
_FOOTNOTE = re.compile(r"\[\^[^\]\[\s]{1,80}\]|\^\[[^\]\[]{1,80}\]")
_TAG = re.compile(r"</?[A-Za-z][A-Za-z0-9-]*|<!--|<!|<\?")


def body_faults(body: str, first_line: int) -> list[Fault]:
    """Return what must be changed in a body before it can be mailed."""
    if not body.strip():
        return [Fault(first_line, "the tip has no text; write it below the front matter")]
    if fault := source_fault(body, first_line):
        return [fault]
    return _markdown_faults(body, first_line) + merge_field_faults(body, first_line)


def placeholder_faults(body: str, first_line: int) -> list[Fault]:
    """Return which lines of a body are still those of a new tip; a draft may have them, readers must not."""
    return [
        Fault(number, f"{quoted(line.strip())} is still the placeholder of a new tip; write your own text there")
        for number, line in enumerate(body.split("\n"), start=first_line)
        if line.strip() in PLACEHOLDERS
    ]


def _markdown_faults(body: str, first_line: int) -> list[Fault]:
    parser = tip_parser(html=True)
    # The parser would turn a link it mistrusts back into text, and the author would never hear of it.
    parser.validateLink = lambda url: True  # type: ignore[method-assign]  # noqa: ARG005
    # Escaped characters stay tokens of their own, so that `\[^1]` is told from `[^1]`.
    parser.disable("text_join")
    source = _MERGE_FIELD.sub(_PLACE, body)
    lines = source.split("\n")
    definitions: dict[str, dict[str, dict[str, Any]]] = {}
    tokens = parser.parse(source, definitions)
    if faults := size_faults(tokens, first_line):
        return faults
    footnotes = {
        label: definition for label, definition in definitions.get("references", {}).items() if label.startswith("^")
    }
    _drop_footnote_links(tokens, {str(definition["href"]) for definition in footnotes.values()})
    row = 0
    for token in tokens:
        row = token.map[0] if token.map else row
        if token.type == "html_block":
            faults.append(_html_fault(token.content, first_line + row))
        elif token.type == "inline":
            end = token.map[1] if token.map else row + 1
            faults += _inline_faults(token, lines[:end], row, first_line)
    for label, definition in footnotes.items():
        faults.append(_footnote_fault(f"[{label.lower()}]", first_line + definition["map"][0]))
    return faults


def _drop_footnote_links(tokens: Sequence[Token], targets: Collection[str]) -> None:
    """Take the links that CommonMark makes of `[^1]` out: the footnote is the fault, whatever it leads to."""
    for token in tokens:
        token.children = [
            child
            for child in token.children or ()
            if child.type != "link_open" or str(child.attrGet("href")) not in targets
        ]


def _inline_faults(block: Token, lines: list[str], row: int, first_line: int) -> list[Fault]:
    """Return the faults of links, images, HTML and footnotes within one paragraph, heading or cell.

    `row` counts from 0.
    """
    children = block.children or []
    faults = [
        _footnote_fault(mark, first_line + _row_of(mark, lines, row)) for mark in _FOOTNOTE.findall(_own_text(children))
    ]
    for token in children:
        if token.type == "html_inline":
            row = _row_of(token.content.split("\n")[0], lines, row)
            faults.append(_html_fault(token.content, first_line + row))
            row += token.content.count("\n")
        elif token.type == "link_open":
            url = str(token.attrGet("href") or "")
            row = _row_of(url, lines, row)
            faults += [Fault(first_line + row, text) for text in _address_faults(url, LINK_SCHEMES, "link")]
        elif token.type == "image":
            url = str(token.attrGet("src") or "")
            row = _row_of(url, lines, row)
            faults += [Fault(first_line + row, text) for text in _address_faults(url, IMAGE_SCHEMES, "picture")]
        elif token.type in {"softbreak", "hardbreak"}:
            row += 1
    return faults


def _own_text(tokens: Sequence[Token]) -> str:
    """Return the text of a paragraph in which code, escaped characters and markup are blanks."""
    return "".join(token.content if token.type == "text" else " " for token in tokens)


def _footnote_fault(mark: str, line: int) -> Fault:
    text = (
        f"{quoted(mark)} is a footnote, which a mail cannot have; put the words or a link into the text "
        f"(\\{mark} shows the signs themselves)"
    )
    return Fault(line, text)


def _row_of(needle: str, lines: list[str], row: int) -> int:
    """Return the line on which a piece of source stands, from `row` on; a code span may hide a line break."""
    return next((n for n in range(row, len(lines)) if needle and needle in lines[n]), row)


def _html_fault(source: str, line: int) -> Fault:
    match = _TAG.search(source)
    tag = match[0].replace("/", "") if match else "<"
    name = "an HTML comment" if tag == "<!--" else f"HTML ({quoted(tag + '>')})"
    return Fault(line, f"{name} cannot stand in a tip; write it in Markdown, or in `backquotes` to show it as it is")


def _address_faults(url: str, schemes: tuple[str, ...], noun: str) -> list[str]:
    shown = quoted(unquote(url).replace(_PLACE, "{{…}}"))
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return [f"the {noun} {shown} is not an address that can be read"]
    allowed = ", ".join(f"{scheme}:" for scheme in schemes)
    if parts.scheme.lower() not in schemes:
        why = "an empty address" if not url else shown
        return [f"the {noun} leads to {why}; in a mail it must begin with https:// (allowed: {allowed})"]
    fixed = _FIXED_TARGET.match(url)
    if _PLACE in url and (fixed is None or _PLACE in fixed[0]):
        example = "https://example.com/?u={{ email }}"
        return [f"the {noun} {shown} has a merge field before or in its host; write it after, as in {example}"]
    if parts.scheme.lower() == "tel":
        example = "tel:+1-555-0100"
        return [] if _TELEPHONE.fullmatch(url) else [f"the {noun} {shown} is not a telephone number such as {example}"]
    # A host cannot be percent-encoded: the parser does that to what has no place in one.
    if parts.scheme.lower() != "mailto" and (not host or "%" in host):
        return [f"the {noun} {shown} names no host; write it like https://example.com/page"]
    return []


def merge_field_faults(text: str, first_line: int) -> list[Fault]:
    """Return what is wrong with the merge fields of a text."""
    faults: list[Fault] = []
    for number, line in enumerate(text.split("\n"), start=first_line):
        if line.count("{{") > BRACES_LIMIT:
            faults.append(Fault(number, f"more than {BRACES_LIMIT} merge fields on one line; break the line"))
            continue
        try:
            split_merge_fields(line, place="text")
        except InputError as error:
            # A merge field stays on one line, so each line can be judged alone; its own place comes before the colon.
            faults += [Fault(number, detail.partition(": ")[2]) for detail in error.details]
    return faults

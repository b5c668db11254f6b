"""A tip file: front matter and Markdown, read into a `TipDraft` and written from one.

In: the text of a file. Out: a draft, or an `InputError` whose details are all faults, each with its line. It never
opens a file, and nothing that an author can type raises anything else.
"""

from __future__ import annotations

import re
from dataclasses import replace

import yaml

from newsletter.core.front_matter import (
    FENCE,
    NOT_IN_A_LINE,
    Entry,
    Fault,
    FrontMatter,
    has_front_matter,
    read_front_matter,
)
from newsletter.core.tip import Tip, TipDraft, TipStatus, draft_of
from newsletter.core.tip_body import body_faults
from newsletter.core.tip_keys import Reading
from newsletter.errors import InputError
from newsletter.wording import plural

FILE_LIMIT = 1024 * 1024
"""Bytes of UTF-8."""
FAULTS_SHOWN_MAX = 200
"""A file that is no tip at all, such as a picture, has as many faults as lines."""
# In a text, unlike in a header, a tab is fine, and so are the direction marks that right-to-left languages need.
_NOT_IN_A_TEXT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")
_HEADING = re.compile(r" {0,3}#[ \t]+(\S.*?)(?:[ \t]+#+)?[ \t]*")
_UNESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")
"""A sign behind a backslash stands for itself in Markdown."""
_PLAIN = re.compile(r"[A-Za-z](?:[\w .()-]*[\w.)])?")
_YAML_WORDS = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}


def parse_tip_file(text: str, *, file_name: str) -> TipDraft:
    """Read a tip file.

    Accepts a byte order mark and the line ends of Windows. Raises `InputError` with every fault, in the order of lines.
    """
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > FILE_LIMIT:
        raise _refusal(file_name, [Fault(1, f"the file is {size:,} bytes long; {FILE_LIMIT:,} are the limit")])
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    faults = [
        Fault(number, f"U+{ord(sign):04X} is a character that mail cannot carry; delete it")
        for number, line in enumerate(lines.split("\n"), start=1)
        for sign in dict.fromkeys(_NOT_IN_A_TEXT.findall(line))
    ]
    # The checks below go on without them, so that one report has all faults.
    clean = _NOT_IN_A_TEXT.sub("\ufffd", lines)
    front, front_faults, rest_line = _front(clean)
    faults += front_faults
    if front is None:
        raise _refusal(file_name, faults)
    reading = Reading(front)
    draft = reading.draft()
    faults += reading.faults
    body, body_line = _body(clean, rest_line)
    faults += body_faults(body, body_line)
    if faults:
        raise _refusal(file_name, faults)
    return replace(draft, body=body, body_line=body_line)


def export_draft(tip: Tip) -> TipDraft:
    """Return the draft that is exported of a tip; importing its file changes nothing where the tip is.

    Elsewhere a tip that went out must not go out again by itself, so its file says draft, and names no past pin.
    """
    draft = draft_of(tip)
    return replace(draft, status=TipStatus.DRAFT, pin=None) if tip.status is TipStatus.SENT else draft


def render_tip_file(draft: TipDraft) -> str:
    """Write the file that `parse_tip_file` reads back into an equal draft, if the draft is one it would accept."""
    keys: dict[str, str | bool | int | list[str]] = {"title": draft.title, "slug": draft.slug}
    if draft.subject != draft.title:
        keys["subject"] = draft.subject
    for name in ("preheader", "author"):
        if value := getattr(draft, name):
            keys[name] = value
    if draft.tags:
        keys["tags"] = list(draft.tags)
    if draft.evergreen:
        keys["evergreen"] = True
    if draft.season:
        keys["season"] = str(draft.season)
    if draft.part is not None:
        keys |= {"series": draft.part.series, "part": draft.part.number}
    if not draft.listed:
        keys["listed"] = False
    dates = {"pin": draft.pin, "first_published": draft.first_published}
    lines = [_yaml_line(key, value) for key, value in keys.items()]
    lines += [f"{key}: {value.isoformat()}" for key, value in dates.items() if value]
    lines.append(f"status: {draft.status}")
    return "\n".join([FENCE, *lines, FENCE, "", draft.body, ""])


def _yaml_line(key: str, value: str | bool | int | list[str]) -> str:  # noqa: FBT001 (a YAML value, not a switch)
    if isinstance(value, str):
        return f"{key}: {_yaml_text(value)}"
    if isinstance(value, list):
        return f"{key}: [{', '.join(_yaml_text(item) for item in value)}]"
    return f"{key}: {str(value).lower()}"


def _yaml_text(value: str) -> str:
    """Return a value plain where no reader of YAML could take it for anything else, otherwise in double quotes."""
    is_plain = _PLAIN.fullmatch(value) and value.lower() not in _YAML_WORDS
    return value if is_plain else _in_quotes(value)


def _in_quotes(value: str) -> str:
    return str(yaml.safe_dump(value, default_style='"', allow_unicode=True, width=float("inf"))).rstrip("\n")


def _front(text: str) -> tuple[FrontMatter | None, list[Fault], int]:
    """Return the front matter, its faults and its last line; a file without one has its title as `# Heading`."""
    if not has_front_matter(text):
        lines = text.split("\n")
        first = next((number for number, line in enumerate(lines) if line.strip()), 0)
        if heading := _HEADING.fullmatch(lines[first]):
            title = Entry(key="title", line=first + 1, text=_UNESCAPED.sub(r"\1", heading[1]))
            front = FrontMatter(entries=(title,), unreadable=frozenset(), first_line=first + 1, end_line=first + 1)
            return front, [], first + 1
    front_matter, faults = read_front_matter(text)
    return front_matter, faults, front_matter.end_line if front_matter else 0


def _body(text: str, rest_line: int) -> tuple[str, int]:
    """Return the text below the front matter without blank lines around it, and the line on which it begins."""
    lines = text.split("\n")[rest_line:]
    blank = next((n for n, line in enumerate(lines) if line.strip()), 0)
    return "\n".join(lines[blank:]).rstrip(), rest_line + blank + (1 if lines else 0)


def _refusal(file_name: str, faults: list[Fault]) -> InputError:
    unique = sorted(set(faults))
    count = plural(len(unique), "fault")
    name = NOT_IN_A_LINE.sub("?", file_name)
    details = [str(fault) for fault in unique[:FAULTS_SHOWN_MAX]]
    if len(unique) > FAULTS_SHOWN_MAX:
        details.append(f"line {unique[FAULTS_SHOWN_MAX].line}: from here on, {len(unique) - FAULTS_SHOWN_MAX:,} more")
    return InputError(f"{name} has {count}; correct it and try again", details=tuple(details))

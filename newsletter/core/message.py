"""A message: the publication, one recipient, and the merge fields of a text.

In: the publication, as settings describe it, and one recipient with the values that differ from person to person;
the text of a tip with its merge fields. Out: frozen values that `render/` turns into bytes. It never renders.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Protocol

from newsletter.errors import InputError

FIELD_NAMES = ("first_name", "last_name", "name", "email")
"""Merge fields every subscriber has; columns of an import's own are written `field.NAME`."""
VALUE_LENGTH_MAX = 1_000
"""Characters of a merge field that are used; names are shorter, and a pasted text must not fill the mail."""

_OWN_FIELD = "field."
_MARK = re.compile(
    r"\\(?P<literal>\{\{|\{%)"  # \{{ stands for two braces
    r"|\{\{(?P<field>[^{}\n]*)\}\}"  # No braces inside, so that a line of nothing but braces is read in one pass.
    r"|(?P<stray>\{\{|\{%)"
    r"|(?P<foreign>\*\|[A-Za-z0-9_:]+\|\*)"
)
_OVERRIDES = re.compile("[\u202a-\u202e\u2066-\u2069\ufeff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicationLinks:
    """The pages that mails and pages of the newsletter link to; empty ones are left out."""

    archive_url: str = ""
    tips_url: str = ""
    """Where the pages of tips are, each below its name; empty where this newsletter shows none."""
    signup_url: str = ""
    contact_url: str = ""
    resources_url: str = ""
    home_url: str = ""
    own_settings: bool = False
    """Whether each mail links to its reader's own settings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """The newsletter itself, as every mail shows it."""

    name: str
    from_email: str
    reply_to: str
    """A mailbox that is read; equal to `from_email` unless set."""
    postal_address: str
    """One or more lines; commercial mail must bear it (15 U.S.C. § 7704(a)(5))."""
    base_url: str
    """Public https address of the web part, without a trailing slash."""
    language: str = "en"
    typography: bool = True
    """Whether straight quotes, `--` and `...` become the typographic signs of the language."""
    accent_color: str = "#17604f"
    logo_url: str = ""
    links: PublicationLinks = PublicationLinks()
    bounce_domain: str = ""
    """Where bounces go; with it every envelope sender is `b+TOKEN@bounce_domain` (VERP)."""
    cfbl_address: str = ""
    """Mailbox for complaint feedback (RFC 9477), no header when empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """What differs from person to person within one edition."""

    email: str
    """The address as it stands in `To:` and `RCPT TO`: domain as A-label."""
    name: str = ""
    """Display name, may be empty."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """Merge fields by name: `first_name`, `last_name`, `name`, `email`, and the subscriber's own fields."""
    unsubscribe_url: str
    message_id: str
    """Without the angle brackets."""
    date: datetime
    """The first attempt of this delivery, aware."""


class Person(Protocol):
    """The values of a person that an edition may use; a row of the database has them without conversion."""

    @property
    def email(self) -> str:
        """Return the address as the person gave it."""

    @property
    def name(self) -> str:
        """Return the display name, may be empty."""

    @property
    def first_name(self) -> str:
        """Return the first name, may be empty."""

    @property
    def last_name(self) -> str:
        """Return the last name, may be empty."""

    @property
    def fields(self) -> Mapping[str, str]:
        """Return the fields of the subscriber's own, by their bare heading."""


def settings_url(unsubscribe_url: str) -> str:
    """Return the link to a reader's own settings; it has the token of the opt-out link, and opens nothing by itself."""
    base, path, token = unsubscribe_url.rpartition("/u/")
    return f"{base}/p/{token}" if path else unsubscribe_url


def full_name(person: Person) -> str:
    """Return the display name, or else the first and the last name; may be empty."""
    return person.name or f"{person.first_name} {person.last_name}".strip()


def merge_fields(person: Person) -> dict[str, str]:
    """Return all merge fields of a person, for a `Recipient`."""
    # Own fields bear their bare heading: `field.` is how an author writes them.
    return {
        **person.fields,
        "first_name": person.first_name,
        "last_name": person.last_name,
        "name": full_name(person),
        "email": person.email,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeField:
    """A place in a tip that a value of the recipient fills."""

    name: str
    """`first_name`, `last_name`, `name`, `email`, `field.company`; empty for text that is the same for all."""
    fallback: str = ""
    """What stands there when the recipient has no such value."""

    def value(self, recipient: Recipient) -> str:
        """Return the recipient's value, cleaned, or the fallback when nothing is left of it."""
        return plain_value(_raw_value(self.name, recipient)) or self.fallback

    def value_of(self, person: Person, address: str, unsubscribe_url: str) -> str:
        """Return the same value without a `Recipient`: one is dear to make for each of a million people."""
        name = self.name
        if name == "email":
            raw = address
        elif name == "unsubscribe_url":
            raw = unsubscribe_url
        elif name == "settings_url":
            raw = settings_url(unsubscribe_url)
        elif name == "name":
            raw = full_name(person)
        elif name.startswith(_OWN_FIELD):
            raw = _own_field(name, merge_fields(person))
        else:
            raw = getattr(person, name)
        return plain_value(raw) or self.fallback


def split_merge_fields(text: str, *, place: str = "body", line: int = 1) -> tuple[str | MergeField, ...]:
    r"""Split a text at its merge fields; `line` is the number of its first line, `place` its name in messages.

    `{{ first_name|there }}` gives the field with its fallback, `{{ first_name| }}` allows nothing to stand there, and
    `\{{` is the way to write two braces. This is a fixed set of names, not a template language.
    Raises `InputError` with one line of details per fault.
    """
    parts: list[str | MergeField] = []
    faults: list[str] = []
    end = 0
    for match in _MARK.finditer(text):
        parts.append(text[end : match.start()])
        end = match.end()
        field_or_fault = _read_mark(match)
        if isinstance(field_or_fault, MergeField):
            parts.append(field_or_fault)
        else:
            faults.append(f"{place}, line {line + text.count(chr(10), 0, match.start())}: {field_or_fault}")
    if faults:
        first, *more = faults
        raise InputError(f"{first} (and {len(more)} more)" if more else first, details=tuple(faults))
    return tuple(part for part in (*parts, text[end:]) if part != "")


def plain_value(value: str) -> str:
    """Return a subscriber's value as text that can do no harm: one line, no control characters, NFC, of bounded length.

    Directional overrides go too: one that is not closed turns the rest of the line round (UTS #55, trap of spoofers).
    """
    if value.isascii() and value.isprintable():
        return " ".join(value[:VALUE_LENGTH_MAX].split())
    kept = "".join(c for c in " ".join(value.split()) if unicodedata.category(c) not in {"Cc", "Cs", "Zl", "Zp"})
    # Split once more: what was taken out may have stood between two blanks.
    return " ".join(unicodedata.normalize("NFC", _OVERRIDES.sub("", kept))[:VALUE_LENGTH_MAX].split())


def _raw_value(name: str, recipient: Recipient) -> str:
    """Return the value of a merge field; capitals, blanks and hyphens in the name of an own field do not matter."""
    if name == "email":
        return recipient.email
    if name == "unsubscribe_url":  # Of templates alone: no author may write it.
        return recipient.unsubscribe_url
    if name == "settings_url":
        return settings_url(recipient.unsubscribe_url)
    if name == "name":
        return recipient.fields.get("name") or recipient.name
    if not name.startswith(_OWN_FIELD):
        return recipient.fields.get(name, "")
    return _own_field(name, recipient.fields)


def _own_field(name: str, fields: Mapping[str, str]) -> str:
    own_heading = _heading(name.removeprefix(_OWN_FIELD))
    return next((value for heading, value in fields.items() if _heading(heading) == own_heading), "")


@lru_cache(maxsize=1_024)
def _heading(text: str) -> str:
    """Return the form in which headings are compared: `Company Name` is `company_name`."""
    return re.sub(r"[\s_-]+", "_", text.strip()).casefold()


def _read_mark(match: re.Match[str]) -> MergeField | str:
    """Return the merge field that a match is, or what is wrong with it."""
    if literal := match["literal"]:
        return MergeField(name="", fallback=literal)
    if match["foreign"]:
        return f"{match[0]} is a merge tag of another service; write {{{{ first_name|there }}}} instead"
    if match["stray"]:
        problem = "is never closed" if match[0] == "{{" else "begins a template tag, which a tip cannot have"
        return f"{match[0]} {problem}; write {{{{ first_name|there }}}}, or \\{match[0]} for the signs themselves"
    return _read_field(match["field"])


def _read_field(text: str) -> MergeField | str:
    """Return the merge field that stands between two pairs of braces, or what is wrong with it."""
    name, bar, fallback = (part.strip() for part in text.partition("|"))
    own = name.removeprefix(_OWN_FIELD) if name.startswith(_OWN_FIELD) else ""
    if name not in FIELD_NAMES and not (own and re.fullmatch(r"\w[\w .&/#+-]*", own)):
        return _unknown(name)
    if name != "email" and not bar:
        return (
            f"{{{{ {name} }}}} has no fallback for people without it; write {{{{ {name}|some words }}}}, "
            f"or {{{{ {name}| }}}} if nothing may stand there"
        )
    return MergeField(name=name, fallback=plain_value(fallback))


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name.lower().replace("-", "_"), FIELD_NAMES, n=1)
    hint = f"did you mean {near[0]}?" if near else f"use one of {', '.join(FIELD_NAMES)}, or field.NAME"
    return f'unknown merge field "{name}"; {hint} (write \\{{{{ for two braces)'

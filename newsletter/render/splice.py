"""Sentinels: the places of an edition that are filled per person.

In: a nonce and the merge fields found. Out: words of ASCII letters and digits that survive Markdown, templates
and premailer, and the texts split at them again. A sentinel says how its value is escaped: the place decides, never
the value.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from html import escape
from typing import NoReturn, Self
from urllib.parse import quote

from markupsafe import Markup

from newsletter.core.message import MergeField, split_merge_fields

HTML = "h"
"""In the text or in a quoted attribute of HTML: one escaping is safe in both."""
URL = "u"
"""A component of a URL; what percent-encoding leaves is harmless in HTML too."""
PLAIN = "p"
"""In the text part or the subject: as it is."""


class AskedAboutSubscriber(Exception):  # noqa: N818 - it names what the template did.
    """A template asked for a property of a value that differs from person to person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placeholder:
    """A place between two pieces of fixed text."""

    kind: str
    field: MergeField

    def escaped(self, value: str) -> str:
        """Escape a value for this place."""
        if self.kind == HTML:
            return escape(value, quote=True)
        if self.kind == URL:
            return quote(value, safe="")
        return value


class Sentinels:
    """The sentinels of one edition: hands them out while it is rendered, and finds them afterwards."""

    def __init__(self, nonce: str, fields: tuple[MergeField, ...] = ()) -> None:
        """Take the nonce of the edition, and the fields already numbered when a frozen edition is read back."""
        self.prefix = "zq" + hashlib.sha256(f"sentinel {nonce}".encode()).hexdigest()[:12]
        self.fields = list(fields)
        self.issued: dict[str, int] = {}
        """How often a template printed each sentinel; it must be found at least as often in what came out."""
        self._whole = re.compile(f"{self.prefix}([{HTML}{URL}{PLAIN}])([0-9]{{3}})z")
        self._any = re.compile(self.prefix, re.IGNORECASE)

    def sentinel(self, field: MergeField, kind: str = PLAIN) -> str:
        """Return the word that stands for a field."""
        if field not in self.fields:
            self.fields.append(field)
        return f"{self.prefix}{kind}{self.fields.index(field):03d}z"

    def mark(self, text: str, *, place: str, line: int = 1) -> str:
        """Replace the merge fields of an author's text by sentinels."""
        parts = split_merge_fields(text, place=place, line=line)
        return "".join(part if isinstance(part, str) else self.sentinel(part) for part in parts)

    def personal(self, text: str, place: str) -> Personal | str:
        """Return marked text in the form in which a template may see it: plain text when it is the same for all."""
        return PersonalText(text, self, place) if self.prefix in text else text

    def as_kind(self, text: str, kind: str) -> str:
        """Return the text with each of its sentinels turned to another kind."""
        return self._whole.sub(rf"{self.prefix}{kind}\2z", text)

    def plain_to_html(self, html: str) -> str:
        """Return HTML whose plain sentinels escape their values; those inside URLs stay of their kind."""
        return html.replace(f"{self.prefix}{PLAIN}", f"{self.prefix}{HTML}")

    def split(self, text: str) -> tuple[str | Placeholder, ...]:
        """Split a finished text into fixed pieces and placeholders; text that is the same for all becomes fixed."""
        parts: list[str | Placeholder] = []
        held = ""
        end = 0
        for match in self._whole.finditer(text):
            held += text[end : match.start()]
            end = match.end()
            placeholder = Placeholder(kind=match[1], field=self.fields[int(match[2])])
            if not placeholder.field.name:
                held += placeholder.escaped(placeholder.field.fallback)
                continue
            parts += [held, placeholder]
            held = ""
        return (*parts, held + text[end:])

    def count(self, text: str) -> dict[str, int]:
        """Count each sentinel of a text; damaged ones count under the name `damaged`."""
        counts: dict[str, int] = {}
        for match in self._whole.finditer(text):
            counts[match[0]] = counts.get(match[0], 0) + 1
        damaged = len(self._any.findall(text)) - sum(counts.values())
        return counts | ({"damaged": damaged} if damaged else {})

    def issue(self, text: str) -> str:
        """Note the sentinels of a text that a template is about to print."""
        for mark, times in self.count(text).items():
            self.issued[mark] = self.issued.get(mark, 0) + times
        return text

    def blank(self, text: str) -> str:
        """Return the text without its sentinels, for checks of what the author and the templates wrote."""
        return self._whole.sub("", text)


class Personal:
    """A value of a subscriber as a template sees it: it can be printed, and not compared.

    An edition is rendered once for all recipients, so a condition on a value would be decided once for all of them.
    """

    __slots__ = ("_name", "_sentinels", "_text")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, text: str, sentinels: Sentinels, name: str) -> None:
        """Take marked text, and the name by which a template knows it."""
        self._text = text
        self._sentinels = sentinels
        self._name = name

    @classmethod
    def of(cls, name: str, sentinels: Sentinels) -> Self:
        """Return the place for one value of the recipient."""
        return cls(sentinels.sentinel(MergeField(name=name)), sentinels, f"recipient.{name}")

    def __html__(self) -> str:
        """Return it for HTML; Jinja calls this where it would escape."""
        return self._sentinels.issue(self._sentinels.as_kind(escape(self._text), HTML))

    def __str__(self) -> str:
        """Return it for plain text."""
        return self._sentinels.issue(self._text)

    def url_component(self) -> Markup:
        """Return it for a part of a URL; what the template filter `urlencode` calls."""
        quoted = self._sentinels.as_kind(quote(self._text, safe=""), URL)
        return Markup(self._sentinels.issue(quoted))  # noqa: S704 - quoted: letters, digits, percent signs.

    def _refuse(self, *_: object) -> NoReturn:
        raise AskedAboutSubscriber(
            f"it asks about {self._name}, which differs from person to person; an edition is rendered once for all"
        )

    def __getattr__(self, name: str) -> NoReturn:
        """Refuse methods such as `.upper()`, but let Python and Jinja look for their own protocols."""
        if name.startswith("__"):
            raise AttributeError(name)
        self._refuse()

    __bool__ = __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _refuse
    __len__ = __iter__ = __contains__ = __getitem__ = __add__ = __radd__ = __mod__ = __int__ = _refuse


class PersonalText(Personal):
    """A text of the author with merge fields in it: whether it was written at all is the same for all readers."""

    __slots__ = ()

    def __bool__(self) -> bool:  # type: ignore[override]
        """Let a template ask `{% if tip.preheader %}`."""
        return True

"""The message: an edition as bytes with placeholders, and one person's message out of it.

In: a rendered edition, frozen as JSON in the edition's row. Out: whole RFC 5322 messages, CRLF, seven-bit.
All encoding is done when it is compiled; per person a handful of values is encoded and the pieces are joined. No
template, no `EmailMessage`. Safe to share between threads: nothing in it changes after it was made.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from operator import itemgetter
from typing import NamedTuple, Self

from newsletter.core.message import MergeField, Person, Publication, Recipient, full_name
from newsletter.errors import Stop
from newsletter.render import headers
from newsletter.render.body import Body, PersonalPart, ValueOf, fill
from newsletter.render.edition import RenderedEdition
from newsletter.render.encoding import common_value, header_text, mailbox, quoted_value
from newsletter.render.gates import check_size
from newsletter.render.ordinary import OrdinaryLayout, is_ordinary
from newsletter.render.splice import URL, Placeholder, Sentinels

Part = bytes | str | Placeholder | PersonalPart
"""A piece of the message: fixed bytes, a mark of the header block, a placeholder, or a filler."""
FORMAT_VERSION = 1
"""Of the frozen JSON. A later version that must read differently counts up and keeps reading the older ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenContent:
    """All that is kept of an edition: no later edit, setting or upgrade can change the second half of a mailing."""

    edition_name: str
    nonce: str
    head: str
    """The header block, with the placeholders of `headers.py`."""
    boundary: str
    subject: str
    """With sentinels, as the text and the HTML."""
    text: str
    html: str
    fields: tuple[MergeField, ...]
    warnings: tuple[str, ...]


def compile_message(
    rendered: RenderedEdition, publication: Publication, *, providers: Sequence[str] = ()
) -> CompiledMessage:
    """Make the message of an edition; raise `InputError` when its HTML is so long that Gmail would cut it.

    `providers` are those whose webhooks repeat a header of the message.
    """
    # `=_` occurs in neither transfer encoding, so no body can hold the boundary (RFC 2045 §6.7).
    boundary = "=_" + hashlib.sha256(f"boundary {rendered.nonce}".encode()).hexdigest()[:24]
    sentinels = Sentinels(rendered.nonce, rendered.fields)
    subject = sentinels.split(rendered.subject)
    head = headers.header_block(
        publication,
        edition_name=rendered.edition_name,
        subject=str(subject[0]) if len(subject) == 1 else None,
        boundary=boundary,
        providers=providers,
    )
    html_size = Body(sentinels.split(rendered.html)).size
    return CompiledMessage(
        FrozenContent(
            edition_name=rendered.edition_name,
            nonce=rendered.nonce,
            head=head,
            boundary=boundary,
            subject=rendered.subject,
            text=rendered.text,
            html=rendered.html,
            fields=rendered.fields,
            warnings=(*rendered.warnings, *check_size(html_size)),
        )
    )


class Spliced(NamedTuple):
    """The message of one person."""

    content: bytes
    fit: bool
    """True when no line can begin with a dot: the fixed pieces were searched once, the values here."""


class CompiledMessage:
    """One edition, ready to be spliced."""

    __slots__ = (
        "_fillers",
        "_fit",
        "_html",
        "_ordinary",
        "_pieces",
        "_places",
        "_quoted",
        "_subject",
        "_text",
        "_values",
        "content",
    )

    def __init__(self, content: FrozenContent) -> None:
        """Encode the content: some milliseconds, once per edition and process."""
        sentinels = Sentinels(content.nonce, content.fields)
        self.content = content
        self._subject = sentinels.split(content.subject)
        self._text = Body(sentinels.split(content.text))
        self._html = Body(sentinels.split(content.html))
        sequence = self._sequence()
        self._pieces = [part if isinstance(part, bytes) else b"" for part in sequence]
        self._places = {mark: _places_of(mark, sequence) for mark in headers.OF_PERSON}
        self._fillers = [
            (at, part) for at, part in enumerate(sequence) if not isinstance(part, (bytes, str, Placeholder))
        ]
        self._quoted = _by_field(sequence)
        # There are always several: the address, the date, the link.
        self._values = itemgetter(*[at for at, part in enumerate(sequence) if not isinstance(part, bytes)])
        fixed = [part for part in sequence if isinstance(part, bytes)]
        self._fit = not any(part.startswith(b".") or b"\n." in part for part in fixed)
        self._ordinary = OrdinaryLayout.of(sequence)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What an editor should read; none of it stops the edition."""
        return self.content.warnings

    def splice(self, recipient: Recipient) -> bytes:
        """Return the whole message of one person."""
        pieces = self._pieces.copy()
        self._fill_headers(
            pieces,
            to=mailbox(recipient.name, recipient.email, header="To"),
            date=recipient.date,
            message_id=recipient.message_id,
            unsubscribe_url=recipient.unsubscribe_url,
        )
        self._fill_values(pieces, lambda field: field.value(recipient))
        return b"".join(pieces)

    def personal(
        self, person: Person, *, address: str, unsubscribe_url: str, message_id: str, date: datetime
    ) -> Spliced:
        """Return the message that `splice` returns, without building a `Recipient`: for a million people in a row.

        `address` is the person's as it stands in `To:` and `RCPT TO`, `message_id` is without the angle brackets.
        """
        name = person.name or full_name(person)
        ordinary = self._ordinary
        if ordinary is not None and is_ordinary(name, person.first_name, person.last_name, address):
            content = ordinary.fill(
                person, name=name, address=address, unsubscribe_url=unsubscribe_url, message_id=message_id, date=date
            )
            if content is not None:
                return Spliced(content, self._fit)
        pieces = self._pieces.copy()
        to = mailbox(name, address, header="To")
        self._fill_headers(pieces, to=to, date=date, message_id=message_id, unsubscribe_url=unsubscribe_url)
        self._fill_values(pieces, lambda field: field.value_of(person, address, unsubscribe_url))
        values = b"\n".join(self._values(pieces))
        return Spliced(b"".join(pieces), self._fit and b"\n." not in values and values[:1] != b".")

    def subject(self, recipient: Recipient) -> str:
        """Return the subject as one person sees it."""
        return self._filled_subject(lambda field: field.value(recipient))

    def text(self, recipient: Recipient) -> str:
        """Return the text part as one person sees it."""
        return self._text.plain(lambda field: field.value(recipient))

    def html(self, recipient: Recipient) -> str:
        """Return the HTML part as one person sees it."""
        return self._html.plain(lambda field: field.value(recipient))

    def to_json(self) -> str:
        """Return what is frozen in the row of the edition."""
        return json.dumps({"format": FORMAT_VERSION, **asdict(self.content)}, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a frozen edition back; it splices the same bytes as the one that was frozen."""
        frozen = json.loads(text)
        if frozen.pop("format", None) != FORMAT_VERSION:
            raise Stop("this edition was frozen by another version of newsletter: upgrade, then send it")
        fields = tuple(MergeField(**field) for field in frozen.pop("fields"))
        return cls(FrozenContent(**frozen | {"fields": fields, "warnings": tuple(frozen["warnings"])}))

    def _fill_headers(
        self, pieces: list[bytes], *, to: str, date: datetime, message_id: str, unsubscribe_url: str
    ) -> None:
        places = self._places
        for mark, data in (
            (headers.TO, to.encode()),
            (headers.DATE, headers.date_time(date)),
            (headers.MESSAGE_ID, headers.safe_uri(message_id).encode()),
            (headers.UNSUBSCRIBE, headers.safe_uri(unsubscribe_url).encode()),
            (headers.OPT_OUT_TOKEN, headers.opt_out_token(unsubscribe_url)),
        ):
            for at in places[mark]:
                pieces[at] = data

    def _fill_values(self, pieces: list[bytes], value_of: ValueOf) -> None:
        for at, filler in self._fillers:
            pieces[at] = filler(value_of)
        for field, shared, placeholders in self._quoted:
            value = value_of(field)
            data = common_value(value) if shared else None
            if data is not None:
                for at in shared:
                    pieces[at] = data
            for placeholder, places in placeholders:
                if data is not None and placeholder.kind != URL:
                    continue
                own = quoted_value(placeholder.escaped(value))
                for at in places:
                    pieces[at] = own

    def _filled_subject(self, value_of: ValueOf) -> str:
        fixed = [part for part in self._subject if isinstance(part, str)]
        return fill(fixed, [part for part in self._subject if isinstance(part, Placeholder)], value_of)

    def _sequence(self) -> list[Part]:
        """Return the message in order: fixed bytes, placeholders in quoted-printable text, other personal parts."""
        sequence: list[Part] = [*self._head()]
        for subtype, body in (("plain", self._text), ("html", self._html)):
            sequence.append(
                f"--{self.content.boundary}\r\nContent-Type: text/{subtype}; charset=utf-8\r\n"
                f"Content-Transfer-Encoding: {body.transfer_encoding}\r\n\r\n".encode()
            )
            sequence += body.sequence()
            sequence.append(b"\r\n")
        sequence.append(f"--{self.content.boundary}--\r\n".encode())
        return sequence

    def _head(self) -> Sequence[bytes | str | PersonalPart]:
        """Return the header block and the empty line: text, its marks, and a filler for a subject that differs."""
        sequence: list[bytes | str | PersonalPart] = []
        end = 0
        for match in headers.HEADER_PLACEHOLDERS.finditer(self.content.head):
            sequence.append(self.content.head[end : match.start()].encode())
            sequence.append(self._subject_header if match[0] == headers.SUBJECT else match[0])
            end = match.end()
        return [*sequence, self.content.head[end:].encode() + b"\r\n"]

    def _subject_header(self, value_of: ValueOf) -> bytes:
        return header_text(self._filled_subject(value_of), name="Subject").encode()


def _places_of(mark: str, sequence: Sequence[Part]) -> list[int]:
    """Return where a value of the header block stands; complaints come back with the Message-ID of the mail."""
    marks = {mark, headers.FEEDBACK} if mark == headers.MESSAGE_ID else {mark}
    return [at for at, part in enumerate(sequence) if isinstance(part, str) and part in marks]


def _by_field(sequence: Sequence[Part]) -> list[tuple[MergeField, list[int], list[tuple[Placeholder, list[int]]]]]:
    """Return the places of quoted values by field, so that each value is looked up and escaped once.

    The first list has the places where most values look alike, in text and in HTML; the second has all, by kind.
    """
    fields: dict[MergeField, dict[Placeholder, list[int]]] = {}
    for at, part in enumerate(sequence):
        if isinstance(part, Placeholder):
            fields.setdefault(part.field, {}).setdefault(part, []).append(at)
    return [
        (
            field,
            [at for placeholder, places in placeholders.items() if placeholder.kind != URL for at in places],
            list(placeholders.items()),
        )
        for field, placeholders in fields.items()
    ]

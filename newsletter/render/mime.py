"""The message: an edition as bytes with holes, and one person's message out of it.

In: a rendered edition, frozen as JSON in the edition's row. Out: whole RFC 5322 messages, CRLF, seven-bit.
All encoding is done when it is compiled; per person a handful of values is encoded and the pieces are joined. No
template, no `EmailMessage`. Safe to share between threads: nothing in it changes after it was made.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from email.utils import format_datetime
from typing import Self

from newsletter.core.message import MergeField, Publication, Recipient
from newsletter.errors import Stop
from newsletter.render import headers
from newsletter.render.body import Body, Filler, fill
from newsletter.render.edition import RenderedEdition
from newsletter.render.encoding import header_text, mailbox, quoted_value
from newsletter.render.gates import check_size
from newsletter.render.splice import Hole, Sentinels

FORMAT = 1
"""Of the frozen JSON. A later version that must read differently counts up and keeps reading the older ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenContent:
    """All that is kept of an edition: no later edit, setting or upgrade can change the second half of a mailing."""

    edition_name: str
    nonce: str
    head: str
    """The header block, with the holes of `headers.py`."""
    boundary: str
    subject: str
    """With sentinels, as the text and the HTML."""
    text: str
    html: str
    fields: tuple[MergeField, ...]
    warnings: tuple[str, ...]


def compile_message(rendered: RenderedEdition, publication: Publication) -> CompiledMessage:
    """Make the message of an edition; raise `InputError` when its HTML is so long that Gmail would cut it."""
    # `=_` occurs in neither transfer encoding, so no body can hold the boundary (RFC 2045 §6.7).
    boundary = "=_" + hashlib.sha256(f"boundary {rendered.nonce}".encode()).hexdigest()[:24]
    sentinels = Sentinels(rendered.nonce, rendered.fields)
    subject = sentinels.split(rendered.subject)
    head = headers.header_block(
        publication,
        edition_name=rendered.edition_name,
        subject=str(subject[0]) if len(subject) == 1 else None,
        boundary=boundary,
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


class CompiledMessage:
    """One edition, ready to be spliced."""

    __slots__ = ("_fillers", "_html", "_pieces", "_quoted", "_subject", "_text", "content")

    def __init__(self, content: FrozenContent) -> None:
        """Encode the content: some milliseconds, once per edition and process."""
        sentinels = Sentinels(content.nonce, content.fields)
        self.content = content
        self._subject = sentinels.split(content.subject)
        self._text = Body(sentinels.split(content.text))
        self._html = Body(sentinels.split(content.html))
        sequence = self._sequence()
        self._pieces = [part if isinstance(part, bytes) else b"" for part in sequence]
        self._fillers = [(at, part) for at, part in enumerate(sequence) if not isinstance(part, (bytes, Hole))]
        self._quoted = _by_field(sequence)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What an editor should know and nobody is stopped by."""
        return self.content.warnings

    def splice(self, recipient: Recipient) -> bytes:
        """Return the whole message of one person."""
        pieces = self._pieces.copy()
        for at, filler in self._fillers:
            pieces[at] = filler(recipient)
        for field, holes in self._quoted:
            value = field.value(recipient)
            for hole, places in holes:
                data = quoted_value(hole.escaped(value))
                for at in places:
                    pieces[at] = data
        return b"".join(pieces)

    def subject(self, recipient: Recipient) -> str:
        """Return the subject as one person sees it."""
        fixed = [part for part in self._subject if isinstance(part, str)]
        return fill(fixed, [part for part in self._subject if isinstance(part, Hole)], recipient)

    def text(self, recipient: Recipient) -> str:
        """Return the text part as one person sees it."""
        return self._text.plain(recipient)

    def html(self, recipient: Recipient) -> str:
        """Return the HTML part as one person sees it."""
        return self._html.plain(recipient)

    def to_json(self) -> str:
        """Return what is frozen in the row of the edition."""
        return json.dumps({"format": FORMAT, **asdict(self.content)}, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a frozen edition back; it splices the same bytes as the one that was frozen."""
        frozen = json.loads(text)
        if frozen.pop("format", None) != FORMAT:
            raise Stop("this edition was frozen by another version of newsletter: upgrade, then send it")
        fields = tuple(MergeField(**field) for field in frozen.pop("fields"))
        return cls(FrozenContent(**frozen | {"fields": fields, "warnings": tuple(frozen["warnings"])}))

    def _sequence(self) -> list[bytes | Hole | Filler]:
        """Return the message in order: fixed bytes, holes in quoted-printable text, and all else that differs."""
        sequence: list[bytes | Hole | Filler] = [*self._head()]
        for subtype, body in (("plain", self._text), ("html", self._html)):
            sequence.append(
                f"--{self.content.boundary}\r\nContent-Type: text/{subtype}; charset=utf-8\r\n"
                f"Content-Transfer-Encoding: {body.transfer_encoding}\r\n\r\n".encode()
            )
            sequence += body.sequence()
            sequence.append(b"\r\n")
        sequence.append(f"--{self.content.boundary}--\r\n".encode())
        return sequence

    def _head(self) -> Sequence[bytes | Filler]:
        """Return the header block and the empty line, its holes as fillers."""
        fillers: dict[str, Filler] = {
            headers.TO: lambda person: mailbox(person.name, person.email, header="To").encode(),
            headers.SUBJECT: lambda person: header_text(self.subject(person), name="Subject").encode(),
            headers.DATE: lambda person: format_datetime(person.date).encode(),
            headers.MESSAGE_ID: lambda person: headers.safe_uri(person.message_id).encode(),
            headers.FEEDBACK: lambda person: headers.safe_uri(person.message_id).encode(),
            headers.UNSUBSCRIBE: lambda person: headers.safe_uri(person.unsubscribe_url).encode(),
        }
        sequence: list[bytes | Filler] = []
        end = 0
        for match in headers.HOLES.finditer(self.content.head):
            sequence += (self.content.head[end : match.start()].encode(), fillers[match[0]])
            end = match.end()
        return [*sequence, self.content.head[end:].encode() + b"\r\n"]


def _by_field(
    sequence: Sequence[bytes | Hole | Filler],
) -> list[tuple[MergeField, list[tuple[Hole, list[int]]]]]:
    """Return the places of quoted values by field and then by kind, so that nothing is looked up or escaped twice."""
    fields: dict[MergeField, dict[Hole, list[int]]] = {}
    for at, part in enumerate(sequence):
        if isinstance(part, Hole):
            fields.setdefault(part.field, {}).setdefault(part, []).append(at)
    return [(field, list(holes.items())) for field, holes in fields.items()]

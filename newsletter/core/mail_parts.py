"""A mail from a stranger, taken apart: its headers and its leaves, and nothing more than we are willing to look at.

In: bytes, whatever they are. Out: a flat list of parts. It never raises, and its work is bounded: the first megabyte,
ten levels, a hundred parts, two hundred headers each. The parser of the standard library is recursive and keeps all,
which a mail made to harm would turn against us.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.header import decode_header

MESSAGE_SIZE_LIMIT = 1_000_000
DEPTH_LIMIT = 10
PARTS_LIMIT = 100
HEADERS_LIMIT = 200
VALUE_LIMIT = 2_000
BODY_TEXT_LIMIT = 64_000
"""Characters of a decoded part: what matters stands at its beginning."""

Headers = tuple[tuple[str, str], ...]
"""Names in lower case, values unfolded, in order."""

_BLANK_LINE = re.compile(rb"\r?\n[ \t]*\r?\n")
_TYPE = re.compile(r"\s*([\w.+-]+/[\w.+-]+)", re.ASCII)
_BOUNDARY = re.compile(r";\s*boundary\s*=\s*(?:\"([^\"]{1,200})\"|([^\s;\"]{1,200}))", re.IGNORECASE)
_CHARSET = re.compile(r";\s*charset\s*=\s*\"?([\w.:+-]{1,40})", re.IGNORECASE)
_PLAIN_CHARSETS = re.compile(
    r"utf-?8|us-ascii|iso-?8859-\d{1,2}|windows-125\d|cp125\d|koi8-[ru]|gb2312|gbk|gb18030|big5"
    r"|shift_jis|iso-2022-(jp|kr)|euc-(jp|kr)",
    re.IGNORECASE,
)
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]")


@dataclass(frozen=True, slots=True, kw_only=True)
class MailPart:
    """One leaf: a text, a report, or the returned message; the outermost headers are the first one's."""

    kind: str
    """Content type in lower case, such as `message/delivery-status`."""
    headers: Headers
    body: bytes = field(repr=False)
    """Still encoded as its headers say."""

    @property
    def text(self) -> str:
        """Return the content, decoded as far as it can be."""
        body = self.body[: BODY_TEXT_LIMIT * 2]
        encoding = first(self.headers, "content-transfer-encoding").strip().lower()
        if encoding == "base64":
            body = _from_base64(body)
        elif encoding == "quoted-printable":
            body = binascii.a2b_qp(body)
        return decode(body, charset(first(self.headers, "content-type")))[:BODY_TEXT_LIMIT]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """What could be read of one."""

    headers: Headers
    kind: str
    """Content type of the whole."""
    parts: tuple[MailPart, ...]
    """Its leaves in order; containers are opened, attached messages are not."""

    def find(self, *kinds: str) -> MailPart | None:
        """Return the first part of one of these types."""
        return next((part for part in self.parts if part.kind in kinds), None)


def take_apart(raw: bytes) -> Mail:
    """Read a mail; whatever it is, something comes out."""
    # Any line end counts as one: CRLF, LF, and the bare CR that some systems still write.
    raw = raw[:MESSAGE_SIZE_LIMIT].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if raw.startswith(b"From "):
        # A mailbox file's own line, which some pipes put first.
        raw = raw.partition(b"\n")[2]
    headers, body = split(raw)
    kind = content_type(headers)
    leaves: list[MailPart] = []
    for part in _leaves(headers, body, depth=0):
        leaves.append(part)
        if len(leaves) >= PARTS_LIMIT:
            break
    return Mail(headers=headers, kind=kind, parts=tuple(leaves))


def split(raw: bytes) -> tuple[Headers, bytes]:
    """Return the headers of a message or a part, and what follows the first blank line."""
    if raw.startswith((b"\n", b"\r\n")):
        return (), raw.lstrip(b"\r\n")
    match = _BLANK_LINE.search(raw)
    head, body = (raw[: match.start()], raw[match.end() :]) if match else (raw, b"")
    return fields(decode(head[: HEADERS_LIMIT * VALUE_LIMIT], "utf-8")), body


def fields(text: str) -> Headers:
    """Return the fields of a block, each unfolded to one line; what is none is left out."""
    rows: list[list[str]] = []
    for line in text.splitlines():
        if line[:1] in {" ", "\t"}:
            if rows and len(rows[-1][1]) < VALUE_LIMIT:
                rows[-1][1] += f" {line.strip()}"
            continue
        name, colon, value = line.partition(":")
        if colon and name.strip() and " " not in name.strip():
            rows.append([name.strip().lower(), value.strip()])
        if len(rows) >= HEADERS_LIMIT:
            break
    return tuple((name[:100], value[:VALUE_LIMIT]) for name, value in rows)


def first(headers: Headers, name: str) -> str:
    """Return the first value of a header, empty when there is none."""
    return next((value for key, value in headers if key == name), "")


def every(headers: Headers, *names: str) -> Iterator[str]:
    """Give the values of some headers, in the order of the names."""
    for name in names:
        yield from (value for key, value in headers if key == name)


def words(value: str) -> str:
    """Return a header as people read it: encoded words (RFC 2047) decoded."""
    if "=?" not in value:
        return value
    try:
        pieces = decode_header(value)
    except (ValueError, LookupError, binascii.Error):
        return value
    return "".join(one if isinstance(one, str) else decode(one, name or "") for one, name in pieces)


def content_type(headers: Headers) -> str:
    """Return the type of a part; text without a word about it is text."""
    match = _TYPE.match(first(headers, "content-type"))
    return match[1].lower() if match else "text/plain"


def charset(content_type_: str) -> str:
    """Return the character set that a `Content-Type` names."""
    match = _CHARSET.search(content_type_)
    return match[1] if match else "utf-8"


def decode(raw: bytes, name: str) -> str:
    """Decode with a known character set; a name that is none of them may be a codec that does something else."""
    known = name if _PLAIN_CHARSETS.fullmatch(name) else "utf-8"
    try:
        return raw.decode(known, "replace")
    except LookupError:
        return raw.decode("latin-1")


def _leaves(headers: Headers, body: bytes, *, depth: int) -> Iterator[MailPart]:
    kind = content_type(headers)
    match = _BOUNDARY.search(first(headers, "content-type"))
    if not kind.startswith("multipart/") or match is None or depth >= DEPTH_LIMIT:
        yield MailPart(kind=kind, headers=headers, body=body)
        return
    mark = re.escape((match[1] or match[2]).strip().encode("utf-8", "replace"))
    pieces = re.split(rb"(?:\A|\r?\n)--" + mark + rb"(?:--)?[ \t]*(?=\r?\n|\Z)", body, maxsplit=PARTS_LIMIT)
    for piece in pieces[1:]:
        inner = piece.removeprefix(b"\r").removeprefix(b"\n")
        if inner.strip():
            inner_headers, inner_body = split(inner)
            yield from _leaves(inner_headers, inner_body, depth=depth + 1)


def _from_base64(body: bytes) -> bytes:
    clean = _NOT_BASE64.sub(b"", body)
    clean = clean[: len(clean) - (len(clean) % 4 == 1)]
    try:
        return binascii.a2b_base64(clean + b"=" * (-len(clean) % 4))
    except binascii.Error:
        return body

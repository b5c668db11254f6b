"""Transfer encodings: quoted-printable and base64 cut into pieces that can be spliced, and header words.

In: fixed text and values. Out: ASCII bytes for the wire. It must never write 8-bit bytes, a bare CR or LF, or a body
line over 76.
"""

from __future__ import annotations

import binascii
import re
import string
from collections.abc import Sequence
from email.header import Header

from newsletter.core.message import plain_value

QP_LINE_WIDTH = 76
"""Longest line of an encoded body (RFC 2045 §6.7 and §6.8)."""
NAME_LENGTH = 78
SUBJECT_LENGTH = 200

_SOFT = b"=\r\n"
_QP = tuple(bytes((b,)) if 33 <= b <= 126 and b != 61 else b"=%02X" % b for b in range(256))  # noqa: PLR2004
_ALPHANUMERIC = string.ascii_letters + string.digits
_WORDS = f"{_ALPHANUMERIC} @_+.,:;!?'()/&#%*-".encode()
"""What stands for itself in the middle of a value, in quoted-printable."""
_COMMON = f"{_ALPHANUMERIC} @_+.,:;!?()/#%*-".encode()
"""Those of them that stand for themselves in HTML too."""
_CHUNK_LENGTH = 72
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]*")
_COMMON_ATOMS = f"{_ALPHANUMERIC} !#$%&'*+/?^_`{{|}}~-".encode()
_COMMON_ADDRESS = f"{_ALPHANUMERIC}!#$%&'*+/=?^_`{{|}}~-.@".encode()


def quoted_printable(text: str) -> bytes:
    """Encode fixed text whose lines end in LF.

    Beyond the rule of RFC 2045, a dot, `From ` and `--` at the start of a line are encoded, so that no dot-stuffing is
    ever needed, no mbox escapes it and no boundary is imitated; blanks at the end of a line and each second blank of a
    run too, so that the relaxed body form of DKIM (RFC 6376 §3.4.4) is the bytes themselves.
    """
    return b"\r\n".join(_quoted_line(line) for line in text.encode().split(b"\n"))


def _quoted_line(line: bytes) -> bytes:
    """Encode one line, with soft breaks where it is too long."""
    lines: list[bytes] = []
    row: list[bytes] = []
    width = 0
    last = len(line) - 1
    blank_before = False
    for at, byte in enumerate(line):
        blank = byte == 32  # noqa: PLR2004 - the space.
        token = b" " if blank and not blank_before and at != last else _QP[byte]
        blank_before = blank
        if width + len(token) > QP_LINE_WIDTH - 1:
            lines.append(b"".join(row))
            row, width = [], 0
        if not row and _needs_care(line, at):
            token = b"=%02X" % byte
        row.append(token)
        width += len(token)
    return _SOFT.join((*lines, b"".join(row)))


def _needs_care(line: bytes, at: int) -> bool:
    """Tell whether the byte at the start of a physical line could be read as a control sequence by a mail program."""
    return line[at] == 46 or line.startswith((b"From ", b"--"), at)  # noqa: PLR2004 - the dot.


def quoted_value(value: str) -> bytes:
    """Encode a value for the place between two soft breaks; plain names and links cost next to nothing."""
    data = value.encode()
    if _is_words(data, _WORDS):
        return _chunks(data)
    if len(data) > _CHUNK_LENGTH // 3:
        return quoted_printable(value)
    return _chunks(b"".join([_QP[byte] for byte in data]))


def common_value(value: str) -> bytes | None:
    """Encode a value that stands for itself in text as in HTML, so that its places can share it; None for others."""
    data = value.encode()
    return _chunks(data) if _is_words(data, _COMMON) else None


def _is_words(data: bytes, signs: bytes) -> bool:
    """Tell whether there are only such signs, an alphanumeric first, and blanks one by one between others.

    To translate what may be there to nothing takes a tenth of the time of a regular expression.
    """
    return not data.translate(None, signs) and data[:1].isalnum() and b"  " not in data and not data.endswith(b" ")


def _chunks(data: bytes) -> bytes:
    """Return encoded text with soft breaks where it is too long for a line."""
    if len(data) <= _CHUNK_LENGTH:
        return _careful(data) if data else data
    return _SOFT.join([_careful(data[at : at + _CHUNK_LENGTH]) for at in range(0, len(data), _CHUNK_LENGTH)])


def _careful(line: bytes) -> bytes:
    """Encode the first sign of a physical line when it could mean something to a mail program."""
    return b"=%02X" % line[0] + line[1:] if line[0] in b".-F" else line


def quoted_pieces(fixed: Sequence[str]) -> list[bytes]:
    """Encode the fixed pieces, with a soft break (which decodes to nothing) on both sides of each placeholder."""
    last = len(fixed) - 1
    return [
        (_SOFT if at else b"") + quoted_printable(text) + (_SOFT if at != last else b"")
        for at, text in enumerate(fixed)
    ]


class Base64Body:
    """A base64 body that is spliced without being encoded again.

    Three bytes make four characters, so a fixed piece has three encodings, by how many bytes (0, 1, 2) of a group the
    text before it left open. All three are made beforehand; per person only the bytes around placeholders are encoded.
    """

    def __init__(self, fixed: Sequence[str]) -> None:
        """Take the fixed pieces, lines ending in LF; base64 text has CRLF inside (RFC 2045 §6.8)."""
        datas = [text.replace("\n", "\r\n").encode() for text in fixed]
        self._variants = [tuple(_cut(data, -open_bytes % 3) for open_bytes in range(3)) for data in datas]

    def splice(self, values: Sequence[bytes]) -> bytes:
        """Return the encoded body with the values, UTF-8, in the placeholders."""
        out: list[bytes] = []
        pending = b""
        for variants, value in zip(self._variants, (*values, b""), strict=True):
            head, middle, tail = variants[len(pending) % 3]
            pending += head
            if middle:
                out += (base64_lines(pending), middle)
                pending = tail
            pending += value
        out.append(base64_lines(pending))
        return b"".join(out)


def _cut(data: bytes, head: int) -> tuple[bytes, bytes, bytes]:
    """Cut a piece into what closes the open group, whole groups already encoded, and what stays open."""
    whole = (len(data) - head) // 3 * 3
    if whole <= 0:
        return data, b"", b""
    return data[:head], base64_lines(data[head : head + whole]), data[head + whole :]


def base64_lines(data: bytes) -> bytes:
    """Encode in lines of 76, each ending in CRLF."""
    step = QP_LINE_WIDTH // 4 * 3
    return b"".join(
        binascii.b2a_base64(data[at : at + step], newline=False) + b"\r\n" for at in range(0, len(data), step)
    )


def header_text(text: str, *, name: str, limit: int = SUBJECT_LENGTH) -> str:
    """Return text from anywhere as a header value: ASCII, folded, never more than this one header.

    The one door to a header for what a person typed. Control characters, line separators and directional overrides are
    dropped rather than refused: a name in the database must not be able to stop an edition.
    """
    text = plain_value(text)[:limit].strip()
    if len(text) <= QP_LINE_WIDTH - len(name) - 2 and text.isascii() and "=?" not in text:
        return text
    # `EmailMessage` writes encoded-words over 75, or two without a blank between, which Yahoo rejects (CPython 144156).
    charset = "utf-8" if not text.isascii() or "=?" in text else None
    return Header(text, charset, header_name=name, maxlinelen=75).encode(linesep="\r\n")


def mailbox(name: str, address: str, *, header: str) -> str:
    """Return `Name <address>`, or the address alone when nothing is left of the name.

    An address with a non-ASCII local part (RFC 6531) comes back as it is: the caller writes that one header in UTF-8,
    and the sender needs SMTPUTF8 for it.
    """
    if _is_common(name, address) and len(header) + len(name) + len(address) + 5 <= QP_LINE_WIDTH:
        return f"{name} <{address}>"
    return any_mailbox(name, address, header=header)


def any_mailbox(name: str, address: str, *, header: str) -> str:
    """Return a mailbox of any text, character by character; `mailbox` comes here only with what needs it."""
    address = re.sub(r"[\s<>,;\"()\\]", "", plain_value(address))
    name = plain_value(name)[:NAME_LENGTH].strip()
    if not name:
        return address
    if name.isascii() and "=?" not in name:
        phrase = name if _ATOMS.fullmatch(name) else '"' + re.sub(r'(["\\])', r"\\\1", name) + '"'
    else:
        phrase = header_text(name, name=header, limit=NAME_LENGTH)
    fold = "\r\n " if len(header) + len(phrase) + len(address) + 5 > QP_LINE_WIDTH or "\r\n" in phrase else " "
    return f"{phrase}{fold}<{address}>"


def _is_common(name: str, address: str) -> bool:
    """Tell whether both can stand in a header as they are; most people's can, and one look is cheaper than five."""
    if not (name.isascii() and address.isascii()):
        return False
    letters = name.encode()
    return (
        not letters.translate(None, _COMMON_ATOMS)
        and not address.encode().translate(None, _COMMON_ADDRESS)
        and bool(letters.strip())
        and letters[:1] != b" "
        and letters[-1:] != b" "
        and b"  " not in letters
    )

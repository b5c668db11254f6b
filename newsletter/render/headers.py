"""The header block of an edition, one line per header, each once.

In: the publication and the name of an edition. Out: ASCII header text with placeholders for `To`, `Date` and the other
personal values. Text from people enters a header through `header_text` and `mailbox` alone.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache
from urllib.parse import quote

from newsletter.core.message import Publication
from newsletter.errors import InputError
from newsletter.render.encoding import header_text, mailbox
from newsletter.wording import MONTHS, WEEKDAYS, weekday_name

TO, SUBJECT, DATE, MESSAGE_ID, UNSUBSCRIBE, OPT_OUT_TOKEN, FEEDBACK = (
    "\x00to\x00",
    "\x00subject\x00",
    "\x00date\x00",
    "\x00message-id\x00",
    "\x00unsubscribe\x00",
    "\x00opt-out-token\x00",
    "\x00feedback\x00",
)
"""Placeholders of the header block; NUL can stand in no header."""
OF_PERSON = (TO, DATE, MESSAGE_ID, UNSUBSCRIBE, OPT_OUT_TOKEN)
"""Those that each message fills with one value; `FEEDBACK` has that of `MESSAGE_ID`."""
OPT_OUT_TOKEN_LENGTH = 36
"""Characters at the end of the opt-out link (`core/token.py`)."""
PROVIDER_HEADERS = {
    "ses": ("X-SES-MESSAGE-TAGS", f"newsletter={OPT_OUT_TOKEN}"),
    "mailgun": ("X-Mailgun-Variables", f'{{"newsletter": "{OPT_OUT_TOKEN}"}}'),
    "postmark": ("X-PM-Metadata-newsletter", OPT_OUT_TOKEN),
    "sendgrid": ("X-SMTPAPI", f'{{"unique_args":\r\n {{"newsletter": "{OPT_OUT_TOKEN}"}}}}'),
    "mailjet": ("X-MJ-CustomID", OPT_OUT_TOKEN),
    "brevo": ("X-Mailin-custom", OPT_OUT_TOKEN),
    "sparkpost": ("X-MSYS-API", f'{{"metadata":\r\n {{"newsletter": "{OPT_OUT_TOKEN}"}}}}'),
    "resend": ("X-Entity-Ref-ID", OPT_OUT_TOKEN),
}
"""The header whose value each provider repeats in its webhook: the token names the delivery, and cannot be forged."""
HEADER_PLACEHOLDERS = re.compile(r"\x00[a-z-]+\x00")
_SAFE_URI = re.compile(r"[!#-+\--;=?-Z\[\]_a-z~%@]+")
_DAYS = tuple(weekday_name(number)[:3].encode() for number in range(len(WEEKDAYS)))
_MONTHS = tuple(name[:3].encode() for name in MONTHS)

_SENDER_ID = range(5, 16)


def header_block(
    publication: Publication, *, edition_name: str, subject: str | None, boundary: str, providers: Sequence[str] = ()
) -> str:
    """Return the headers of every message of an edition, each line ending in CRLF.

    `subject` is None when it differs from person to person; `providers` are those whose webhooks tell of bounces.
    Which headers, and why: `docs/the-mail.md`.
    No `Auto-Submitted`: a person wrote the tip (RFC 3834 §5). No `mailto:` in `List-Unsubscribe`: nothing reads it.
    """
    _check_address(publication.from_email, "NEWSLETTER_FROM")
    _check_address(publication.reply_to, "NEWSLETTER_REPLY_TO")
    links = publication.links
    headers = [
        ("From", mailbox(publication.name, publication.from_email, header="From")),
        ("To", TO),
        ("Reply-To", publication.reply_to),
        ("Subject", SUBJECT if subject is None else header_text(subject, name="Subject")),
        ("Date", DATE),
        ("Message-ID", f"<{MESSAGE_ID}>"),
        ("MIME-Version", "1.0"),
        ("List-Id", list_id(publication)),
        ("List-Unsubscribe", f"<{UNSUBSCRIBE}>"),
        *_one_click(publication),
        ("List-Help", f"<{_uri(links.contact_url) or 'mailto:' + publication.reply_to}>"),
        *([("List-Archive", f"<{_uri(links.archive_url)}>")] if links.archive_url else []),
        ("List-Post", "NO"),
        ("Precedence", "bulk"),
        ("X-Auto-Response-Suppress", "OOF, DR, RN, NRN, AutoReply"),
        ("Feedback-ID", _feedback_id(publication, edition_name)),
        *_complaints(publication),
        *(PROVIDER_HEADERS[provider] for provider in providers),
        ("Content-Type", f'multipart/alternative; boundary="{boundary}"'),
    ]
    return "".join(f"{name}: {value}\r\n" for name, value in headers)


def safe_uri(uri: str) -> str:
    """Return a URI that stays one URI between `<` and `>`: the few signs that could end it are percent-encoded."""
    return uri if _SAFE_URI.fullmatch(uri) else quote(uri, safe="!#$%&'()*+-./:;=?@[]_~")


def opt_out_token(unsubscribe_url: str) -> bytes:
    """Return the token at the end of an opt-out link, for a header."""
    return safe_uri(unsubscribe_url[-OPT_OUT_TOKEN_LENGTH:]).encode()


@lru_cache(maxsize=256)
def date_time(at: datetime) -> bytes:
    """Return a moment as `Date` wants it; the deliveries of one commit share theirs."""
    if at.tzinfo is not UTC:
        return format_datetime(at).encode()
    day, month = _DAYS[at.weekday()], _MONTHS[at.month - 1]
    return b"%b, %02d %b %04d %02d:%02d:%02d +0000" % (day, at.day, month, at.year, at.hour, at.minute, at.second)


def _uri(url: str) -> str:
    """Return the address of a link of ours, or nothing."""
    return safe_uri(url.strip())


def _check_address(address: str, setting: str) -> None:
    """Refuse a sender address that cannot stand in a header as it is; our own must never need SMTPUTF8."""
    if not re.fullmatch(r"[!#-'*+\-./0-9=?A-Z^_`a-z{|}~]+@[A-Za-z0-9.-]+", address):
        raise InputError(f"{setting} must be a plain address such as tips@example.com, not {address!r}")


def _one_click(publication: Publication) -> list[tuple[str, str]]:
    """One-click unsubscribing is defined for https alone (RFC 8058 §3.1)."""
    https = publication.base_url.startswith("https://")
    return [("List-Unsubscribe-Post", "List-Unsubscribe=One-Click")] if https else []


def list_id(publication: Publication) -> str:
    """Return `Phrase <label>` (RFC 2919); the label comes from the address, which outlives a change of name."""
    local, _, domain = publication.from_email.lower().partition("@")
    label = f"<{_slug(local) or 'tips'}.list-id.{domain}>"
    phrase = " ".join(re.sub(r'["\\<>=?()\[\]]', "", publication.name).split())
    if not phrase.isascii() or not phrase.isprintable() or not phrase:
        return label
    return f'"{phrase[:60]}" {label}'


def _feedback_id(publication: Publication, edition_name: str) -> str:
    """Return `edition:list:newsletter:sender`, by which Gmail counts complaints; the last is the same for ever."""
    local, _, domain = publication.from_email.lower().partition("@")
    sender = re.sub(r"[^a-z0-9]", "", domain)[-(_SENDER_ID.stop - 1) :].rjust(_SENDER_ID.start, "0")
    return f"{re.sub(r'[^0-9A-Za-z.-]', '', edition_name)}:list-{_slug(local) or 'tips'}:newsletter:{sender}"


def _complaints(publication: Publication) -> list[tuple[str, str]]:
    """Return the headers of RFC 9477, which let a provider report a complaint without any enrolment."""
    if not publication.cfbl_address:
        return []
    _check_address(publication.cfbl_address, "the mailbox for complaints")
    return [("CFBL-Address", f"{publication.cfbl_address}; report=arf"), ("CFBL-Feedback-ID", FEEDBACK)]


def _slug(text: str) -> str:
    """Return letters, digits and single hyphens."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")

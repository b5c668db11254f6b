"""Tokens: what a link, a bounce address and a Message-ID carry instead of an address.

In: ids and a `Keyring` made from the secret of the installation. Out: short ASCII texts, and the ids back from a text
that is genuine. Whatever a stranger sends is read without an exception; no token holds an address. The formats are
final, as mail that went out years ago bears them. Every token expires but that of the opt-out.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import NamedTuple

from newsletter.core.delivery import DeliveryId
from newsletter.core.edition import EditionId
from newsletter.core.subscriber import SubscriberId
from newsletter.errors import InputError

_SECRET_LENGTH_MIN = 16
_VERSION = b"\x01"
_ACTION_SHAPE = re.compile(r"[A-Za-z0-9_-]{44}")
_LINK_SHAPE = re.compile(r"[A-Za-z0-9_-]{40}")
_STAMP_SHAPE = re.compile(r"([0-9]{1,12})\.([0-9a-f]{16})")
_UNSUBSCRIBE_SHAPE = re.compile(r"[A-Za-z0-9_-]{36}")
_VERP_SHAPE = re.compile(r"(?:[bB][+-])?([0-9A-Za-z]{21})(?:@[^@]{1,255})?")

# Crockford's alphabet leaves out letters that are easily confused; o, i and l are read as the digits they look like.
_RFC_4648 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
_TO_CROCKFORD = bytes.maketrans(_RFC_4648.encode(), CROCKFORD.encode())
_FROM_CROCKFORD = str.maketrans(CROCKFORD + "oil", _RFC_4648 + "ABB")


class _Derived(NamedTuple):
    """The keys of one secret, one for each purpose, so that a token made for one purpose is garbage for another."""

    key_id: bytes
    unsubscribe: bytes
    verp: bytes
    suppression: bytes
    action: bytes
    link: bytes
    code: bytes
    limit: bytes
    stamp: bytes
    puzzle: bytes


def _expand(secret: bytes, purpose: str) -> bytes:
    """Derive the key of one purpose (HKDF, RFC 5869, for one block of output)."""
    extracted = hmac.digest(b"newsletter", secret, "sha256")
    return hmac.digest(extracted, purpose.encode() + b"\x01", "sha256")


def _derive(secret: str | bytes) -> _Derived:
    raw = secret.encode() if isinstance(secret, str) else secret
    if len(raw) < _SECRET_LENGTH_MIN:
        raise InputError("the secret key is too short: use the one that `newsletter init` makes")
    return _Derived(
        key_id=_expand(raw, "key-id-v1")[:2],
        unsubscribe=_expand(raw, "unsubscribe-v1"),
        verp=_expand(raw, "verp-v1"),
        suppression=_expand(raw, "suppression-v1"),
        action=_expand(raw, "action-v1"),
        link=_expand(raw, "link-v1"),
        code=_expand(raw, "code-v1"),
        limit=_expand(raw, "limit-v1"),
        stamp=_expand(raw, "stamp-v1"),
        puzzle=_expand(raw, "puzzle-v1"),
    )


@dataclass(frozen=True, slots=True)
class Keyring:
    """The secret of the installation, and those it had before: the old ones only verify."""

    current: str | bytes = field(repr=False)
    old: tuple[str | bytes, ...] = field(default=(), repr=False)
    derived: tuple[_Derived, ...] = field(init=False, repr=False, compare=False)
    """Computed once, the current secret first: deriving anew would cost more than the token itself."""

    def __post_init__(self) -> None:
        """Derive the keys; a secret that is too short is an `InputError`."""
        object.__setattr__(self, "derived", tuple(_derive(secret) for secret in (self.current, *self.old)))


def key_fingerprint(secret: str | bytes) -> str:
    """Name a secret without giving it away: 16 hexadecimal digits that the database may keep."""
    raw = secret.encode() if isinstance(secret, str) else secret
    return _expand(raw, "fingerprint-v1").hex()[:16]


@dataclass(frozen=True, slots=True)
class UnsubscribeToken:
    """What a genuine opt-out link says."""

    subscriber_id: SubscriberId
    edition_id: EditionId | None
    """The edition whose mail bore the link; None for the link of a notice."""


def make_unsubscribe_token(keyring: Keyring, subscriber_id: SubscriberId, edition_id: EditionId | None = None) -> str:
    """Make the token of an opt-out link: always 36 characters of the base64url alphabet, without padding.

    27 bytes: version 1, key id (2), subscriber id (5), edition id (3; 0 for none), HMAC-SHA256 cut to 16 (RFC 2104 §5).
    27 is a multiple of 3, so there is no padding and each token has exactly one spelling.
    """
    payload = unsubscribe_prefix(keyring) + subscriber_id.to_bytes(5, "big") + (edition_id or 0).to_bytes(3, "big")
    tag = hmac.digest(keyring.derived[0].unsubscribe, payload, "sha256")[:16]
    return base64.urlsafe_b64encode(payload + tag).decode("ascii")


def unsubscribe_prefix(keyring: Keyring) -> bytes:
    """Return the first bytes of every opt-out token made with these keys: its version and the id of its key."""
    return _VERSION + keyring.derived[0].key_id


def read_unsubscribe_token(keyring: Keyring, text: str) -> UnsubscribeToken | None:
    """Read the token of an opt-out link; None when it is not ours, whatever it is instead."""
    # b64decode skips what is not in its alphabet, so the shape is checked first.
    if not _UNSUBSCRIBE_SHAPE.fullmatch(text):
        return None
    raw = base64.urlsafe_b64decode(text)
    payload, tag = raw[:11], raw[11:]
    if payload[:1] != _VERSION:
        return None
    for key in keyring.derived:
        # Two secrets may share the two bytes of an id, so all that match are tried.
        if key.key_id == payload[1:3] and hmac.compare_digest(
            hmac.digest(key.unsubscribe, payload, "sha256")[:16], tag
        ):
            edition = int.from_bytes(payload[8:11], "big")
            return UnsubscribeToken(
                SubscriberId(int.from_bytes(payload[3:8], "big")), EditionId(edition) if edition else None
            )
    return None


def make_verp_sender(keyring: Keyring, delivery_id: DeliveryId, domain: str) -> str:
    """Make the envelope sender of one delivery: `b+TOKEN@domain`.

    The local part takes 23 of its 64 octets (RFC 5321 §4.5.3.1.1).

    The token is lower-case Crockford base32 of the delivery id (5 bytes) and an HMAC-SHA256 cut to 8: servers may fold
    the case of a bounce address, and the HMAC makes a forged bounce harmless.
    """
    payload = delivery_id.to_bytes(5, "big")
    tag = hmac.digest(keyring.derived[0].verp, payload, "sha256")[:8]
    token = base64.b32encode(payload + tag)[:21].translate(_TO_CROCKFORD).decode("ascii")
    return f"b+{token}@{domain}"


def read_verp_token(keyring: Keyring, text: str) -> DeliveryId | None:
    """Read the token of a bounce address, alone, in its local part or in the whole address; None if not ours."""
    match = _VERP_SHAPE.fullmatch(text)
    if match is None:
        return None
    token = match[1].lower()
    if "u" in token:
        return None
    raw = base64.b32decode(token.translate(_FROM_CROCKFORD) + "===")
    payload, tag = raw[:5], raw[5:]
    for key in keyring.derived:
        if hmac.compare_digest(hmac.digest(key.verp, payload, "sha256")[:8], tag):
            return DeliveryId(int.from_bytes(payload, "big"))
    return None


def suppression_hash(keyring: Keyring, canonical: str) -> str:
    """Hash a canonical address for the suppression list: 64 hexadecimal digits, useless without the secret."""
    return hmac.digest(keyring.derived[0].suppression, canonical.encode(), "sha256").hex()


def suppression_hashes(keyring: Keyring, canonical: str) -> tuple[str, ...]:
    """Hash an address under every secret, the current first: one who left under an old secret must still be found."""
    return tuple(hmac.digest(key.suppression, canonical.encode(), "sha256").hex() for key in keyring.derived)


def message_id(edition_id: EditionId, delivery_id: DeliveryId, nonce: str, domain: str) -> str:
    """Make the Message-ID of a delivery, without the angle brackets; a retry bears the same one.

    A dot-atom (RFC 5322 §3.6.4) of the edition and of a hash under the frozen nonce of the edition: it names no person,
    and does not tell how many people are on the list. Bounces are traced by the VERP sender and the opt-out link.
    """
    digest = hashlib.sha256(f"{nonce}\n{edition_id}\n{delivery_id}".encode()).digest()
    opaque = base64.b32encode(digest[:15]).translate(_TO_CROCKFORD).decode("ascii")
    return f"{edition_id}.{opaque}@{domain}"


class ActionKind(Enum):
    """What a link in a proof or in a notice of sending does once its button is pressed."""

    SKIP = 1
    """Skip a date; the target is the date."""
    SWAP = 2
    """Let another tip go out on a date; the target is the date, the guard the tip that shall not."""
    PAUSE = 3
    """Pause an edition; the target is the edition."""
    CANCEL = 4
    """Cancel an edition; the target is the edition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionToken:
    """What a genuine link to an action says. Its holder may do this one thing until it expires."""

    kind: ActionKind
    target: int
    """The ordinal of a date (`date.toordinal`), or the id of an edition."""
    guard: int = 0
    """What must still be so, else nothing is done: the id of a tip."""
    expires_at: datetime
    """Aware; whole seconds."""


def make_action_token(keyring: Keyring, action: ActionToken) -> str:
    """Make the token of an action link: always 44 characters of the base64url alphabet, without padding.

    33 bytes: version 1, key id (2), kind (1), target (4), guard (5), expiry in seconds of Unix time (4),
    HMAC-SHA256 cut to 16.
    """
    key = keyring.derived[0]
    payload = b"".join(
        (
            _VERSION,
            key.key_id,
            action.kind.value.to_bytes(1, "big"),
            action.target.to_bytes(4, "big"),
            action.guard.to_bytes(5, "big"),
            int(action.expires_at.timestamp()).to_bytes(4, "big"),
        )
    )
    tag = hmac.digest(key.action, payload, "sha256")[:16]
    return base64.urlsafe_b64encode(payload + tag).decode("ascii")


def read_action_token(keyring: Keyring, text: str) -> ActionToken | None:
    """Read the token of an action link, expired or not; None when it is not ours, whatever it is instead.

    Only the current key is tried: these links live for days, and a key is changed because somebody may know the old.
    """
    if not _ACTION_SHAPE.fullmatch(text):
        return None
    raw = base64.urlsafe_b64decode(text)
    payload, tag = raw[:17], raw[17:]
    key = keyring.derived[0]
    if payload[:3] != _VERSION + key.key_id:
        return None
    if not hmac.compare_digest(hmac.digest(key.action, payload, "sha256")[:16], tag):
        return None
    return ActionToken(
        kind=ActionKind(payload[3]),
        target=int.from_bytes(payload[4:8], "big"),
        guard=int.from_bytes(payload[8:13], "big"),
        expires_at=datetime.fromtimestamp(int.from_bytes(payload[13:17], "big"), UTC),
    )


class LinkPurpose(Enum):
    """What a link for one person opens; a token made for one purpose is garbage for another."""

    CONFIRM = 1
    """Confirms a sign-up; the id is that of the request."""
    UNDO = 2
    """Takes a leaving back for half an hour; the id is that of the subscriber, the detail the state before."""
    PRIVATE = 3
    """Opens a person's own settings for a day; the id is that of the subscriber."""
    ADDRESS = 4
    """Confirms a change of address at the new one; the id is that of the change."""
    SIGN_IN = 5
    """Signs a person in to the admin area, for ten minutes; the id is that of the request to sign in."""
    BLOCK = 6
    """Blocks the address of a sign-up that its owner never asked for; the id is that of the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkToken:
    """What a genuine link for one person says."""

    purpose: LinkPurpose
    id: int
    detail: int = 0
    """One byte whose meaning depends on the purpose."""
    expires_at: datetime
    """Aware; whole seconds."""


def make_link_token(keyring: Keyring, link: LinkToken) -> str:
    """Make the token of a link for one person: always 40 characters of the base64url alphabet, without padding.

    30 bytes: version 1, key id (2), purpose (1), id (5), detail (1), expiry in seconds of Unix time (4), HMAC-SHA256
    cut to 16.
    """
    key = keyring.derived[0]
    payload = b"".join(
        (
            _VERSION,
            key.key_id,
            link.purpose.value.to_bytes(1, "big"),
            link.id.to_bytes(5, "big"),
            link.detail.to_bytes(1, "big"),
            int(link.expires_at.timestamp()).to_bytes(4, "big"),
        )
    )
    return base64.urlsafe_b64encode(payload + hmac.digest(key.link, payload, "sha256")[:16]).decode("ascii")


def read_link_token(keyring: Keyring, text: str, purpose: LinkPurpose) -> LinkToken | None:
    """Read the token of a link for one person, expired or not; None when it is not ours, or made for another purpose.

    Only the current key is tried: these links live for days.
    """
    if not _LINK_SHAPE.fullmatch(text):
        return None
    raw = base64.urlsafe_b64decode(text)
    payload, tag = raw[:14], raw[14:]
    key = keyring.derived[0]
    genuine = hmac.compare_digest(hmac.digest(key.link, payload, "sha256")[:16], tag)
    if not genuine or payload[:4] != _VERSION + key.key_id + purpose.value.to_bytes(1, "big"):
        return None
    return LinkToken(
        purpose=purpose,
        id=int.from_bytes(payload[4:9], "big"),
        detail=payload[9],
        expires_at=datetime.fromtimestamp(int.from_bytes(payload[10:14], "big"), UTC),
    )


def confirmation_code(keyring: Keyring, signup_id: int) -> str:
    """Make the code that a person may type instead of opening the link: eight letters, 40 bits, as `7KQM-4TXN`."""
    return _code(keyring, str(signup_id))


def is_confirmation_code(keyring: Keyring, signup_id: int, typed: str) -> bool:
    """Tell whether a person typed the code of a request; blanks, hyphens and capitals do not matter."""
    return _is_code(confirmation_code(keyring, signup_id), typed)


def sign_in_code(keyring: Keyring, sign_in_id: int, browser_hash: str) -> str:
    """Make the code of a request to sign in, as `7KQM-4TXN`; another browser that asks gets another code."""
    return _code(keyring, f"sign-in\n{sign_in_id}\n{browser_hash}")


def is_sign_in_code(keyring: Keyring, sign_in_id: int, browser_hash: str, typed: str) -> bool:
    """Tell whether a person typed the code of a request to sign in."""
    return _is_code(sign_in_code(keyring, sign_in_id, browser_hash), typed)


def _code(keyring: Keyring, subject: str) -> str:
    digest = hmac.digest(keyring.derived[0].code, subject.encode(), "sha256")
    letters = base64.b32encode(digest[:5]).translate(_TO_CROCKFORD).decode("ascii").upper()
    return f"{letters[:4]}-{letters[4:]}"


def _is_code(code: str, typed: str) -> bool:
    read = re.sub(r"[^0-9a-z]", "", typed.lower()).translate(str.maketrans("oil", "011"))
    return hmac.compare_digest(read.encode(), code.replace("-", "").lower().encode())


def limit_hash(keyring: Keyring, name: str, value: str) -> str:
    """Hash what a limit counts, such as an address or a network: 32 hexadecimal digits, useless without the secret."""
    return hmac.digest(keyring.derived[0].limit, f"{name}\n{value}".encode(), "sha256").hex()[:32]


def make_form_stamp(keyring: Keyring, now: datetime) -> str:
    """Make the signed time at which a form was shown."""
    seconds = str(int(now.timestamp()))
    return f"{seconds}.{hmac.digest(keyring.derived[0].stamp, seconds.encode(), 'sha256').hex()[:16]}"


def read_form_stamp(keyring: Keyring, text: str) -> datetime | None:
    """Return when a form was shown; None when the time is not one that we signed."""
    match = _STAMP_SHAPE.fullmatch(text)
    if match is None:
        return None
    tag = hmac.digest(keyring.derived[0].stamp, match[1].encode(), "sha256").hex()[:16]
    return datetime.fromtimestamp(int(match[1]), UTC) if hmac.compare_digest(tag, match[2]) else None

"""An e-mail address: as it was typed, as it is compared, and as SMTP needs it.

In: text from a file, a form or a command line. Out: an `Address`, or an `InputError` with a plain one-line reason.
It never looks a name up in the DNS. The rules are those of `email-validator`; an ASCII local part is matched here, and
domains are remembered, since a list of a million people has few domains and 23 µs a row would halve the import's speed.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from newsletter.errors import InputError

if TYPE_CHECKING:
    from email_validator import ValidatedEmail

_ADDRESS_LENGTH = 254
"""RFC 5321 §4.5.3.1.3: a path of 256 octets, less its angle brackets."""
_LOCAL_PART_LENGTH = 64
"""RFC 5321 §4.5.3.1.1."""
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_DOT_ATOM = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
_PLAIN = re.compile(rf"({_DOT_ATOM.pattern})@([A-Za-z0-9.-]+)")
_INVISIBLE = "\ufeff\u200b\u200c\u200d\u200e\u200f\u2060"
"""What a copied address may bring along at its ends without anybody seeing it."""
_REFUSED = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029<>(),;:\"\\\[\]\s]")
"""What could end a header, an SMTP command or a list of addresses, or is the sign of a form we do not take."""


class Address(NamedTuple):
    """One address in the three forms that matter; a tuple, of which an import makes a million."""

    email: str
    """As typed, trimmed."""
    canonical: str
    """What is unique: local part case-folded in NFC, domain as lower-case A-label."""
    smtp: str
    """What stands in `To:` and `RCPT TO`: local part in NFC with its case kept, domain as A-label."""
    needs_smtputf8: bool
    """True when the local part is not ASCII: only a relay that offers SMTPUTF8 (RFC 6531) can take it."""


def parse_address(text: str) -> Address:
    """Read one address; it may have blanks around it, and nothing else."""
    email = text.strip()
    # One look is enough for nearly all of a list; what does not fit is looked at closely, to say what is wrong with it.
    plain = _PLAIN.fullmatch(email)
    if plain is not None and len(email) <= _ADDRESS_LENGTH:
        local, domain = plain.groups()
        a_label = _a_label(domain)
        if isinstance(a_label, str) and len(local) <= _LOCAL_PART_LENGTH and len(a_label) <= len(domain):
            return Address(email, f"{local.lower()}@{a_label}", f"{local}@{a_label}", needs_smtputf8=False)
    return _parse_closely(email)


def _parse_closely(email: str) -> Address:
    """Read any address, or say what is wrong with it."""
    if not email.isascii():
        email = email.strip(_INVISIBLE).strip()
    local, domain = _halves(email)
    a_label = _a_label(domain)
    if isinstance(a_label, _Refusal):
        raise InputError(a_label.reason)
    if _DOT_ATOM.fullmatch(local) and len(local) <= _LOCAL_PART_LENGTH:
        address = Address(
            email=email, canonical=f"{local.lower()}@{a_label}", smtp=f"{local}@{a_label}", needs_smtputf8=False
        )
    else:
        local = _international(local)
        folded = unicodedata.normalize("NFC", unicodedata.normalize("NFD", local).casefold())
        address = Address(
            email=email, canonical=f"{folded}@{a_label}", smtp=f"{local}@{a_label}", needs_smtputf8=not local.isascii()
        )
    if len(address.smtp.encode()) > _ADDRESS_LENGTH:
        raise InputError(_not_one(f"it is longer than {_ADDRESS_LENGTH} characters"))
    return address


def mask_address(email: str) -> str:
    """Return an address of which only the first letter and the domain can be read: `a***@example.org`."""
    local, _, domain = email.rpartition("@")
    return f"{local[:1]}***@{domain}"


_COMMON_DOMAINS = (
    *("gmail.com", "googlemail.com", "hotmail.com", "outlook.com", "yahoo.com", "icloud.com", "protonmail.com"),
    *("t-online.de", "freenet.de", "hotmail.fr", "orange.fr", "wanadoo.fr", "laposte.net", "yahoo.fr", "hotmail.co.uk"),
    *("yahoo.co.uk", "btinternet.com", "hotmail.es", "yahoo.es", "libero.it", "hotmail.it", "yahoo.it", "kpnmail.nl"),
    *("comcast.net", "verizon.net", "bluewin.ch"),
)
"""Long enough that one wrong letter is hardly ever a domain of its own."""
_RIGHT_DOMAINS = frozenset(
    {
        *_COMMON_DOMAINS,
        *("mail.com", "email.com", "ymail.com", "gmail.co", "yahoo.co", "outlook.co", "hotmail.co"),
        *(f"{name}.{end}" for name in ("yahoo", "hotmail") for end in ("se", "ie", "fi", "gr", "in", "ee", "at", "is")),
    }
)
"""Domains that are right though they differ from a common one by a letter."""


def domain_hint(canonical: str) -> str | None:
    """Return the common domain that a misspelt one may mean, such as `gmail.com` for `gmial.com`."""
    return _misspelt(canonical.rpartition("@")[2])


@lru_cache(maxsize=16_384)
def _misspelt(domain: str) -> str | None:
    if domain in _RIGHT_DOMAINS:
        return None
    return next((common for common in _COMMON_DOMAINS if _one_slip(domain, common)), None)


def _one_slip(typed: str, meant: str) -> bool:
    """Return whether one letter is missing, added, wrong, or swapped with its neighbour."""
    if abs(len(typed) - len(meant)) > 1 or typed == meant:
        return False
    start = next((place for place, pair in enumerate(zip(typed, meant, strict=False)) if pair[0] != pair[1]), None)
    if start is None:
        return True
    rest_typed, rest_meant = typed[start:], meant[start:]
    return (
        rest_typed[1:] == rest_meant[1:]
        or rest_typed[1:] == rest_meant
        or rest_typed == rest_meant[1:]
        or (rest_typed[:2] == rest_meant[1::-1] and rest_typed[2:] == rest_meant[2:])
    )


_SLIP_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789._+-"


def one_slip_away(canonical: str) -> set[str]:
    """Return the addresses from which one letter is missing, added, wrong, or swapped with its neighbour."""
    halves = [(canonical[:place], canonical[place:]) for place in range(len(canonical) + 1)]
    shorter = {before + after[1:] for before, after in halves if after}
    swapped = {before + after[1] + after[0] + after[2:] for before, after in halves if len(after) > 1}
    others = {before + letter + after[1:] for before, after in halves if after for letter in _SLIP_LETTERS}
    longer = {before + letter + after for before, after in halves for letter in _SLIP_LETTERS}
    return (shorter | swapped | others | longer) - {canonical}


def _halves(email: str) -> tuple[str, str]:
    if not email:
        raise InputError(_not_one("it is empty"))
    if len(email) > _ADDRESS_LENGTH:
        raise InputError(_not_one(f"it is longer than {_ADDRESS_LENGTH} characters"))
    match = _REFUSED.search(email)
    if match:
        # A blank comes first in `Ada <ada@example.org>`, but the brackets are what to speak of.
        raise InputError(_not_one(_why_refused("<" if "<" in email else match[0])))
    local, at, domain = email.rpartition("@")
    if not at:
        raise InputError(_not_one("there is no @ sign"))
    if "@" in local:
        raise InputError(_not_one("there is more than one @ sign"))
    if not local:
        raise InputError(_not_one("nothing stands before the @ sign"))
    if not domain:
        raise InputError(_not_one("nothing stands after the @ sign"))
    return local, domain


_WHY_REFUSED = {
    ",": "it has a comma; give one address only",
    ";": "it has a semicolon; give one address only",
    "<": "it has angle brackets; give the address alone, without a name",
    ">": "it has angle brackets; give the address alone, without a name",
    '"': "a quoted part before the @ sign is not supported",
    "\\": "a quoted part before the @ sign is not supported",
    "[": "a number in brackets after the @ sign is not supported; a domain name is needed",
    "]": "a number in brackets after the @ sign is not supported; a domain name is needed",
}


def _why_refused(character: str) -> str:
    if character in _WHY_REFUSED:
        return _WHY_REFUSED[character]
    if unicodedata.category(character) == "Zs":
        return "there is a blank inside"
    if character.isprintable():
        return f"the character {character} is not allowed"
    return f"it has a control character (U+{ord(character):04X})"


def _not_one(reason: str) -> str:
    return f"not an e-mail address: {reason}"


@dataclass(frozen=True, slots=True)
class _Refusal:
    """A fault as a value: an exception would not be remembered, and a bad domain can stand in every row."""

    reason: str


@lru_cache(maxsize=16_384)
def _a_label(domain: str) -> str | _Refusal:
    checked = _validated(f"a@{domain}")
    return checked if isinstance(checked, _Refusal) else (checked.ascii_domain or "").lower()


def _international(local: str) -> str:
    """Check a local part that is not a plain ASCII one; return it in NFC."""
    checked = _validated(f"{local}@example.com")
    if isinstance(checked, _Refusal):
        raise InputError(checked.reason)
    return unicodedata.normalize("NFC", checked.local_part or "")


def _validated(text: str) -> ValidatedEmail | _Refusal:
    # Its import compiles a table of Unicode for 20 ms, which commands that read no address do without.
    from email_validator import EmailNotValidError, validate_email  # noqa: PLC0415

    try:
        return validate_email(text, strict=True, check_deliverability=False, allow_quoted_local=False)
    except EmailNotValidError as error:
        reason = " ".join(str(error).split()).rstrip(".")
        return _Refusal(_not_one(reason[:1].lower() + reason[1:]))

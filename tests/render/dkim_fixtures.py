"""What the tests of DKIM share: keys, the DNS they are published in, and a verifier whose code is not ours."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import dkim
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from newsletter.render.dkim import Signer, SigningKey
from newsletter.render.dkim_key import Ed25519Key, RsaKey, make_ed25519, make_rsa, write_key

AT = datetime(2024, 1, 2, 14, 0, 5, tzinfo=UTC)
"""Long ago: dkimpy takes no signature from the future, whatever the clock of the machine says."""
DOMAIN = "news.example.com"


class VerifyKey:
    """Ed25519 for dkimpy, which asks PyNaCl for it; all else of the verification is its own."""

    def __init__(self, text: bytes, encoder: object) -> None:
        """Take the `p=` of a record."""
        self._key = Ed25519PublicKey.from_public_bytes(base64.b64decode(text))

    def verify(self, message: bytes, signature: bytes) -> bytes:
        """Raise unless the signature is right."""
        self._key.verify(signature, message)
        return message


if not hasattr(dkim, "nacl"):
    dkim.nacl = SimpleNamespace(
        signing=SimpleNamespace(VerifyKey=VerifyKey),
        encoding=SimpleNamespace(Base64Encoder=None),
        exceptions=SimpleNamespace(BadSignatureError=InvalidSignature, ValueError=ValueError),
    )


@cache
def seals() -> tuple[SigningKey, SigningKey]:
    """Return an RSA and an Ed25519 seal; made once, since an RSA key takes a while."""
    return (
        SigningKey(domain=DOMAIN, selector="s1", key=make_rsa()),
        SigningKey(domain=DOMAIN, selector="e1", key=make_ed25519()),
    )


def records() -> Callable[..., bytes | None]:
    """Return a name server that knows the records of both, as dkimpy asks one."""
    published = {f"{seal.name}.".encode(): seal.key.record().encode() for seal in seals()}
    return lambda name, timeout=5: published.get(name)


def keep(seal: SigningKey, path: Path) -> None:
    """Write the private key of a seal to a file of its own, where it does not stand yet."""
    assert isinstance(seal.key, RsaKey | Ed25519Key)
    write_key(seal.key, path)


def signer() -> Signer:
    """Return what signs with both."""
    return Signer(seals(), now=lambda: AT)


def verified(message: bytes, dns: Callable[..., bytes | None] | None = None) -> list[bool]:
    """Return of each signature of a message, from the top, whether dkimpy finds it right."""
    count = message.partition(b"\r\n\r\n")[0].count(b"DKIM-Signature:")
    return [_right(message, number, dns or records()) for number in range(count)]


def _right(message: bytes, number: int, dns: Callable[..., bytes | None]) -> bool:
    try:
        return bool(dkim.DKIM(message).verify(number, dns))
    except dkim.ValidationError:
        return False

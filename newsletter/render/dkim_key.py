"""DKIM keys: a private key out of its file, and its public half as a DNS record.

In: PEM files that only their owner can read. Out: keys that sign, new keys, and the text to publish. A private key is
never printed, and none that receivers must distrust is used (RFC 8301). This module needs the `dkim` extra.
"""

from __future__ import annotations

import base64
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from newsletter.errors import InputError, Stop

try:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
    from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        PublicFormat,
        load_pem_private_key,
    )
except ModuleNotFoundError as error:
    message = "DKIM signing needs cryptography: `pip install '.[dkim]'` at the top of the source (docs/dependencies.md)"
    raise InputError(message) from error

LEAST_BITS = 2048
WEAK_BITS = 1024
TXT_STRING_LENGTH = 255
"""Bytes of one string of a TXT record (RFC 1035 §3.3); receivers join the strings (RFC 6376 §3.6.2.2)."""

_HASH = Prehashed(SHA256())
_PADDING = PKCS1v15()
_SAMPLE = bytes(32)


@dataclass(frozen=True, slots=True, kw_only=True)
class RsaKey:
    """The kind that every receiver verifies."""

    private: RSAPrivateKey = field(repr=False)

    @property
    def algorithm(self) -> str:
        """The `a=` of its signatures."""
        return "rsa-sha256"

    @property
    def plain(self) -> str:
        """Return the kind and size for a person."""
        return f"RSA, {self.private.key_size} bits"

    def sign(self, digest: bytes) -> bytes:
        """Return the signature of a SHA-256 digest."""
        return self.private.sign(digest, _PADDING, _HASH)

    def record(self) -> str:
        """Return the DNS record (RFC 6376 §3.6.1)."""
        public = self.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}"

    def check(self) -> None:
        """Sign and verify; raise `InvalidSignature` when the halves do not belong together."""
        self.private.public_key().verify(self.sign(_SAMPLE), _SAMPLE, _PADDING, _HASH)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ed25519Key:
    """A short and quick kind that not every receiver knows: for a second signature (RFC 8463)."""

    private: Ed25519PrivateKey = field(repr=False)

    @property
    def algorithm(self) -> str:
        """The `a=` of its signatures."""
        return "ed25519-sha256"

    @property
    def plain(self) -> str:
        """Return the kind for a person."""
        return "Ed25519"

    def sign(self, digest: bytes) -> bytes:
        """Return the signature of a SHA-256 digest: the digest is what is signed (RFC 8463 §3)."""
        return self.private.sign(digest)

    def record(self) -> str:
        """Return the DNS record, with the bare key (RFC 8463 §4.2)."""
        public = self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return f"v=DKIM1; k=ed25519; p={base64.b64encode(public).decode()}"

    def check(self) -> None:
        """Sign and verify; raise `InvalidSignature` when the halves do not belong together."""
        self.private.public_key().verify(self.sign(_SAMPLE), _SAMPLE)


DkimKey = RsaKey | Ed25519Key


def read_rsa(path: Path) -> RsaKey:
    """Read the key of the first signature; raise `InputError` for one that receivers would not trust."""
    key = read_key(path)
    if not isinstance(key, RsaKey):
        raise InputError(f"{path} is a key of {key.plain}; the first signature must be RSA, which everybody can verify")
    return key


def read_ed25519(path: Path) -> Ed25519Key:
    """Read the key of the second signature."""
    key = read_key(path)
    if not isinstance(key, Ed25519Key):
        raise InputError(f"{path} is a key of {key.plain}; the second signature is Ed25519")
    return key


def read_key(path: Path) -> DkimKey:
    """Read a key and try it; raise `InputError` when it cannot be used, or others can read it."""
    loaded = _parsed(_private_bytes(path), path)
    if isinstance(loaded, RSAPrivateKey):
        _check_size(loaded.key_size, path)
        key: DkimKey = RsaKey(private=loaded)
    elif isinstance(loaded, Ed25519PrivateKey):
        key = Ed25519Key(private=loaded)
    else:
        raise InputError(f"{path} is neither an RSA nor an Ed25519 key; `newsletter dkim keygen` makes one")
    try:
        key.check()
    except InvalidSignature as error:
        raise InputError(f"{path} is damaged: what it signs cannot be verified; make a new key") from error
    return key


def make_rsa(bits: int = LEAST_BITS) -> RsaKey:
    """Make a key; 2048 bits take a moment, 4096 some seconds."""
    return RsaKey(private=generate_private_key(public_exponent=65537, key_size=bits))


def make_ed25519() -> Ed25519Key:
    """Make a key."""
    return Ed25519Key(private=Ed25519PrivateKey.generate())


def write_key(key: DkimKey, path: Path) -> None:
    """Write the private key for its owner only; raise `InputError` when something stands there: it may be in use."""
    pem = key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError as error:
        raise InputError(f"{path} exists already and was not changed; give another --selector or --out") from error
    except OSError as error:
        raise Stop(f"{path} cannot be written ({error.strerror}); give another place with --out") from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        path.unlink(missing_ok=True)
        raise Stop(f"{path} cannot be written ({error.strerror}); nothing was left behind") from error


def strings(record: str) -> list[str]:
    """Cut a record into the strings a name server keeps it in."""
    return [record[at : at + TXT_STRING_LENGTH] for at in range(0, len(record), TXT_STRING_LENGTH)]


def _private_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                raise InputError(f"{path} can be read by others, who could sign in your name: chmod 600 {path}")
            return file.read()
    except FileNotFoundError as error:
        raise InputError(f"there is no DKIM key {path}; `newsletter dkim keygen` makes one") from error
    except OSError as error:
        raise InputError(f"the DKIM key {path} cannot be read ({error.strerror}); give it to this user") from error


def _parsed(pem: bytes, path: Path) -> object:
    try:
        return load_pem_private_key(pem, password=None)
    except TypeError as error:
        raise InputError(
            f"{path} is locked with a passphrase, which the service cannot type; store the key without one"
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InputError(
            f"{path} is not a private key in PEM form, or is damaged; `newsletter dkim keygen` makes one"
        ) from error


def _check_size(bits: int, path: Path) -> None:
    if bits < WEAK_BITS:
        raise InputError(f"{path} has {bits} bits; receivers must ignore such signatures (RFC 8301): make a new key")
    if bits < LEAST_BITS:
        raise InputError(
            f"{path} has {bits} bits; RFC 8301 asks signers for {LEAST_BITS}, and some receivers no longer trust less: "
            "make a new key with `newsletter dkim keygen`"
        )

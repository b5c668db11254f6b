"""DKIM keys: which files are taken, which are refused and why, and what is published."""

from __future__ import annotations

import base64
import importlib.util
import stat
import sys
from pathlib import Path

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as make_ec
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from newsletter.errors import InputError, Stop
from newsletter.render import dkim_key
from newsletter.render.dkim_key import (
    RsaKey,
    make_ed25519,
    make_rsa,
    read_ed25519,
    read_key,
    read_rsa,
    strings,
    write_key,
)


def pem_file(folder: Path, pem: bytes) -> Path:
    """Write a key file as its owner should keep it."""
    path = folder / "key.pem"
    path.write_bytes(pem)
    path.chmod(0o600)
    return path


def weak_rsa(bits: int) -> bytes:
    """Return a key that is shorter than what we make, in the older of the two PEM forms."""
    key = generate_private_key(public_exponent=65537, key_size=bits)
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


def test_a_key_is_written_for_its_owner_and_read_back(tmp_path: Path) -> None:
    """The file that a key was written to is private, and gives the same key."""
    for key, read in ((make_rsa(), read_rsa), (make_ed25519(), read_ed25519)):
        path = tmp_path / f"{key.algorithm}.pem"
        write_key(key, path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert read(path).record() == key.record()
        assert b"BEGIN PRIVATE KEY" in path.read_bytes()


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    """Where a file stands it stays: it may be the key that signs today."""
    path = pem_file(tmp_path, b"precious")
    with pytest.raises(InputError, match="exists already"):
        write_key(make_ed25519(), path)
    assert path.read_bytes() == b"precious"


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A folder that is missing is told in a sentence."""
    with pytest.raises(Stop, match="cannot be written"):
        write_key(make_ed25519(), tmp_path / "none" / "key.pem")


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    """Whoever reads the key can sign in our name, so an open file is not used until it is closed."""
    path = tmp_path / "key.pem"
    write_key(make_ed25519(), path)
    path.chmod(mode)
    with pytest.raises(InputError, match="chmod 600"):
        read_key(path)
    path.chmod(0o400)
    assert read_key(path)


def test_the_older_pem_form_is_read(tmp_path: Path) -> None:
    """`openssl genrsa` of some versions writes PKCS#1, and such a key is as good."""
    read = read_key(pem_file(tmp_path, weak_rsa(2048)))
    assert isinstance(read, RsaKey)
    assert read.plain == "RSA, 2048 bits"


@pytest.mark.parametrize(("bits", "why"), [(1024, "asks signers for 2048"), (1536, "1536 bits")])
def test_a_weak_key_is_refused(tmp_path: Path, bits: int, why: str) -> None:
    """Less than 2048 bits is refused with the reason."""
    with pytest.raises(InputError, match=f"{why}.*") as caught:
        read_key(pem_file(tmp_path, weak_rsa(bits)))
    assert "RFC 8301" in str(caught.value)


def test_what_is_no_usable_key_is_refused(tmp_path: Path) -> None:
    """Text, a public key, a locked key and a key of another kind are each named for what they are."""
    locked = make_ed25519().private.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"open sesame")
    )
    curve = make_ec(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for pem, why in (
        (b"", "not a private key"),
        (b"not a key at all", "not a private key"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "not a private key"),
        (locked, "passphrase"),
        (curve, "neither an RSA nor an Ed25519"),
    ):
        with pytest.raises(InputError, match=why):
            read_key(pem_file(tmp_path, pem))
    with pytest.raises(InputError, match="there is no DKIM key"):
        read_key(tmp_path / "none.pem")
    with pytest.raises(InputError, match="cannot be read"):
        read_key(tmp_path)


def test_each_key_in_its_own_place(tmp_path: Path) -> None:
    """The two kinds are not mixed up: RSA signs first, since everybody can verify it."""
    write_key(make_ed25519(), tmp_path / "e.pem")
    write_key(make_rsa(), tmp_path / "r.pem")
    with pytest.raises(InputError, match="must be RSA"):
        read_rsa(tmp_path / "e.pem")
    with pytest.raises(InputError, match="is Ed25519"):
        read_ed25519(tmp_path / "r.pem")


@pytest.mark.parametrize("bits", [2048, 3072])
def test_an_rsa_record_is_read_by_others(bits: int) -> None:
    """What is published is the public key of as many bits, and a verifier reads it from its strings joined."""
    key = make_rsa(bits)
    parts = strings(key.record())
    assert len(parts) > 1
    assert all(len(part) <= 255 for part in parts)
    _, size, kind, _ = dkim.evaluate_pk(b"s1", "".join(parts).encode())
    assert (size, kind) == (bits, b"rsa")


def test_an_ed25519_record_is_short() -> None:
    """Its 32 bytes stand there bare, and fit into one string."""
    record = make_ed25519().record()
    assert strings(record) == [record]
    assert len(base64.b64decode(record.rpartition("p=")[2])) == 32


def test_a_key_is_never_shown() -> None:
    """What ends up in a log or an error page names the kind, not the key."""
    for key in (make_rsa(), make_ed25519()):
        assert "private" not in repr(key)


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where cryptography is missing the module says so, in one sentence."""
    monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
    spec = importlib.util.spec_from_file_location("newsletter_without_cryptography", dkim_key.__file__)
    assert spec is not None
    assert spec.loader is not None
    with pytest.raises(InputError, match=r"pip install '\.\[dkim\]'"):
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


def test_a_damaged_key_is_refused(tmp_path: Path) -> None:
    """A key whose halves do not belong together is found out before it signs anything."""
    pem = make_rsa().private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    # The last bytes belong to one of the numbers by which the private half is computed faster.
    broken = pem[:-4] + bytes(value ^ 0x55 for value in pem[-4:])
    text = base64.encodebytes(broken)
    path = pem_file(tmp_path, b"-----BEGIN PRIVATE KEY-----\n" + text + b"-----END PRIVATE KEY-----\n")
    with pytest.raises(InputError, match="damaged"):
        read_key(path)

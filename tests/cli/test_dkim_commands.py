"""`newsletter dkim`, and what the doctor says of signing."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import dkim as other
import pytest

from newsletter.settings.loader import load_settings
from newsletter.wiring import build
from tests.cli.conftest import Home
from tests.conftest import SHIFTED


def made(home: Home, *options: str) -> dict[str, str]:
    """Make a key and put what it says into the `.env`; return what was set."""
    ran = home.run("dkim", "keygen", *options, "--json")
    assert ran.code == 0, ran.err
    settings: dict[str, str] = json.loads(ran.out)["settings"]
    with (home.folder / ".env").open("a") as file:
        file.writelines(f"{name}={value}\n" for name, value in settings.items())
    return settings


def findings(home: Home) -> list[tuple[str, str]]:
    """Return what the doctor finds about signing: level and text."""
    output = json.loads(home.run("doctor", "--json").out)["findings"]
    return [(line["level"], line["text"]) for line in output if line["about"] == "signing"]


def test_a_key_can_be_published_and_used_as_printed(home: Home) -> None:
    """The settings that `keygen` prints work, and what it tells to publish verifies what is then signed."""
    output = home.run("dkim", "keygen", "--selector", "s1").out
    value = next(line for line in output.splitlines() if line.startswith("  value  ")).removeprefix("  value  ")
    strings = [line.strip().strip('"') for line in output.splitlines() if line.startswith('    "')]
    assert "".join(strings) == value
    assert all(len(string) <= 255 for string in strings)
    assert "  name   s1._domainkey.example.com\n" in output
    lines = [line.strip() for line in output.splitlines() if line.startswith("  NEWSLETTER_")]
    assert lines == ["NEWSLETTER_DKIM_SELECTOR=s1", "NEWSLETTER_DKIM_KEY_FILE=dkim-s1.pem"]
    with (home.folder / ".env").open("a") as file:
        file.write("\n".join(lines) + "\n")
    signer = build(load_settings({}, home.folder), clock=SHIFTED).signer
    assert signer is not None
    signed = signer(b"From: tips@example.com\r\n\r\nHello.\r\n")
    published = {b"s1._domainkey.example.com.": value.encode()}
    assert other.verify(signed, dnsfunc=lambda name, timeout=5: published.get(name))
    assert home.run("dkim", "record").out.strip() in output


def test_a_key_is_private_and_never_overwritten(home: Home) -> None:
    """The file is its owner's alone; asked again, the command leaves it alone and says so."""
    assert home.run("dkim", "keygen", "--selector", "s1", "--bits", "3072").code == 0
    path = home.folder / "dkim-s1.pem"
    before = path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = home.run("dkim", "keygen", "--selector", "s1")
    assert again.code == 2
    assert "exists already" in again.err
    assert path.read_bytes() == before


def test_no_private_key_is_printed(home: Home) -> None:
    """What is on the terminal may be copied anywhere."""
    ran = home.run("dkim", "keygen", "--selector", "s1")
    secret = (home.folder / "dkim-s1.pem").read_text().splitlines()[1:-1]
    assert not [line for line in secret if line in ran.out + ran.err]


def test_both_keys_sign(home: Home) -> None:
    """An Ed25519 key comes second; the doctor names both, and `record` tells both names."""
    made(home, "--selector", "s1")
    made(home, "--selector", "e1", "--ed25519")
    levels, texts = zip(*findings(home), strict=True)
    assert levels == ("ok", "ok")
    assert "RSA, 2048 bits" in texts[0]
    assert "s1._domainkey.example.com" in texts[0]
    assert "Ed25519" in texts[1]
    names = [one["name"] for one in json.loads(home.run("dkim", "record", "--json").out)]
    assert names == ["s1._domainkey.example.com", "e1._domainkey.example.com"]


def test_without_a_key_the_mail_server_signs(home: Home) -> None:
    """That nothing is signed here is said, and is no fault; there is no record to print."""
    assert [level for level, _ in findings(home)] == ["ok"]
    ran = home.run("dkim", "record")
    assert ran.code == 2
    assert "keygen" in ran.err


@pytest.mark.parametrize("mode", [0o644, 0o440])
def test_an_open_key_is_refused_before_anything_is_sent(home: Home, mode: int) -> None:
    """The doctor fails, and neither an edition nor the service begins."""
    made(home, "--selector", "s1")
    (home.folder / "dkim-s1.pem").chmod(mode)
    [(level, text)] = findings(home)
    assert level == "fail"
    assert "chmod 600" in text


def test_a_domain_may_be_given_before_there_are_settings(home: Home, tmp_path: Path) -> None:
    """With `--domain` and `--out` a key can be made anywhere; without both, the settings are asked."""
    (home.folder / ".env").unlink()
    key = tmp_path / "deep.pem"
    ran = home.run("dkim", "keygen", "--domain", "Example.ORG", "--out", str(key), "--json")
    assert ran.code == 0, ran.err
    data = json.loads(ran.out)
    assert data["name"].endswith("._domainkey.example.org")
    assert data["settings"]["NEWSLETTER_DKIM_DOMAIN"] == "example.org"
    assert key.exists()
    assert home.run("dkim", "keygen").code == 2


@pytest.mark.parametrize(
    "options", [("--selector", "a b"), ("--domain", "org"), ("--bits", "1024"), ("--selector", "s" * 64)]
)
def test_what_could_not_be_published_is_refused(home: Home, options: tuple[str, str]) -> None:
    """A wrong name or size makes no file."""
    assert home.run("dkim", "keygen", *options).code == 2
    assert not list(home.folder.glob("*.pem"))

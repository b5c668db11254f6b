"""The settings of DKIM: which belong together, and which domain may sign for which sender."""

from __future__ import annotations

from pathlib import Path

import pytest

from newsletter.errors import InputError
from newsletter.settings.loader import load_settings
from newsletter.settings.model import Settings
from newsletter.settings.values import is_aligned
from tests.settings.test_loader import REQUIRED


def load(home: Path, **values: str) -> Settings:
    """Load the required settings and those given, without the prefix."""
    for name in ("rsa.pem", "ed.pem"):
        (home / name).write_text("a key")
    return load_settings(REQUIRED | {f"NEWSLETTER_DKIM_{name}": value for name, value in values.items()}, home)


def mistakes(home: Path, **values: str) -> list[str]:
    """Return the names of the settings that are complained about."""
    with pytest.raises(InputError) as caught:
        load(home, **values)
    return [line.partition(":")[0].removeprefix("NEWSLETTER_DKIM_") for line in caught.value.details]


def test_nothing_is_signed_unless_asked(tmp_path: Path) -> None:
    """By default there is no key, and the mail server signs."""
    settings = load(tmp_path)
    assert settings.dkim_key_file is None
    assert settings.dkim_ed25519_key_file is None


def test_keys_are_relative_to_home(tmp_path: Path) -> None:
    """Both keys are found beside the `.env`, and selectors are kept as DNS compares them."""
    settings = load(tmp_path, SELECTOR="S1.News", KEY_FILE="rsa.pem", ED25519_SELECTOR="e1", ED25519_KEY_FILE="ed.pem")
    assert settings.dkim_key_file == tmp_path / "rsa.pem"
    assert settings.dkim_ed25519_key_file == tmp_path / "ed.pem"
    assert (settings.dkim_selector, settings.dkim_ed25519_selector) == ("s1.news", "e1")


def test_key_and_selector_go_together(tmp_path: Path) -> None:
    """One of the two alone would sign nothing, or what nobody can verify."""
    assert mistakes(tmp_path, SELECTOR="s1") == ["SELECTOR"]
    assert mistakes(tmp_path, KEY_FILE="rsa.pem") == ["KEY_FILE"]
    rsa = {"SELECTOR": "s1", "KEY_FILE": "rsa.pem"}
    assert mistakes(tmp_path, ED25519_SELECTOR="e1", **rsa) == ["ED25519_SELECTOR"]
    assert mistakes(tmp_path, ED25519_KEY_FILE="ed.pem", **rsa) == ["ED25519_KEY_FILE"]


def test_ed25519_comes_second(tmp_path: Path) -> None:
    """Ed25519 alone is a mail without a signature to many a receiver."""
    assert mistakes(tmp_path, ED25519_SELECTOR="e1", ED25519_KEY_FILE="ed.pem") == ["ED25519_KEY_FILE"]


def test_each_key_has_a_name_of_its_own(tmp_path: Path) -> None:
    """Two keys under one name would make receivers pick the wrong one."""
    both = {"SELECTOR": "s1", "KEY_FILE": "rsa.pem", "ED25519_SELECTOR": "S1", "ED25519_KEY_FILE": "ed.pem"}
    assert mistakes(tmp_path, **both) == ["ED25519_SELECTOR"]


def test_a_missing_key_file_is_named(tmp_path: Path) -> None:
    """A path where nothing is does not wait for Tuesday."""
    assert mistakes(tmp_path, SELECTOR="s1", KEY_FILE="none.pem") == ["KEY_FILE"]


@pytest.mark.parametrize("selector", ["a_b", "-a", "a.", "a b", "x" * 64, "é"])
def test_a_selector_is_a_name_of_dns(tmp_path: Path, selector: str) -> None:
    """What could not be published is refused."""
    assert mistakes(tmp_path, SELECTOR=selector, KEY_FILE="rsa.pem") == ["SELECTOR"]


def test_a_strange_domain_is_refused(tmp_path: Path) -> None:
    """A signature of somebody else's domain says nothing of the sender (DMARC)."""
    assert mistakes(tmp_path, DOMAIN="example.org") == ["DOMAIN"]
    assert load(tmp_path, DOMAIN="news.example.com").dkim_domain == "news.example.com"


@pytest.mark.parametrize(
    ("signer", "sender", "aligned"),
    [
        ("example.com", "example.com", True),
        ("example.com", "news.example.com", True),
        ("mail.example.com", "example.com", True),
        ("Example.COM", "news.example.com", True),
        ("ample.com", "example.com", False),
        ("com", "example.com", False),
        ("a.example.com", "b.example.com", False),
        ("example.org", "example.com", False),
    ],
)
def test_alignment(signer: str, sender: str, aligned: bool) -> None:  # noqa: FBT001 - pytest passes it by name
    """A domain speaks for itself, for those below it and for the one above, and never for a bare ending."""
    assert is_aligned(signer, sender) is aligned

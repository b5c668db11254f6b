"""Signed mail over the real wire: every byte that the server received verifies, editions and notices alike."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import update

from newsletter.store.schema import subscriber
from newsletter.testing.catcher import Catcher
from tests.path.conftest import MakeHome
from tests.render.dkim_fixtures import DOMAIN, keep, seals, verified

NAMES = ("Zoë Müller", "山田 太郎", "Eve\r\nBcc: everybody@example.org", "x" * 3000, "trailing \t ", ".leading dot")


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, str]:
    """Write both keys to files and return the settings that name them."""
    for seal in seals():
        keep(seal, tmp_path / f"{seal.selector}.pem")
    return {
        "DKIM_SELECTOR": "s1",
        "DKIM_KEY_FILE": str(tmp_path / "s1.pem"),
        "DKIM_ED25519_SELECTOR": "e1",
        "DKIM_ED25519_KEY_FILE": str(tmp_path / "e1.pem"),
    }


def test_every_mail_that_arrives_verifies(make_sqlite_home: MakeHome, keys: dict[str, str]) -> None:
    """The edition to people with odd names and a proof by hand bear two right signatures when they arrive."""
    with Catcher() as catcher:
        home = make_sqlite_home(
            catcher.port, len(NAMES), BOUNCE_DOMAIN="bounces.example.org", ADMIN_EMAILS="ann@example.org", **keys
        )
        with home.unit.write() as tx:
            for number, name in enumerate(NAMES):
                who = subscriber.c.email == f"p{number}@example.com"
                tx.execute(update(subscriber).where(who).values(name=name, first_name=name[:90]))
        code, words = home.run("edition", "send", "--now", "--yes")
        assert code == 0, words
        code, words = home.run("edition", "proof", home.edition().name)
        assert code == 0, words
    to_ann = [mail for mail in catcher.caught if mail.rcpt_to == "ann@example.org"]
    assert len(to_ann) == 2, "the report of the edition, and the proof by hand"
    assert len(catcher.caught) == len(NAMES) + len(to_ann)
    for mail in catcher.caught:
        assert verified(mail.content) == [True, True], mail.rcpt_to
        assert f"d={DOMAIN};".encode() in mail.content
        assert verified(mail.content.replace(b"Subject: ", b"Subject: Not ", 1)) == [False, False]


def unreadable(path: Path) -> None:
    """Let others read a key."""
    path.chmod(0o644)


@pytest.mark.parametrize(
    ("break_", "why"),
    [
        (unreadable, "chmod 600"),
        (lambda path: path.write_text("no key"), "not a private key"),
        (lambda path: path.unlink(), "there is no file"),
    ],
)
@pytest.mark.parametrize("words", [("edition", "send", "--now", "--yes"), ("run",)])
def test_nothing_goes_out_unsigned(
    make_sqlite_home: MakeHome, keys: dict[str, str], break_: Callable[[Path], object], why: str, words: tuple[str, ...]
) -> None:
    """With a key that cannot be used the program ends at once with the reason, and no reader gets anything."""
    break_(Path(keys["DKIM_KEY_FILE"]))
    with Catcher() as catcher:
        home = make_sqlite_home(catcher.port, 3, **keys)
        code, output = home.run(*words)
    assert code == 2, output
    assert why in output
    assert catcher.caught == []

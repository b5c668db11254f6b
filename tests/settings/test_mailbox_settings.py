"""The settings of the mailbox for bounces: what belongs together, and what would send a password in clear text."""

from __future__ import annotations

from pathlib import Path

import pytest

from newsletter.errors import InputError
from newsletter.settings.loader import load_settings
from newsletter.wiring import build
from tests.settings.test_loader import REQUIRED

LOGIN = {"HOST": "imap.example.net", "USERNAME": "bounces", "PASSWORD": "secret"}


def test_a_mailbox_needs_a_server_and_a_login(tmp_path: Path) -> None:
    """By default there is none; with one, the account has what the settings say."""
    assert build(load_settings(REQUIRED, tmp_path)).mailbox_reader is None
    values = {f"NEWSLETTER_IMAP_{name}": value for name, value in LOGIN.items()}
    account = build(load_settings(REQUIRED | values, tmp_path)).imap_account
    assert account is not None
    assert (account.name, account.security) == ("bounces@imap.example.net:993/INBOX", "tls")
    assert "secret" not in repr(account)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"USERNAME": ""}, "IMAP_USERNAME: is missing"),
        ({"PASSWORD": ""}, "IMAP_PASSWORD or"),
        ({"TOKEN_COMMAND": "cat token"}, "one of them"),
        ({"SECURITY": "none"}, "in clear text"),
        ({"READ_FOLDER": "INBOX"}, "three folders must differ"),
        ({"UNKNOWN_FOLDER": "fällt auf"}, "ASCII"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, changed: dict[str, str], words: str) -> None:
    """Each line names the settings and what to write."""
    values = {f"NEWSLETTER_IMAP_{name}": value for name, value in (LOGIN | changed).items()}
    with pytest.raises(InputError) as caught:
        load_settings(REQUIRED | values, tmp_path)
    assert [words in line for line in caught.value.details] == [True]

"""`newsletter admin sign-in`: the way in when mail is down."""

from __future__ import annotations

import re

from newsletter.core.access import SignInId
from newsletter.core.token import Keyring, LinkPurpose, read_link_token
from newsletter.store import sign_in as sign_ins
from tests.cli.conftest import Home
from tests.conftest import SECRET


def configure(home: Home, *lines: str) -> None:
    """Add settings to the `.env`."""
    with (home.folder / ".env").open("a") as settings:
        settings.write("\n".join(lines) + "\n")


def test_the_link_is_printed_alone(home: Home) -> None:
    """Standard output holds the link, so that it can be piped; the advice stands beside it."""
    configure(home, "NEWSLETTER_WEB_PAGES=admin", "NEWSLETTER_EDITOR_EMAILS=Ed@example.org")
    ran = home.run("admin", "sign-in", "ed@example.org")
    assert ran.code == 0
    match = re.fullmatch(r"https://news\.example\.com/admin/in/(\S+)\n", ran.out)
    assert match is not None
    assert "works once" in ran.err
    link = read_link_token(Keyring(current=SECRET), match[1], LinkPurpose.SIGN_IN)
    assert link is not None
    with home.unit.read() as tx:
        request = sign_ins.by_id(tx, SignInId(link.id))
    assert request is not None
    assert request.email == "ed@example.org"


def test_a_stranger_gets_no_link(home: Home) -> None:
    """The error names the settings that hold the addresses."""
    configure(home, "NEWSLETTER_WEB_PAGES=all", "NEWSLETTER_ADMIN_EMAILS=ada@example.org")
    ran = home.run("admin", "sign-in", "mallory@example.org")
    assert (ran.code, ran.out) == (2, "")
    assert "NEWSLETTER_ADMIN_EMAILS" in ran.err


def test_without_the_admin_area_there_is_no_link(home: Home) -> None:
    """The error names the setting that turns it on."""
    configure(home, "NEWSLETTER_WEB_PAGES=public", "NEWSLETTER_ADMIN_EMAILS=ada@example.org")
    ran = home.run("admin", "sign-in", "ada@example.org")
    assert (ran.code, ran.out) == (2, "")
    assert "NEWSLETTER_WEB_PAGES=all" in ran.err

"""`newsletter edition proof`: the real mail, by hand, to anybody, counted nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from email import message_from_bytes, policy

import pytest

from newsletter.store import notice as notices
from newsletter.store.schema import delivery
from newsletter.testing.catcher import Catcher, Step
from tests.cli.conftest import Home

TIP = """---
title: Name your branches
status: approved
---
Hello {{ first_name|there }},

a short name says more than a number.
"""


def script(step: Step, address: str, nth: int) -> str | None:
    """Refuse one address."""
    return "550 5.1.1 no such user" if step is Step.RCPT and address == "gone@example.org" else None


@pytest.fixture
def catcher() -> Iterator[Catcher]:
    """Return a mail server that knows everybody but one."""
    with Catcher(script=script) as server:
        yield server


@pytest.fixture
def ready(home: Home, catcher: Catcher) -> Home:
    """Return a home with a tip in the queue and a subscriber."""
    with (home.folder / ".env").open("a") as env:
        env.write(
            f"NEWSLETTER_SMTP_HOST=127.0.0.1\nNEWSLETTER_SMTP_PORT={catcher.port}\nNEWSLETTER_SMTP_SECURITY=none\n"
        )
    file = home.folder / "name-your-branches.md"
    file.write_text(TIP)
    assert home.run("tip", "import", str(file)).code == 0
    assert home.run("subscriber", "add", "ann@example.com", "--name", "Ann Example").code == 0
    return home


def test_a_proof_goes_to_anybody_and_is_counted_nowhere(ready: Home, catcher: Catcher) -> None:
    """The mail arrives marked as a proof; no delivery and no notice is written."""
    result = ready.run("edition", "proof", "--to", "colleague@example.org")
    assert result.code == 0, result.err
    assert "Sent to colleague@example.org: “Name your branches”" in result.out
    (caught,) = catcher.caught
    message = message_from_bytes(caught.content, policy=policy.SMTP)
    assert message["To"] == "colleague@example.org"
    assert message["Subject"].startswith("[Tip of the Week] Proof for ")
    assert b"Hello there," in caught.content
    with ready.unit.read() as tx:
        assert not notices.counts(tx)
        assert tx.execute(delivery.select()).first() is None


def test_a_short_time_is_told_without_an_about(ready: Home, catcher: Catcher) -> None:
    """How long the edition takes is a rough figure, and below a minute it is none."""
    with (ready.folder / ".env").open("a") as env:
        env.write("NEWSLETTER_RATE_PER_SECOND=1\n")
    assert ready.run("subscriber", "add", "bob@example.com").code == 0
    assert ready.run("edition", "proof", "--to", "colleague@example.org").code == 0
    (caught,) = catcher.caught
    assert b"2 people, as of now; it takes less than a minute" in caught.content


def test_a_tip_is_previewed_by_mail(ready: Home, catcher: Catcher) -> None:
    """A draft arrives as a notice with the real mail in it, without buttons, and nothing is counted."""
    draft = TIP.replace("Name your branches", "Second thoughts").replace("status: approved", "status: draft")
    assert ready.run("tip", "add", "-", stdin=draft).code == 0
    result = ready.run("tip", "preview", "second", "--to", "colleague@example.org")
    assert result.code == 0, result.err
    assert result.out == "Sent to colleague@example.org: a preview of “Second thoughts”.\n"
    (caught,) = catcher.caught
    message = message_from_bytes(caught.content, policy=policy.SMTP)
    assert message["Subject"] == "[Tip of the Week] Preview: Second thoughts"
    assert b"Hello there," in caught.content
    assert b"This is a preview of a tip that is draft" in caught.content
    assert b"/a/" not in caught.content
    assert ready.run("tip", "preview", "second", "--to", "a@example.org", "--open").code == 2
    with ready.unit.read() as tx:
        assert not notices.counts(tx)


def test_only_who_gets_every_proof_gets_its_buttons(ready: Home, catcher: Catcher) -> None:
    """A colleague who is asked for an opinion cannot skip the date; an admin can."""
    with (ready.folder / ".env").open("a") as env:
        env.write("NEWSLETTER_ADMIN_EMAILS=boss@example.org\n")
    result = ready.run("edition", "proof", "--to", "colleague@example.org", "--to", "Boss@example.org")
    assert result.code == 0, result.err
    links = {caught.rcpt_to: b"/a/" in caught.content for caught in catcher.caught}
    assert links == {"colleague@example.org": False, "Boss@example.org": True}


def test_a_refusal_is_reported_with_its_reason(ready: Home, catcher: Catcher) -> None:
    """Exit code 1 and the server's words; whoever else was named still gets hers."""
    result = ready.run("edition", "proof", "next", "--to", "gone@example.org", "--to", "bob@example.org")
    assert result.code == 1
    assert "gone@example.org did not get it" in result.err
    assert "no such user" in result.err
    assert catcher.accepted == {"bob@example.org": 1}


def test_a_gate_that_refuses_is_reported(ready: Home) -> None:
    """A tip that could not be frozen has no proof either."""
    (ready.folder / "bad").mkdir()
    (ready.folder / "bad/email/edition").mkdir(parents=True)
    (ready.folder / "bad/email/edition/body.txt").write_text("nothing\n")
    with (ready.folder / ".env").open("a") as env:
        env.write("NEWSLETTER_TEMPLATES_DIR=bad\n")
    result = ready.run("edition", "proof", "--to", "ann@example.com")
    assert result.code == 2
    assert "no unsubscribe link" in result.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("edition", "proof"), "--to EMAIL"),
        (("edition", "proof", "2026-13-01", "--to", "a@example.com"), "is not a date"),
        (("edition", "proof", "--to", "nobody"), "there is no @ sign"),
    ],
)
def test_what_cannot_be_meant_is_refused(ready: Home, catcher: Catcher, words: tuple[str, ...], message: str) -> None:
    """Nobody to send to, no date, no address: exit code 2, and nothing is sent."""
    result = ready.run(*words)
    assert result.code == 2
    assert message in result.err
    assert not catcher.caught


def test_an_edition_that_began_is_shown_as_it_was_frozen(ready: Home, catcher: Catcher) -> None:
    """After the freeze an edited tip no longer changes what a proof shows."""
    sent = ready.run("edition", "send", "--now", "--yes")
    assert sent.code == 0, sent.err
    date = ready.run("edition", "list").out.split()
    name = next(word for word in date if word.count("-") == 2 and word[:2] == "20")
    result = ready.run("edition", "proof", name, "--to", "bob@example.org")
    assert result.code == 0, result.err
    assert "began to go out" in result.out
    assert catcher.accepted["bob@example.org"] == 1

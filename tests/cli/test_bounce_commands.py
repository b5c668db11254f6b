"""`newsletter bounce`: what a mail server's pipe hands over, and the exit codes that it lives by."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from newsletter.core.delivery import DeliveryId, DeliveryState
from newsletter.core.edition import Edition
from newsletter.core.subscriber import Subscriber, SubscriberState
from newsletter.core.token import make_verp_sender
from newsletter.settings.webhooks import WEBHOOK_SETTINGS
from newsletter.store import webhook as webhook_rows
from newsletter.store.schema import delivery
from newsletter.testing.clocks import START
from tests.cli.conftest import Home
from tests.conftest import SHIFTED
from tests.core.bounce_corpus import POSTFIX, Sample
from tests.flows.people_fixtures import KEYRING, begin_edition, get, put, set_delivery
from tests.transport.dovecot import needs_dovecot, running

TRY_AGAIN = 75


def sent(home: Home) -> tuple[Subscriber, Edition, str]:
    """Return a person, the edition that a server took for her, and the bounce address it bore."""
    person = put(home.unit, "ann@example.org")
    edition = begin_edition(home.unit)
    set_delivery(home.unit, edition, person, DeliveryState.ACCEPTED, kind="ok")
    with home.unit.read() as tx:
        delivery_id = tx.execute(select(delivery.c.id)).scalar_one()
    return person, edition, make_verp_sender(KEYRING, DeliveryId(delivery_id), "bounces.example.com")


def mail(verp: str) -> str:
    """Return a hard bounce."""
    return Sample(name="", kind="failed", text=POSTFIX).raw(verp=verp).decode()


def test_a_bounce_through_a_pipe(home: Home) -> None:
    """It is done with code 0, and again with code 0; the report, the list and the person tell of it."""
    person, edition, verp = sent(home)
    ran = home.run("bounce", "read", stdin=mail(verp))
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == (
        f"failed of {edition.name}: the subscription is ended (550 5.1.1 <ann@example.org>: Recipient address "
        "rejected: User unknown in virtual mailbox table).\n"
    )
    assert get(home.unit, person.id).state is SubscriberState.BOUNCED
    assert "nothing new" in home.run("bounce", "read", stdin=mail(verp)).out
    assert "1 mail came back after the mail server had taken it" in home.run("edition", "show", edition.name).out
    assert json.loads(home.run("edition", "show", edition.name, "--json").out)["came_back"] == 1
    assert "came back: 550 5.1.1" in home.run("subscriber", "show", "ann@example.org").out
    shown = json.loads(home.run("subscriber", "show", "ann@example.org", "--json").out)["editions"]
    assert (shown[0]["outcome"], shown[0]["later"]) == ("accepted", "bounced")
    listed = json.loads(home.run("bounce", "list", "--json").out)
    assert [(one["email"], one["later"]) for one in listed] == [("ann@example.org", "bounced")]
    assert "User unknown" in home.run("bounce", "list").out


GAVE_UP = """\
Return-Path: <>
From: Mail Delivery System <Mailer-Daemon@relay.example.net>
To: {verp}
Subject: Mail delivery failed: returning message to sender

A message that you sent could not be delivered to one or more of its
recipients. This is a permanent error. The following address(es) failed:

  ann@example.org
    retry timeout exceeded
"""


def test_a_relay_that_gives_up_week_after_week(home: Home) -> None:
    """Every edition of the last ten weeks came to nothing: the relay's trouble never ends a subscription."""
    now = SHIFTED.now()
    person = put(home.unit, "ann@example.org")
    for week in range(10, 0, -1):
        at = now - timedelta(weeks=week)
        edition = begin_edition(home.unit, at.date())
        set_delivery(home.unit, edition, person, DeliveryState.EXPIRED, kind="system", last_attempt_at=at)
    edition = begin_edition(home.unit, now.date())
    set_delivery(home.unit, edition, person, DeliveryState.ACCEPTED, kind="ok", last_attempt_at=now)
    with home.unit.read() as tx:
        last = tx.execute(select(func.max(delivery.c.id))).scalar_one()
    verp = make_verp_sender(KEYRING, DeliveryId(last), "bounces.example.com")
    result = home.run("bounce", "read", stdin=GAVE_UP.format(verp=verp))
    assert (result.code, "noted" in result.out) == (0, True), result.out
    assert get(home.unit, person.id).state is SubscriberState.ACTIVE


def test_the_address_it_came_to(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mail server names it in an option or in the environment, when the mail itself does not."""
    _, _, verp = sent(home)
    lost = mail("somebody@example.com")
    assert "no valid token" in home.run("bounce", "read", stdin=lost).out
    monkeypatch.setenv("ORIGINAL_RECIPIENT", verp)
    assert "the subscription is ended" in home.run("bounce", "read", stdin=lost).out
    monkeypatch.delenv("ORIGINAL_RECIPIENT")
    ran = home.run("bounce", "read", "--recipient", verp, "--json", stdin=lost)
    assert json.loads(ran.out)["action"] == "known"


@pytest.mark.parametrize("text", ["", "\n\n", "Subject: hello\n\nhi", "x" * 3_000_000])
def test_anything_else_is_let_go(home: Home, text: str) -> None:
    """The mail server must not send a bounce about it: code 0."""
    sent(home)
    ran = home.run("bounce", "read", stdin=text)
    assert ran.code == 0
    assert "not heeded" in ran.out


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no file that is always full")
def test_output_without_a_reader_is_no_failure(tmp_path: Path) -> None:
    """Once the mail is dealt with, an output that takes nothing is no reason to send it back."""
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "newsletter", "-C", str(tmp_path), "bounce", "read"]
        ran = subprocess.run(command, input="Subject: hi\n\nhi", stdout=full, text=True, check=False)
    assert ran.returncode == 0


def test_without_a_database_it_is_tried_again(home: Home) -> None:
    """What is not the mail's fault is EX_TEMPFAIL, so that the mail server keeps the mail."""
    _, _, verp = sent(home)
    (home.folder / "newsletter.db").rename(home.folder / "elsewhere.db")
    ran = home.run("bounce", "read", stdin=mail(verp))
    assert ran.code == TRY_AGAIN
    assert "should try again later" in ran.err


def test_with_a_broken_database_it_is_tried_again(home: Home) -> None:
    """Nor is what nobody foresaw."""
    _, _, verp = sent(home)
    with sqlite3.connect(home.folder / "newsletter.db") as connection:
        connection.execute("ALTER TABLE delivery RENAME COLUMN later TO sooner")
    connection.close()
    assert home.run("bounce", "read", stdin=mail(verp)).code == TRY_AGAIN


def test_with_wrong_settings_it_is_tried_again(home: Home) -> None:
    """An operator who mistypes a setting loses no bounce."""
    _, _, verp = sent(home)
    env: Path = home.folder / ".env"
    env.write_text(f"{env.read_text()}NEWSLETTER_SEND_DAY=tosday\n")
    ran = home.run("bounce", "read", stdin=mail(verp))
    assert ran.code == TRY_AGAIN
    # The log of the mail server is all that tells which one.
    assert "NEWSLETTER_SEND_DAY: 'tosday'" in ran.err.splitlines()[-1]


@pytest.mark.parametrize(
    "words",
    [
        ("bounce", "read", "--recipent", "b@example.com"),
        ("bounce", "read", "--recipient"),
        ("bounce", "read", "b@example.com"),
        ("--hone", "elsewhere", "bounce", "read"),
        ("bounce", "--jsno", "read"),
    ],
)
def test_with_a_mistyped_option_it_is_tried_again(home: Home, words: tuple[str, ...]) -> None:
    """Postfix gives a mail up for nearly any other code; a slip in its `master.cf` loses no bounce."""
    _, _, verp = sent(home)
    ran = home.run(*words, stdin=mail(verp))
    assert (ran.code, ran.out) == (TRY_AGAIN, "")
    assert ran.err.startswith("newsletter: ")


def test_a_mistyped_option_of_any_other_command_is_the_callers(home: Home) -> None:
    """Only a mail server has a mail to lose."""
    assert home.run("bounce", "list", "--nope").code == 2
    assert home.run("bounce").code == 2


@pytest.mark.parametrize("verb", ["release", "dismiss"])
def test_nothing_is_held(home: Home, verb: str) -> None:
    """A decision about nothing changes nothing."""
    sent(home)
    ran = home.run("bounce", verb, "last")
    assert (ran.code, "nothing was changed" in ran.out) == (0, True)
    assert "Nothing of the edition" in home.run("bounce", "list").out


def test_held_bounces_are_settled(home: Home) -> None:
    """Releasing ends the subscriptions, and says how many."""
    person, edition, _ = sent(home)
    set_delivery(home.unit, edition, person, DeliveryState.ACCEPTED, later="held", later_text="550 5.1.1 gone")
    assert "1 bounce waits for you" in home.run("edition", "show", edition.name).out
    assert home.run("bounce", "release", "last", "--yes").out == "1 person is taken off the list.\n"
    assert get(home.unit, person.id).state is SubscriberState.BOUNCED


def test_a_holiday_notice_needs_no_database(home: Home) -> None:
    """Most of what comes back is let go at once, whatever the database does."""
    (home.folder / "newsletter.db").rename(home.folder / "elsewhere.db")
    ran = home.run("bounce", "read", stdin="From: ann@example.org\nSubject: Out of office\n\nI am away.\n")
    assert (ran.code, ran.out) == (0, "auto-reply: not heeded (Out of office).\n")


# Webhooks


def test_the_webhooks_and_their_steps(home: Home) -> None:
    """What is in use comes first, with its address and the events that came; no secret is shown."""
    secret = "s" * 40
    with (home.folder / ".env").open("a") as file:
        file.write(f"\nNEWSLETTER_WEBHOOK_POSTMARK_PASSWORDS={secret}\n")
    with home.unit.write() as tx:
        webhook_rows.add_counts(tx, "postmark", {"HardBounce": 2}, now=START)
    shown = home.run("bounce", "webhooks")
    assert shown.code == 0
    assert shown.out.startswith("Postmark: in use, https://news.example.com/hooks/postmark\n")
    assert "https://newsletter:PASSWORD@news.example.com/hooks/postmark for: Delivery, Bounce" in shown.out
    assert "HardBounce: 2 so far" in shown.out
    assert "Mailgun: not in use; `newsletter bounce webhooks mailgun` shows the steps." in shown.out
    listed = home.run("bounce", "webhooks", "--json").out
    assert secret not in shown.out + listed
    [first, *others] = json.loads(listed)
    assert (first["provider"], first["in_use"], first["events"]) == ("postmark", True, {"HardBounce": 2})
    assert len(others) == 7


@pytest.mark.parametrize("provider", list(WEBHOOK_SETTINGS))
def test_each_provider_has_steps(home: Home, provider: str) -> None:
    """They name the address and the setting."""
    out = home.run("bounce", "webhooks", provider).out
    setting = f"NEWSLETTER_{WEBHOOK_SETTINGS[provider].upper()}"
    assert f"/hooks/{provider}" in out
    assert setting in out


def test_a_provider_that_is_none(home: Home) -> None:
    """The known ones are named, and the exit code is that of a wrong input."""
    ran = home.run("bounce", "webhooks", "elsewhere")
    assert ran.code == 2
    assert "one of ses, mailgun" in ran.err


# The mailbox


def test_a_mailbox_must_be_set(home: Home) -> None:
    """Without a server there is nothing to fetch; the setting is named."""
    ran = home.run("bounce", "fetch")
    assert (ran.code, "NEWSLETTER_IMAP_HOST" in ran.err) == (2, True)


@needs_dovecot
def test_a_mailbox_is_read_by_hand(home: Home) -> None:
    """It says what was done and where the mails are; a second time it is empty, and the doctor logs in."""
    person, _, verp = sent(home)
    with running() as dovecot:
        with (home.folder / ".env").open("a") as file:
            file.writelines(f"\nNEWSLETTER_{name}={value}" for name, value in dovecot.settings().items())
        dovecot.put("1.mail", mail(verp).encode())
        dovecot.put("2.mail", b"Subject: a letter\r\n\r\nHello\r\n")
        assert "logged in, 2 mails wait" in home.run("doctor").out
        ran = home.run("bounce", "fetch")
        assert (ran.code, ran.err) == (0, "")
        assert "1 mail: the subscription is ended." in ran.out
        assert "1 moved to newsletter-read, 1 to newsletter-unknown." in ran.out
        assert home.run("bounce", "fetch").out == "The mailbox for bounces is empty.\n"
        assert json.loads(home.run("bounce", "fetch", "--json").out) == {"read": 0, "unknown": 0, "actions": {}}
    assert get(home.unit, person.id).state is SubscriberState.BOUNCED

"""Reading the mailbox for bounces from a real Dovecot, and what is told when that does not work."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Self

import pytest

from newsletter.core.breaker import BreakerLimits
from newsletter.core.evidence import BounceAction, MailVerdict
from newsletter.core.subscriber import SubscriberState
from newsletter.errors import NotNow, Stop
from newsletter.operations import mailbox_reader
from newsletter.operations.mailbox_reader import MailboxReader
from newsletter.store.alert import AlertKind
from newsletter.store.unit import Unit
from newsletter.testing.clocks import FixedClock
from newsletter.transport.imap import ImapMailbox
from tests.flows.bounce_fixtures import NOW, bounce_with, open_alerts, sample, sent, verp_of
from tests.flows.people_fixtures import KEYRING, get
from tests.transport.dovecot import Dovecot, needs_dovecot, running

FOLDERS = {MailVerdict.READ: "newsletter-read", MailVerdict.UNKNOWN: "newsletter-unknown"}


@pytest.fixture
def dovecot() -> Iterator[Dovecot]:
    """Run a server."""
    with running() as server:
        yield server


def reader(unit: Unit, open_mailbox: Callable[[], AbstractContextManager[ImapMailbox]]) -> MailboxReader:
    """Return a reader of a mailbox."""
    return MailboxReader(
        unit=unit,
        keyring=KEYRING,
        clock=FixedClock(NOW),
        limits=BreakerLimits(),
        name="bounces",
        folders=FOLDERS,
        open_mailbox=open_mailbox,
    )


@needs_dovecot
def test_mails_go_to_a_folder_by_their_verdict(dovecot: Dovecot, unit: Unit, monkeypatch: pytest.MonkeyPatch) -> None:
    """In steps, nothing is deleted, and a second run finds an empty mailbox."""
    monkeypatch.setattr(mailbox_reader, "MAILS_PER_STEP_MAX", 3)
    monkeypatch.setattr(mailbox_reader, "STEP_BYTES_MAX", 3_000)
    person, edition = sent(unit)
    verp = verp_of(unit, edition, person)
    mails = [bounce_with("5.1.1").raw(verp=verp), sample("a letter").raw(verp=verp)]
    mails += [sample("out of office").raw(verp=verp)] * 5
    for number, raw in enumerate(mails):
        dovecot.put(f"{number}.mail", raw)
    summary = reader(unit, lambda: ImapMailbox(dovecot.account())).fetch()
    assert summary.moved == {MailVerdict.READ: 6, MailVerdict.UNKNOWN: 1}
    assert summary.actions == {BounceAction.STOPPED: 1, BounceAction.IGNORED: 6}
    assert get(unit, person.id).state is SubscriberState.BOUNCED
    assert [len(dovecot.names(folder)) for folder in ("", *FOLDERS.values())] == [0, 6, 1]
    assert reader(unit, lambda: ImapMailbox(dovecot.account())).fetch().moved == {}


@needs_dovecot
def test_a_mail_that_was_judged_is_only_moved(dovecot: Dovecot, sqlite_unit: Unit) -> None:
    """After a crash between the transaction and the move the mail is not even fetched again."""
    dovecot.put("1.mail", sample("a letter").raw(verp="x@example.com"))

    class Stuck(ImapMailbox):
        def move(self, uids: object, folder: str) -> None:
            raise NotNow

    class Unread(ImapMailbox):
        def read(self, uid: int) -> bytes | None:
            raise AssertionError(uid)

    with pytest.raises(NotNow):
        reader(sqlite_unit, lambda: Stuck(dovecot.account())).fetch()
    summary = reader(sqlite_unit, lambda: Unread(dovecot.account())).fetch()
    assert (summary.moved, summary.actions) == ({MailVerdict.UNKNOWN: 1}, {})


@needs_dovecot
def test_a_server_that_moves_nothing_is_told(dovecot: Dovecot, sqlite_unit: Unit) -> None:
    """It would go round for ever."""
    dovecot.put("1.mail", sample("a letter").raw(verp="x@example.com"))

    class Still(ImapMailbox):
        def move(self, uids: object, folder: str) -> None: ...

    with pytest.raises(Stop, match="keeps mails that were moved"):
        reader(sqlite_unit, lambda: Still(dovecot.account())).fetch()


def test_lasting_trouble_is_an_alert_until_it_is_over(sqlite_unit: Unit) -> None:
    """The third failure in a row raises it, the next success clears it; a bug does not end the reading."""
    seen: list[tuple[float | None, set[AlertKind]]] = []

    class Empty:
        validity = 1

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_error: object) -> None: ...

        def make_folder(self, _name: str) -> None: ...

        def first(self, _limit: int) -> list[object]:
            return []

    class Steps(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            seen.append((timeout, set(open_alerts(sqlite_unit))))
            return len(seen) == 5

    failures = iter([KeyError("a bug"), NotNow("away"), NotNow("away"), NotNow("away"), None])

    def open_mailbox() -> Empty:
        failure = next(failures)
        if failure is not None:
            raise failure
        return Empty()

    reader(sqlite_unit, open_mailbox).run(Steps(), every=timedelta(minutes=5))  # type: ignore[arg-type]
    alert = {AlertKind.BOUNCE_MAILBOX}
    assert seen == [(300, set()), (300, set()), (300, set()), (300, alert), (300, set())]

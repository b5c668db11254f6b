"""Two thousand mails in a mailbox for bounces, and a program that is killed twice while it reads them."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import func, select

from newsletter.core.delivery import DeliveryId, DeliveryState
from newsletter.core.edition import EditionId
from newsletter.core.token import Keyring, make_verp_sender
from newsletter.flows.add_subscriber import newcomer
from newsletter.store import edition as editions
from newsletter.store import report as books
from newsletter.store import subscriber_batch as batches
from newsletter.store.schema import delivery, mailbox_mail, subscriber
from newsletter.testing.clocks import START
from tests.conftest import SECRET
from tests.flows.bounce_fixtures import bounce_with, sample
from tests.flows.people_fixtures import begin_edition
from tests.path.home import Home, until
from tests.transport.dovecot import Dovecot, needs_dovecot, running

MAILS_COUNT = 2_000
PEOPLE_COUNT = 400
HARD_COUNT = 15
"""Few enough that none of them is held for a person."""


def fill(home: Home, dovecot: Dovecot) -> EditionId:
    """Send an edition to all, and let five kinds of mails come back about it."""
    people = [
        newcomer(email=f"p{n}@example.org", canonical=f"p{n}@example.org", now=START) for n in range(PEOPLE_COUNT)
    ]
    with home.unit.write() as tx:
        batches.add_new(tx, people)
    edition = begin_edition(home.unit)
    with home.unit.write() as tx:
        tx.execute(delivery.update().values(state=DeliveryState.ACCEPTED.value, kind="ok", last_attempt_at=START))
        ids = list(tx.execute(select(delivery.c.id).order_by(delivery.c.id)).scalars())
    keyring = Keyring(current=SECRET)
    kinds = [bounce_with("4.2.2"), sample("postfix delayed"), sample("out of office"), sample("a letter")]
    for number in range(MAILS_COUNT):
        verp = make_verp_sender(keyring, DeliveryId(ids[number % PEOPLE_COUNT]), "bounces.example.com")
        hard = number < HARD_COUNT
        # The forged ones bear the signature of nobody.
        forged = number % 5 == 4
        mail = bounce_with("5.1.1") if hard or forged else kinds[number % 5]
        dovecot.put(
            f"{number:05}.mail", mail.raw(verp=verp[:-30] + "x" * 5 + verp[-25:] if forged and not hard else verp)
        )
    return edition.id


def judged(home: Home) -> int:
    """Return how many mails are judged."""
    with home.unit.read() as tx:
        return tx.execute(select(func.count()).select_from(mailbox_mail)).scalar_one()


@needs_dovecot
@pytest.mark.slow
def test_each_mail_is_judged_once_whatever_happens(sqlite_url: str, tmp_path: Path) -> None:
    """Killed twice in the middle, the third run finishes: each mail has one verdict and lies in one folder."""
    with running() as dovecot:
        home = Home.make(tmp_path / "home", sqlite_url, 25, **dovecot.settings())
        edition_id = fill(home, dovecot)
        for reached in (MAILS_COUNT // 5, MAILS_COUNT // 2):
            fetching = home.start("bounce", "fetch")
            until(lambda reached=reached: judged(home) >= reached, fetching, f"{reached} mails judged")  # type: ignore[misc]
            fetching.kill()
            assert judged(home) < MAILS_COUNT
        code, words = home.run("bounce", "fetch")
        assert code == 0, words
        left = [len(dovecot.names(folder)) for folder in ("", "newsletter-read", "newsletter-unknown")]
    assert judged(home) == MAILS_COUNT
    assert (left[0], sum(left)) == (0, MAILS_COUNT)
    with home.unit.read() as tx:
        rows = tx.execute(select(subscriber.c.state, func.count()).group_by(subscriber.c.state))
        states = {row[0]: row[1] for row in rows}
        receipt = books.receipt(tx, editions.by_id(tx, edition_id))
    assert states == {"active": PEOPLE_COUNT - HARD_COUNT, "bounced": HARD_COUNT}
    assert receipt.gap == 0
    assert receipt.counts.accepted == PEOPLE_COUNT


@needs_dovecot
def test_the_service_reads_the_mailbox(sqlite_url: str, tmp_path: Path) -> None:
    """As it begins, and then every few minutes; it ends in order."""
    with running() as dovecot:
        dovecot.put("1.mail", sample("a letter").raw(verp="x@example.com"))
        home = Home.make(tmp_path / "home", sqlite_url, 25, **dovecot.settings())
        service = home.start("run", "--only", "scheduler")
        until(lambda: dovecot.names("newsletter-unknown") != [], service, "the mail is moved")
        service.stop()
    assert judged(home) == 1

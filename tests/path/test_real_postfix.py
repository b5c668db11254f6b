"""A whole edition through a real Postfix, counted in the mailboxes it delivered to."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from newsletter.core.delivery import DeliveryState
from newsletter.core.edition import EditionStatus
from newsletter.core.token import Keyring, read_verp_token
from newsletter.store.schema import delivery, subscriber
from tests.conftest import SECRET
from tests.path.conftest import MakeHome
from tests.path.home import PATIENCE, Home
from tests.path.postfix import BOUNCES, Postfix, needs_postfix, running, wait_for
from tests.render.dkim_fixtures import keep, seals, verified

pytestmark = [needs_postfix, pytest.mark.slow]

PEOPLE = 120
UNKNOWN = 3
"""The last so many of them have no mailbox."""
KNOWN = [f"p{number}" for number in range(PEOPLE - UNKNOWN)]
LOST = [f"p{number}@example.com" for number in range(PEOPLE - UNKNOWN, PEOPLE)]


def numbers(home: Home) -> dict[str, str]:
    """Return the number of each delivery by address."""
    query = delivery.join(subscriber, subscriber.c.id == delivery.c.subscriber_id).select()
    with home.unit.read() as tx:
        rows = tx.execute(query.with_only_columns(subscriber.c.email, delivery.c.id)).all()
    return {email: str(number) for email, number in rows}


def check_mailboxes(postfix: Postfix) -> None:
    """Every known reader has one mail, and it is theirs."""
    postfix.drain()
    mails_by_name = {name: postfix.parsed(name) for name in KNOWN}
    assert Counter(len(mails) for mails in mails_by_name.values()) == {1: len(KNOWN)}, postfix.log[-3000:]
    for name, [mail] in mails_by_name.items():
        [to] = mail["To"].addresses
        assert to.addr_spec == f"{name}@example.com" == mail["X-Original-To"]
        assert f"Hello {name.replace('p', 'Person')}," in mail.get_body(("plain",)).get_content()
    assert len({mail["Message-ID"] for [mail] in mails_by_name.values()}) == len(KNOWN)


def test_an_edition_is_counted_in_the_mailboxes(make_home: MakeHome, tmp_path: Path) -> None:
    """Each reader finds one mail, signed and whole; whom Postfix refuses gets none; and the report says just that."""
    [seal, _] = seals()
    keep(seal, tmp_path / "key.pem")
    with running(KNOWN) as postfix:
        home = make_home(
            postfix.port,
            PEOPLE,
            BOUNCE_DOMAIN=BOUNCES,
            DKIM_SELECTOR=seal.selector,
            DKIM_KEY_FILE=str(tmp_path / "key.pem"),
        )
        code, words = home.run("edition", "send", "--now", "--yes")
        assert code == 0, words
        check_mailboxes(postfix)
        for name in KNOWN:
            assert [verified(raw) for raw in postfix.mail(name)] == [[True]]
        assert postfix.mail("bounces") == []
    states = home.states()
    assert {email for email, state in states.items() if state is not DeliveryState.ACCEPTED} == set(LOST)
    assert {states[email] for email in LOST} == {DeliveryState.REJECTED}
    receipt = home.receipt()
    assert receipt.balances
    assert receipt.edition.audience == PEOPLE
    assert home.edition().status is EditionStatus.FINISHED


def test_a_bounce_comes_back_by_the_return_address(make_sqlite_home: MakeHome) -> None:
    """What Postfix takes and cannot deliver comes back as a bounce, whose address names the delivery."""
    with running(KNOWN, refuse_unknown=False) as postfix:
        home = make_sqlite_home(postfix.port, PEOPLE, BOUNCE_DOMAIN=BOUNCES)
        code, words = home.run("edition", "send", "--now", "--yes")
        assert code == 0, words
        check_mailboxes(postfix)
        wait_for(lambda: len(postfix.mail("bounces")) >= UNKNOWN, lambda: postfix.log[-3000:])
        bounces, raw = postfix.parsed("bounces"), postfix.mail("bounces")
    assert set(home.states().values()) == {DeliveryState.ACCEPTED}
    tokens = [read_verp_token(Keyring(current=SECRET), str(bounce["X-Original-To"])) for bounce in bounces]
    assert sorted(map(str, tokens)) == sorted(numbers(home)[email] for email in LOST)
    assert {bounce.get_content_type() for bounce in bounces} == {"multipart/report"}
    assert [read(home, one) for one in raw] == ["failed stopped"] * UNKNOWN
    assert {email for email, row in home.rows().items() if row.later == "bounced"} == set(LOST)
    assert home.receipt().came_back == UNKNOWN
    assert read(home, raw[0]) == "failed known"


def read(home: Home, raw: bytes) -> str:
    """Hand a bounce to the program as the pipe of a mail server does; return what it was and what was done."""
    words = [sys.executable, "-m", "newsletter", "-C", str(home.folder), "bounce", "read", "--json"]
    ran = subprocess.run(words, input=raw, capture_output=True, timeout=PATIENCE, check=False)
    assert ran.returncode == 0, ran.stderr
    output = json.loads(ran.stdout)
    return f"{output['kind']} {output['action']}"


def test_postfix_may_be_restarted_in_the_midst(make_sqlite_home: MakeHome) -> None:
    """While an edition goes out Postfix is stopped and started: nobody is missed, nobody gets it twice."""
    with running(KNOWN) as postfix:
        home = make_sqlite_home(postfix.port, PEOPLE, BOUNCE_DOMAIN=BOUNCES, RATE_PER_SECOND=60)
        sending = home.start("edition", "send", "--now", "--yes")
        wait_for(lambda: any(postfix.mail(name) for name in KNOWN), lambda: sending.words + postfix.log[-3000:])
        postfix.stop()
        postfix.start()
        sending.wait()
        for _ in range(5):
            if home.edition().status is EditionStatus.FINISHED:
                break
            home.run("edition", "send", home.edition().name, "--yes")
        uncertain = {email for email, state in home.states().items() if state is DeliveryState.UNCERTAIN}
        assert home.edition().status is EditionStatus.FINISHED, sending.words
        assert home.receipt().balances
        postfix.drain()
        held = {name: len(postfix.mail(name)) for name in KNOWN}
    assert not [name for name, count in held.items() if count > 1]
    assert {f"{name}@example.com" for name, count in held.items() if not count} <= uncertain
    assert len(uncertain) <= 4

"""Judging mails of a mailbox: each once, by its number, and by which folder it is kept."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import event

from newsletter.core.breaker import BreakerLimits
from newsletter.core.delivery import DeliveryId
from newsletter.core.evidence import BounceAction, MailVerdict
from newsletter.core.subscriber import SubscriberState
from newsletter.core.token import message_id
from newsletter.flows.judge_mails import JudgedMails, judge_mails, judged_before
from newsletter.store import mailbox as mailboxes
from newsletter.store.mailbox import MailFolder
from newsletter.store.unit import Unit
from tests.core.bounce_corpus import Sample
from tests.flows.bounce_fixtures import NOW, bounce_with, row, sample, sent, verp_of
from tests.flows.people_fixtures import KEYRING, get

FOLDER = MailFolder(name="bounces@imap.example.net:993/INBOX", validity=7)


def judge(unit: Unit, mails: dict[int, bytes], folder: MailFolder = FOLDER) -> JudgedMails:
    """Judge these mails."""
    return judge_mails(unit, KEYRING, folder, mails, limits=BreakerLimits(), now=NOW)


def test_each_mail_is_judged_once(unit: Unit) -> None:
    """A mail that was judged and not moved keeps its verdict, and what it said is not done again."""
    person, edition = sent(unit)
    verp = verp_of(unit, edition, person)
    mails = {
        3: bounce_with("5.1.1").raw(verp=verp),
        5: sample("out of office").raw(verp=verp),
        8: sample("a letter").raw(verp=verp),
        9: sample("postfix").raw(verp="b+aaaaaaaaaaaaaaaaaaaaa@bounces.example.com"),
    }
    judged = judge(unit, mails)
    assert judged.verdicts == {
        3: MailVerdict.READ,
        5: MailVerdict.READ,
        8: MailVerdict.UNKNOWN,
        9: MailVerdict.UNKNOWN,
    }
    assert judged.actions == {BounceAction.STOPPED: 1, BounceAction.IGNORED: 2, BounceAction.UNKNOWN: 1}
    assert get(unit, person.id).state is SubscriberState.BOUNCED
    assert row(unit, edition, person).later == "bounced"
    again = judge(unit, mails)
    assert (again.verdicts, again.actions) == (judged.verdicts, {})
    assert judged_before(unit, FOLDER, [3, 4]) == {3: MailVerdict.READ}


def test_the_search_by_a_message_id_holds_no_write_lock(unit: Unit) -> None:
    """It reads a whole edition, and a stranger can cause it with each mail: it comes before the transaction."""
    person, edition = sent(unit)
    own = message_id(edition.id, DeliveryId(row(unit, edition, person).id), edition.nonce, "example.com")
    foreign = message_id(edition.id, DeliveryId(99), "another nonce", "example.com")
    none = "b+aaaaaaaaaaaaaaaaaaaaa@bounces.example.com"
    mails = {
        number: sample("postfix").raw(verp=none, message_id=text) for number, text in enumerate((foreign, own), start=1)
    }
    statements: list[str] = []

    def collect(*arguments: object) -> None:
        statements.append(" ".join(str(arguments[2]).split()))

    event.listen(unit._engine, "before_cursor_execute", collect)
    judged = judge(unit, mails)
    event.remove(unit._engine, "before_cursor_execute", collect)
    begin = next(place for place, text in enumerate(statements) if text.startswith("INSERT INTO mailbox_mail"))
    walks = [
        place
        for place, text in enumerate(statements)
        if text.startswith("SELECT delivery.id FROM delivery WHERE delivery.edition_id =")
    ]
    assert len(walks) == 2
    assert max(walks) < begin
    assert judged.actions == {BounceAction.UNKNOWN: 1, BounceAction.STOPPED: 1}


def test_numbers_begin_anew_with_the_validity(unit: Unit) -> None:
    """After a mailbox was rebuilt, and in another mailbox, a number is another mail."""
    mail = {1: sample("a letter").raw(verp="x@example.com")}
    for folder in (FOLDER, MailFolder(name=FOLDER.name, validity=8), MailFolder(name="other", validity=7)):
        assert judge(unit, mail, folder).actions == {BounceAction.IGNORED: 1}


def test_a_complaint_by_mail_ends_the_subscription(unit: Unit) -> None:
    """ARF in the mailbox does what it does through the pipe."""
    person, edition = sent(unit)
    arf: Sample = sample("complaint")
    assert judge(unit, {1: arf.raw(verp=verp_of(unit, edition, person))}).actions == {BounceAction.STOPPED: 1}
    assert get(unit, person.id).state is SubscriberState.COMPLAINED


def test_what_was_moved_is_forgotten(unit: Unit) -> None:
    """A month later no row is left."""
    judge(unit, {1: b"", 2: b"\x00"})
    with unit.write() as tx:
        assert mailboxes.forget_before(tx, NOW) == 0
        assert mailboxes.forget_before(tx, NOW + timedelta(seconds=1)) == 2

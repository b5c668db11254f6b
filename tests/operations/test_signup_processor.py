"""What becomes of a request: decided once, a mail at most, and forgotten after two weeks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email import message_from_string, policy
from email.message import EmailMessage

import pytest
from sqlalchemy import event

from newsletter.core.alert import AlertKind
from newsletter.core.notice import NoticeKind
from newsletter.core.signup import SignupMail
from newsletter.core.subscriber import SubscriberState
from newsletter.core.token import LinkPurpose, confirmation_code, read_link_token
from newsletter.flows.confirm_signup import ConfirmedBy, confirm_signup
from newsletter.operations.reader_mail import ReaderMail, ReaderMailRenderer
from newsletter.operations.retention import RetentionJob
from newsletter.operations.signup_processor import PASSES_PER_FLOOD_CHECK
from newsletter.render.notice import NoticeBody
from newsletter.store import alert as alerts
from newsletter.store import notice as notices
from newsletter.store import rate_limit
from newsletter.store import signup as signups
from newsletter.store.database import connect, open_unit
from newsletter.store.notice import Notice
from newsletter.store.signup import StoredSignup
from newsletter.store.unit import Unit
from newsletter.testing.clocks import START
from tests.flows.people_fixtures import KEYRING, put
from tests.flows.signup_fixtures import ask_for, make_processor
from tests.store.page_fixtures import add_pages, weekly

ADA = "ada@example.org"
HOUR = timedelta(hours=1)


@pytest.fixture
def quick_unit(sqlite_url: str) -> Iterator[Unit]:
    """Return a database that does not wait for the disk: thousands of requests are written here."""
    engine = connect(sqlite_url)
    event.listen(engine, "connect", lambda connection, _record: connection.execute("PRAGMA synchronous=OFF"))
    yield open_unit(engine)
    engine.dispose()


def mails(unit: Unit, address: str = ADA) -> list[Notice]:
    """Return the mails to an address."""
    with unit.read() as tx:
        return list(notices.to_addresses(tx, [address]))


def requests(unit: Unit, address: str = ADA) -> list[StoredSignup]:
    """Return the requests for an address."""
    with unit.read() as tx:
        return list(signups.of_addresses(tx, [address]))


def parsed(notice: Notice) -> tuple[EmailMessage, str]:
    """Return a mail, and its text."""
    message: EmailMessage = message_from_string(notice.message, policy=policy.SMTP)  # type: ignore[assignment]
    body = message.get_body(("plain",))
    assert body is not None
    return message, str(body.get_content())


def test_a_new_address_gets_the_mail_that_confirms(unit: Unit) -> None:
    """One mail with a genuine link and a code, written by a machine, without a picture or a tip."""
    ask_for(unit, ADA)
    assert make_processor(unit).work(START) == 1
    [request], [notice] = requests(unit), mails(unit)
    assert (request.mail, request.decided_at, notice.key.kind) == (SignupMail.CONFIRM, START, NoticeKind.CONFIRM)
    message, text = parsed(notice)
    assert message["To"] == ADA
    assert message["Auto-Submitted"] == "auto-generated"
    assert "List-Unsubscribe" not in message
    assert confirmation_code(KEYRING, request.request.id) in text
    [token] = re.findall(r"https://news\.example\.com/c/(\S+)", text)
    link = read_link_token(KEYRING, token, LinkPurpose.CONFIRM)
    assert link is not None
    assert (link.id, link.expires_at) == (request.request.id, START + timedelta(days=7))
    html = message.get_body(("html",))
    assert html is not None
    assert "<img" not in html.get_content()
    assert make_processor(unit).work(START) == 0


def test_a_subscriber_who_signs_up_again_gets_one_mail_a_month(unit: Unit) -> None:
    """The mail has no link to confirm, and the page that asked has said the same as to anybody else."""
    put(unit, ADA)
    for day in (0, 10, 31):
        ask_for(unit, ADA, now=START + timedelta(days=day))
        make_processor(unit).work(START + timedelta(days=day))
    kinds = [notice.key.kind for notice in mails(unit)]
    assert kinds == [NoticeKind.ALREADY, NoticeKind.ALREADY]
    assert "/c/" not in parsed(mails(unit)[0])[1]


def test_a_complaint_stays_one(unit: Unit) -> None:
    """Who called a mail spam gets none, whoever types the address."""
    put(unit, ADA, state=SubscriberState.COMPLAINED)
    ask_for(unit, ADA)
    make_processor(unit).work(START)
    assert mails(unit) == []
    assert requests(unit)[0].mail is SignupMail.NONE


def test_a_thousand_requests_for_one_victim_are_one_mail(quick_unit: Unit) -> None:
    """However many networks ask, one mail reaches the address."""
    unit = quick_unit
    for number in range(1_000):
        ask_for(unit, ADA, network=f"2001:db8:{number:x}::/56", now=START + timedelta(seconds=number))
    processor = make_processor(unit)
    while processor.work(START + HOUR):
        pass
    assert len(requests(unit)) == 300
    assert len(mails(unit)) == 1


def test_a_thousand_victims_of_one_network_are_five(quick_unit: Unit) -> None:
    """The sixth request within an hour is refused, whomever it names."""
    unit, processor = quick_unit, make_processor(quick_unit)
    accepted = [ask_for(unit, f"r{number}@d{number}.example").accepted for number in range(1_000)]
    assert accepted == [True] * 5 + [False] * 995
    while processor.work(START):
        pass
    with unit.read() as tx:
        assert sum(notices.counts(tx).values()) == 5


def test_a_thousand_networks_are_three_hundred_mails_and_an_alert(quick_unit: Unit) -> None:
    """A botnet: 300 within the hour, the puzzle up for each further request, and an alert while it lasts."""
    unit, processor = quick_unit, make_processor(quick_unit)
    replies = [
        ask_for(unit, f"r{number}@d{number}.example", network=f"2001:db8:{number:x}::/56") for number in range(1_000)
    ]
    assert [reply.accepted for reply in replies] == [True] * 300 + [False] * 700
    assert all(reply.needs_puzzle for reply in replies[300:])
    assert ask_for(unit, ADA, puzzle="solved").accepted
    while processor.work(START):
        pass
    with unit.read() as tx:
        [alert] = [item for item in alerts.open_alerts(tx) if item.kind is AlertKind.SIGNUP_FLOOD]
        assert sum(notices.counts(tx).values()) == 300
    assert "300 an hour" in alert.message
    later = START + timedelta(hours=1, minutes=1)
    for _ in range(PASSES_PER_FLOOD_CHECK):
        processor.work(later)
    with unit.read() as tx:
        assert [item for item in alerts.open_alerts(tx) if item.kind is AlertKind.SIGNUP_FLOOD] == []
        assert sum(notices.counts(tx).values()) == 301


def test_who_confirms_is_welcomed_once(unit: Unit) -> None:
    """The welcome says when the first tip comes, in the person's own time, and how to leave."""
    ask_for(unit, ADA, first_name="Ada", time_zone="Europe/Berlin")
    processor = make_processor(unit)
    processor.work(START)
    request = requests(unit)[0].request
    confirm_signup(unit, KEYRING, request.id, by=ConfirmedBy.OTHER_BROWSER, network="", now=START + HOUR)
    assert processor.work(START + HOUR) == 1
    assert processor.work(START + HOUR) == 0
    _, welcome = mails(unit)
    assert welcome.key.kind is NoticeKind.WELCOME
    text = " ".join(parsed(welcome)[1].split())
    assert "Tuesday 3 November 2026, 15:00 CET" in text
    assert "https://news.example.com/u/" in text


def test_the_welcome_has_the_latest_tips(unit: Unit) -> None:
    """Three of the archive, the newest first, with their stable addresses; none where nothing was published."""
    add_pages(unit, *weekly(4))
    ask_for(unit, ADA)
    processor = make_processor(unit)
    processor.work(START)
    confirm_signup(unit, KEYRING, requests(unit)[0].request.id, by=ConfirmedBy.CODE, network="", now=START)
    processor.work(START)
    message, text = parsed(mails(unit)[-1])
    links = re.findall(r"https://news\.example\.com(/tips/\S+)", text)
    assert links == [f"/tips/{page.slug}" for page in reversed(weekly(4)[1:])]
    html = message.get_body(("html",))
    assert html is not None
    assert all(f'href="https://news.example.com{link}"' in html.get_content() for link in links)


def test_an_unconfirmed_request_is_forgotten(unit: Unit) -> None:
    """After two weeks neither the request nor the mail about it names the address (GDPR, article 5)."""
    ask_for(unit, ADA)
    make_processor(unit).work(START)
    retention = RetentionJob(unit=unit, keep_deliveries=timedelta(days=730), process="test")
    retention.work(START + timedelta(days=13))
    assert len(requests(unit)) == len(mails(unit)) == 1
    for _ in range(5):
        retention.work(START + timedelta(days=15))
    assert requests(unit) == mails(unit) == []


@dataclass
class WritingRenderer:
    """Renders as always, after a transaction of its own: SQLite has one writer at a time."""

    unit: Unit
    renderer: ReaderMailRenderer
    count: int = 0

    def render(self, letter: NoticeBody, *, about: int, email: str, now: datetime, variant: str = "") -> ReaderMail:
        """Write a row, and render."""
        with self.unit.write() as tx:
            rate_limit.save(tx, {f"mail {self.count}": ()}, span=HOUR, now=now)
        self.count += 1
        return self.renderer.render(letter, about=about, email=email, now=now, variant=variant)


def test_no_mail_is_rendered_inside_a_transaction(unit: Unit) -> None:
    """Rendering takes tens of milliseconds, in which nobody else could write on SQLite."""
    put(unit, "ann@example.org")
    for number, email in enumerate((ADA, "ann@example.org")):
        ask_for(unit, email, network=f"2001:db8:{number:x}::/56")
    processor = make_processor(unit)
    renderer = WritingRenderer(unit, processor.renderer)
    assert replace(processor, renderer=renderer).work(START) == 2  # type: ignore[arg-type]
    confirm_signup(unit, KEYRING, requests(unit)[0].request.id, by=ConfirmedBy.CODE, network="", now=START)
    assert replace(processor, renderer=renderer).work(START) == 1  # type: ignore[arg-type]
    assert renderer.count == 3

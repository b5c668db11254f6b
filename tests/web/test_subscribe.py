"""Signing up and confirming on a real server."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from newsletter.core.address import parse_address
from newsletter.core.subscriber import Subscriber, SubscriberState
from newsletter.core.token import suppression_hash
from newsletter.flows.erase_subscriber import erase_subscriber
from newsletter.store import notice as notices
from newsletter.store import signup as signups
from newsletter.store import subscriber as subscribers
from newsletter.store.unit import Unit
from newsletter.testing.clocks import FixedClock
from tests.store.page_fixtures import add_pages, weekly
from tests.web.conftest import KEYRING, Ask, Stage, WebParts, add_reader, asking
from tests.web.signup_fixtures import ADA, code_of, cookie_of, link_of, mail_to, post_form, processor_of, stamp_of

CHANCE = re.compile(r"(?<=asked=)[^;]+|(?<=date: ).*")
"""What differs from answer to answer: the cookie and the second."""
OPERATORS_SITE = {"Origin": "https://www.example.com", "Sec-Fetch-Site": "cross-site"}


def person(unit: Unit, email: str = ADA) -> Subscriber | None:
    """Return a person of the list."""
    with unit.read() as tx:
        return subscribers.by_canonical(tx, parse_address(email).canonical)


def request_count(unit: Unit, email: str = ADA) -> int:
    """Return how many requests there are for an address."""
    with unit.read() as tx:
        return len(signups.of_addresses(tx, [email]))


def test_the_form_says_what_comes_and_when(ask: Ask) -> None:
    """The promise, the next date, the consent above the button; cacheable, with a validator."""
    answer = ask("GET", "/subscribe")
    assert answer.status_code == 200
    assert "Tuesday 3 November 2026, 09:00 EST" in answer.text
    assert answer.text.index("until I say stop") < answer.text.index("<button")
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    again = ask("GET", "/subscribe", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.text) == (304, "")
    assert ask("GET", "/").text == answer.text


def test_a_reader_subscribes_in_her_own_browser(ask: Ask, parts: WebParts, clock: FixedClock) -> None:
    """From the form to the welcome: nothing before the press, and the browser that asked presses by itself."""
    answer = post_form(ask, clock, "Ada@Example.org", first_name="Ada")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/subscribe/sent")
    for part in ("__Host-asked=", "Secure", "HttpOnly", "SameSite=lax", "Path=/", "Max-Age=3600"):
        assert part in answer.headers["Set-Cookie"]
    processor_of(parts).work(clock.now())
    link = link_of(mail_to(parts))
    page = ask("GET", link, headers=cookie_of(answer))
    assert "data-press" in page.text
    assert "A***@Example.org" in page.text
    assert person(parts.unit) is None
    response = ask("POST", link, headers=cookie_of(answer))
    assert "You are subscribed" in response.text
    assert "Tuesday 3 November 2026, 09:00 EST" in response.text
    reader = person(parts.unit)
    assert reader is not None
    assert (reader.state, reader.first_name) == (SubscriberState.ACTIVE, "Ada")
    processor_of(parts).work(clock.now())
    assert "From now on" in mail_to(parts)


def test_the_page_after_confirming_has_the_latest_tips(ask: Ask, parts: WebParts, clock: FixedClock) -> None:
    """A new reader need not wait for Tuesday to read something."""
    add_pages(parts.unit, *weekly(4))
    post_form(ask, clock)
    processor_of(parts).work(clock.now())
    response = ask("POST", link_of(mail_to(parts)))
    assert re.findall(r'href="(/tips/[^"]+)"', response.text) == [
        f"/tips/{page.slug}" for page in reversed(weekly(4)[1:])
    ]


def test_a_scanner_confirms_nothing(ask: Ask, parts: WebParts, clock: FixedClock) -> None:
    """Without the cookie the page has a button and no script, however often it is opened."""
    post_form(ask, clock)
    processor_of(parts).work(clock.now())
    link = link_of(mail_to(parts))
    for method in ("GET", "HEAD", "OPTIONS"):
        page = ask(method, link)
        assert "<script" not in page.text
    assert "You are not subscribed yet" in ask("GET", link).text
    assert person(parts.unit) is None
    assert "You are subscribed" in ask("POST", link).text
    assert "This link was used before" in ask("POST", link).text


def test_a_reader_types_the_code(ask: Ask, parts: WebParts, clock: FixedClock) -> None:
    """In the browser that asked the code is enough; in another one it is told that it cannot be matched."""
    answer = post_form(ask, clock)
    processor_of(parts).work(clock.now())
    code = code_of(mail_to(parts))
    other = ask("POST", "/subscribe/sent", data={"code": code})
    assert (other.status_code, "cannot match" in other.text) == (422, True)
    wrong = ask("POST", "/subscribe/sent", data={"code": "0000-0000"}, headers=cookie_of(answer))
    assert (wrong.status_code, "does not fit" in wrong.text) == (422, True)
    right = ask("POST", "/subscribe/sent", data={"code": code.lower()}, headers=cookie_of(answer))
    assert "You are subscribed" in right.text
    assert person(parts.unit) is not None


@pytest.mark.parametrize("state", [None, "erased", "blocked", "no such domain", *SubscriberState])
def test_the_answer_is_the_same_for_every_address(
    ask: Ask, parts: WebParts, clock: FixedClock, state: SubscriberState | str | None
) -> None:
    """Status, headers and bytes tell nothing about an address; only the random cookie differs."""
    email = "ann@example.com"
    if state == "no such domain":
        email = "ann@no-such-name.example.net"
    elif state is not None:
        reader = add_reader(parts.unit)
        if state == "blocked":
            with parts.unit.write() as tx:
                subscribers.block(tx, suppression_hash(KEYRING, email), now=clock.now())
        elif state == "erased":
            erase_subscriber(parts.unit, KEYRING, reader.id, who="pat", now=clock.now())
        else:
            with parts.unit.write() as tx:
                known = subscribers.by_id(tx, reader.id)
                assert known is not None
                subscribers.save_state(tx, replace(known, state=SubscriberState(state)))
    answers = [post_form(ask, clock, address) for address in (email, "stranger@example.net")]
    first, second = (
        (answer.status_code, answer.content, CHANCE.sub("", "\n".join(f"{k}: {v}" for k, v in answer.headers.items())))
        for answer in answers
    )
    assert first == second
    assert request_count(parts.unit, email) == 1


@pytest.mark.parametrize(
    ("email", "sentence"),
    [
        ("", "Please type your e-mail address."),
        ("ada.example.org", "there is no @ sign"),
        ("ada@example.org, ben@example.org", "give one address only"),
        ("adé@example.org", "before the @ sign"),
        ("<script>alert(1)</script>@example.org", "angle brackets"),
    ],
)
def test_a_mistake_is_a_sentence(ask: Ask, clock: FixedClock, unit: Unit, email: str, sentence: str) -> None:
    """What was typed is kept, escaped, and the sentence says what to do; nothing is written."""
    answer = post_form(ask, clock, email, first_name="Ada & Co")
    assert answer.status_code == 422
    assert sentence in answer.text
    assert 'value="Ada &amp; Co"' in answer.text
    assert "<script>alert" not in answer.text
    assert request_count(unit, email) == 0


def test_a_form_that_came_too_quickly_is_sent_once_more(ask: Ask, unit: Unit, clock: FixedClock) -> None:
    """No person is that quick: the form comes back as typed, and a second press some seconds later is taken."""
    stamp = stamp_of(ask("GET", "/subscribe").text)
    fields = {"email": ADA, "shown": stamp}
    quick = ask("POST", "/subscribe", data=fields)
    assert (quick.status_code, "very quick" in quick.text, request_count(unit)) == (422, True, 0)
    clock.turn(seconds=3)
    assert ask("POST", "/subscribe", data=fields).status_code == 303
    clock.turn(days=3)
    old = ask("POST", "/subscribe", data=fields)
    assert (old.status_code, "open for a long time" in old.text) == (422, True)
    assert ask("POST", "/subscribe", data={"email": ADA}).status_code == 422


def test_the_trap_catches_programs(ask: Ask, parts: WebParts, clock: FixedClock) -> None:
    """A filled-in hidden field gets the same answer as any other form, and no mail."""
    answer = post_form(ask, clock, website="https://spam.example")
    assert answer.status_code == 303
    processor_of(parts).work(clock.now())
    with parts.unit.read() as tx:
        [stored] = signups.of_addresses(tx, [ADA])
    assert (stored.mail, stored.why) == ("none", "the hidden field was filled in")


def test_a_network_that_asks_too_often_gets_a_time_to_come_back(ask: Ask, unit: Unit, clock: FixedClock) -> None:
    """The sixth within an hour; a proxy that is trusted tells whose network it is."""
    for number in range(5):
        assert post_form(ask, clock, f"r{number}@example.org").status_code == 303
    answer = post_form(ask, clock)
    assert (answer.status_code, "Try again at 08:00" in answer.text) == (429, True)
    assert 3500 < int(answer.headers["Retry-After"]) < 3600
    assert request_count(unit) == 0


def test_a_form_on_another_site_of_the_operator(ask: Ask, unit: Unit) -> None:
    """It needs an address and nothing else, and is taken where a stranger's form is refused."""
    answer = ask("POST", "/subscribe", data={"email": ADA}, headers=OPERATORS_SITE)
    assert answer.status_code == 303
    with unit.read() as tx:
        [stored] = signups.of_addresses(tx, [ADA])
    assert stored.request.origin == "https://www.example.com"
    foreign = {"Origin": "https://evil.example.net", "Sec-Fetch-Site": "cross-site"}
    assert ask("POST", "/subscribe", data={"email": ADA}, headers=foreign).status_code == 403
    assert ask("POST", "/subscribe/sent", data={"code": "x"}, headers=OPERATORS_SITE).status_code == 403


SIGNUPS = "/api/v1/signups"


def test_a_script_of_the_operator_asks_with_json(ask: Ask, unit: Unit) -> None:
    """The twin of the form: the same rows, answers as JSON, readable by the operator's sites alone."""
    allowed = ask("OPTIONS", SIGNUPS, headers=OPERATORS_SITE)
    assert allowed.headers["Access-Control-Allow-Origin"] == "https://www.example.com"
    answer = ask("POST", SIGNUPS, json={"email": ADA, "first_name": "Ada"}, headers=OPERATORS_SITE)
    assert (answer.status_code, answer.json()) == (202, {"status": "sent"})
    assert answer.headers["Access-Control-Allow-Origin"] == "https://www.example.com"
    assert answer.headers["Cache-Control"] == "no-store"
    assert request_count(unit) == 1
    wrong = ask("POST", SIGNUPS, json={"email": "ada"}, headers=OPERATORS_SITE)
    assert (wrong.status_code, wrong.headers["Content-Type"]) == (422, "application/problem+json")
    assert (wrong.json()["title"], list(wrong.json()["mistakes"])) == ("Unprocessable Entity", ["email"])
    stranger = ask("OPTIONS", SIGNUPS, headers={"Origin": "https://x.example"})
    assert "Access-Control-Allow-Origin" not in stranger.headers


def test_json_comes_from_a_listed_site(ask: Ask, unit: Unit) -> None:
    """A program without a site has no stamp either; a form is not JSON; a network waits as with the form."""
    assert ask("POST", SIGNUPS, json={"email": ADA}).status_code == 403
    assert ask("POST", SIGNUPS, data={"email": ADA}, headers=OPERATORS_SITE).status_code == 415
    for number in range(5):
        ask("POST", SIGNUPS, json={"email": f"r{number}@example.org"}, headers=OPERATORS_SITE)
    later = ask("POST", SIGNUPS, json={"email": ADA}, headers=OPERATORS_SITE)
    assert (later.status_code, later.json()["again_at"]) == (429, "2026-11-01T13:00:00+00:00")
    assert later.headers["Retry-After"] == "3600"
    assert request_count(unit) == 0


@pytest.mark.parametrize("body", [b"[]", b"{", b"\xff", b"[" * 100_000, b'{"email": ["a"]}', b"x" * 100_000])
def test_any_json_is_answered(ask: Ask, body: bytes) -> None:
    """What cannot be read has no fields."""
    headers = {**OPERATORS_SITE, "Content-Type": "application/json"}
    assert ask("POST", SIGNUPS, content=body, headers=headers).status_code == 422


def test_a_form_elsewhere_brings_its_reader_back(ask: Ask) -> None:
    """To a listed site alone; our own form, and an address elsewhere, lead to our page."""
    thanks = "https://www.example.com/thanks?from=tips#top"
    fields = {"email": ADA, "return_to": thanks}
    assert ask("POST", "/subscribe", data=fields, headers=OPERATORS_SITE).headers["Location"] == thanks
    fields = {"email": ADA, "return_to": "https://evil.example.net/"}
    assert ask("POST", "/subscribe", data=fields, headers=OPERATORS_SITE).headers["Location"] == "/subscribe/sent"


def test_a_link_that_is_too_old_offers_the_form(ask: Ask, parts: WebParts, clock: FixedClock) -> None:
    """After seven days nothing is confirmed."""
    post_form(ask, clock)
    processor_of(parts).work(clock.now())
    link = link_of(mail_to(parts))
    clock.turn(days=7)
    answer = ask("POST", link)
    assert (answer.status_code, 'href="/subscribe"' in answer.text) == (410, True)
    assert ask("GET", "/c/forged").status_code == 404
    assert person(parts.unit) is None


def test_static_files_are_kept_for_ever(ask: Ask) -> None:
    """Their names change with their content."""
    html = ask("GET", "/subscribe").text
    for url in re.findall(r'(?:href|src)="(/static/[^"]+)"', html):
        answer = ask("GET", url)
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert ask("GET", "/static/site.000000000000.css").status_code == 404


def test_no_address_stands_in_the_log_or_in_a_url(
    ask: Ask, parts: WebParts, clock: FixedClock, caplog: pytest.LogCaptureFixture
) -> None:
    """The whole way from the form to the welcome leaves the address in the database alone."""
    answer = post_form(ask, clock)
    processor_of(parts).work(clock.now())
    link = link_of(mail_to(parts))
    response = ask("POST", link, headers=cookie_of(answer))
    assert "ada@" not in f"{link} {answer.headers} {response.headers} {response.text} {caplog.text}"


def test_the_pages_live_below_the_path_of_the_address(parts: WebParts, stage: tuple[Stage, str]) -> None:
    """Whether the reverse proxy takes the path off or not, pages are found and lead below it."""
    moved = replace(parts, publication=replace(parts.publication, base_url="https://example.com/news"))
    for ask in asking(stage, moved):
        for path in ("/news/subscribe", "/subscribe"):
            html = ask("GET", path).text
            assert 'action="/news/subscribe"' in html
            assert 'href="/news/static/' in html
        assert ask("POST", "/news/subscribe", data={"email": ADA}, headers=OPERATORS_SITE).headers["Location"] == (
            "/news/subscribe/sent"
        )


def test_the_mail_is_sent_once_more(ask: Ask, parts: WebParts, clock: FixedClock) -> None:
    """After a minute, in the browser that asked, and the page says the same for every address."""
    cookie = cookie_of(post_form(ask, clock))
    processor_of(parts).work(clock.now())
    early = ask("POST", "/subscribe/again", headers=cookie)
    assert (early.status_code, "may take a minute" in early.text) == (429, True)
    clock.turn(seconds=60)
    answer = ask("POST", "/subscribe/again", headers=cookie)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/subscribe/sent?again")
    assert "another message is on its way" in ask("GET", "/subscribe/sent?again").text
    processor_of(parts).work(clock.now())
    with parts.unit.read() as tx:
        assert len(notices.to_addresses(tx, [ADA])) == 2
    right = ask("POST", "/subscribe/sent", data={"code": code_of(mail_to(parts))}, headers=cookie)
    assert "You are subscribed" in right.text
    stranger = ask("POST", "/subscribe/again")
    assert (stranger.status_code, "cannot match" in stranger.text) == (422, True)


def test_the_owner_blocks_the_address(ask: Ask, parts: WebParts, clock: FixedClock) -> None:
    """Opening the link changes nothing; one press blocks, another takes it back."""
    post_form(ask, clock)
    processor_of(parts).work(clock.now())
    link = re.findall(r"https://news\.example\.com(/block/\S+)", mail_to(parts))[0]
    page = ask("GET", link)
    assert ("a***@example.org" in page.text, page.headers["Cache-Control"]) == (True, "no-store")
    clock.turn(days=2)
    assert "The address is blocked" in ask("POST", link, data={"act": "block"}).text
    post_form(ask, clock)
    assert processor_of(parts).work(clock.now()) == 1
    assert "The address is free again" in ask("POST", link, data={"act": "unblock"}).text
    post_form(ask, clock)
    processor_of(parts).work(clock.now())
    with parts.unit.read() as tx:
        assert len(notices.to_addresses(tx, [ADA])) == 2
    assert ask("GET", "/block/forged").status_code == 404
    clock.turn(days=12)
    assert ask("POST", link).status_code == 410

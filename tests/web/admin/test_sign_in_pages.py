"""The pages for signing in, asked as a program would: equal answers, cookies, limits, replays, scanners."""

from __future__ import annotations

import re
from dataclasses import replace

import httpx
import pytest

from newsletter.core.access import SIGN_IN_RULES, SignInLimit
from newsletter.store import session as sessions
from newsletter.store.unit import Unit
from newsletter.testing.clocks import FixedClock
from newsletter.web.admin.guard import SESSION_COOKIE
from newsletter.web.admin.sign_in import safe_back
from newsletter.web.asking_browser import ASKED_COOKIE
from tests.flows.sign_in_fixtures import ADMIN, EDITOR, STRANGER, Mailed, mailed, make_sign_in_processor
from tests.web.admin.conftest import AskAs
from tests.web.conftest import Ask, Stage, WebParts, asking


def cookies_of(answer: httpx.Response) -> dict[str, str]:
    """Return the cookies that an answer sets."""
    return dict(re.findall(r"^(__Host-\w+)=([^;]*)", line)[0] for line in answer.headers.get_list("Set-Cookie"))


def as_header(cookies: dict[str, str]) -> dict[str, str]:
    """Return cookies as a browser sends them; httpx keeps no secure one for plain http."""
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}


def ask_for_mail(ask: Ask, parts: WebParts, clock: FixedClock, email: str = ADMIN, back: str = "") -> dict[str, str]:
    """Type an address, let the mail be written, and return the cookie of the browser."""
    answer = ask("POST", "/admin/sign-in", data={"email": email, "back": back})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/admin/sign-in/code")
    make_sign_in_processor(parts.unit).work(clock.now())
    return cookies_of(answer)


def live(unit: Unit, clock: FixedClock) -> int:
    """Count the sessions that last."""
    with unit.read() as tx:
        return len(sessions.live(tx, now=clock.now()))


def test_every_address_gets_the_same_answer(ask: Ask, parts: WebParts) -> None:
    """A stranger, an editor and an admin see the same bytes, so the page tells nobody who may sign in."""
    answers = [ask("POST", "/admin/sign-in", data={"email": email}) for email in (ADMIN, EDITOR, STRANGER)]
    assert len({(answer.status_code, answer.headers["Location"], answer.text) for answer in answers}) == 1
    codes = [
        ask("POST", "/admin/sign-in/code", data={"code": "0000-0000"}, headers=as_header(cookies_of(answer)))
        for answer in answers
    ]
    assert len({(answer.status_code, answer.text) for answer in codes}) == 1


def test_the_code_opens_the_page_that_was_asked_for(ask: Ask, parts: WebParts, clock: FixedClock) -> None:
    """Somebody follows a link to a page, signs in, and lands there."""
    first = ask("GET", "/admin/sessions?changed=1")
    assert first.headers["Location"] == "/admin/sign-in?back=%2Fadmin%2Fsessions%3Fchanged%3D1"
    form = ask("GET", first.headers["Location"]).text
    [back] = re.findall(r'name="back" value="([^"]*)"', form)
    asked = ask_for_mail(ask, parts, clock, back=back)
    answer = ask("POST", "/admin/sign-in/code", data={"code": mailed(parts.unit).code}, headers=as_header(asked))
    assert (answer.status_code, answer.headers["Location"]) == (303, "/admin/sessions?changed=1")
    page = ask("GET", "/admin/sessions", headers=as_header(cookies_of(answer)))
    assert (page.status_code, "this browser" in page.text) == (200, True)


@pytest.mark.parametrize(
    "back",
    [
        "https://evil.example.net/",
        "//evil.example.net/admin/",
        "/admin/../u/x",
        "/admin//evil.example.net",
        "/admin/out",
        "/admin/sign-in",
        "/u/token",
        "/admin/\\evil",
        "/admin/x\r\nSet-Cookie: a=b",
        "javascript:alert(1)",
    ],
)
def test_no_page_outside_is_returned_to(back: str) -> None:
    """Only pages of the admin area are led to; anything else leads home."""
    assert safe_back(back) == ""


def test_every_cookie_is_bound_to_this_host(ask: Ask, parts: WebParts, clock: FixedClock) -> None:
    """`__Host-`, `Secure`, `HttpOnly` and `SameSite=Lax` on each, and a session cookie of 256 random bits."""
    first = ask("POST", "/admin/sign-in", data={"email": ADMIN})
    make_sign_in_processor(parts.unit).work(clock.now())
    code = mailed(parts.unit).code
    second = ask("POST", "/admin/sign-in/code", data={"code": code}, headers=as_header(cookies_of(first)))
    third = ask("POST", "/admin/out", headers=as_header(cookies_of(second)))
    lines = [line for answer in (first, second, third) for line in answer.headers.get_list("Set-Cookie")]
    assert len(lines) == 4
    for line in lines:
        assert line.startswith("__Host-")
        for part in ("Secure", "HttpOnly", "SameSite=lax", "Path=/"):
            assert part in line
        assert "Domain" not in line
    assert len(cookies_of(second)[SESSION_COOKIE]) == 43


def test_a_session_that_the_browser_brings_along_is_none(ask: Ask, parts: WebParts, clock: FixedClock) -> None:
    """Session fixation: a cookie planted before the sign-in opens nothing after it."""
    planted = {SESSION_COOKIE: "A" * 43}
    asked = ask_for_mail(ask, parts, clock)
    code = mailed(parts.unit).code
    answer = ask("POST", "/admin/sign-in/code", data={"code": code}, headers=as_header(asked | planted))
    assert cookies_of(answer)[SESSION_COOKIE] != planted[SESSION_COOKIE]
    assert ask("GET", "/admin/", headers=as_header(planted)).status_code == 303
    assert ask("GET", "/admin/", headers=as_header(cookies_of(answer))).status_code == 200


@pytest.fixture
def mail(ask: Ask, parts: WebParts, clock: FixedClock) -> tuple[Mailed, dict[str, str]]:
    """Return the mail, and the cookie of the browser that asked."""
    asked = ask_for_mail(ask, parts, clock)
    return mailed(parts.unit), asked


def test_a_scanner_that_opens_the_link_gets_nothing(
    ask: Ask, parts: WebParts, clock: FixedClock, mail: tuple[Mailed, dict[str, str]]
) -> None:
    """It reads a code that works nowhere else, presses every button, and there is no session."""
    for method in ("GET", "HEAD", "OPTIONS", "POST", "GET"):
        answer = ask(method, mail[0].path)
        assert SESSION_COOKIE not in cookies_of(answer)
    page = ask("GET", mail[0].path)
    assert mail[0].code in page.text
    assert "<form" not in page.text
    assert ask("POST", "/admin/sign-in/code", data={"code": mail[0].code}).status_code == 422
    assert live(parts.unit, clock) == 0


def test_a_link_is_used_once(ask: Ask, parts: WebParts, clock: FixedClock, mail: tuple[Mailed, dict[str, str]]) -> None:
    """A replay by the same browser makes no further session."""
    headers = as_header(mail[1])
    assert ask("POST", mail[0].path, headers=headers).status_code == 303
    assert ask("POST", mail[0].path, headers=headers).status_code == 410
    assert ask("POST", "/admin/sign-in/code", data={"code": mail[0].code}, headers=headers).status_code == 422
    assert live(parts.unit, clock) == 1


def test_the_sixth_code_and_the_eleventh_minute_are_refused(
    ask: Ask, parts: WebParts, clock: FixedClock, mail: tuple[Mailed, dict[str, str]]
) -> None:
    """Guessing ends after five attempts, and everything after ten minutes."""
    headers = as_header(mail[1])
    for code in ("0000-0000",) * 5:
        assert ask("POST", "/admin/sign-in/code", data={"code": code}, headers=headers).status_code == 422
    assert ask("POST", "/admin/sign-in/code", data={"code": mail[0].code}, headers=headers).status_code == 422
    fresh = ask_for_mail(ask, parts, clock)
    clock.turn(minutes=10)
    late = mailed(parts.unit)
    assert ask("POST", "/admin/sign-in/code", data={"code": late.code}, headers=as_header(fresh)).status_code == 422
    assert ask("POST", late.path, headers=as_header(fresh)).status_code == 410
    assert live(parts.unit, clock) == 0


@pytest.mark.parametrize("path", ["/admin/in/forged", "/admin/in/"])
def test_a_forged_link_opens_nothing(ask: Ask, path: str) -> None:
    """A token that is not ours is refused in words."""
    for method in ("GET", "POST"):
        answer = ask(method, path)
        assert (answer.status_code, "does not work" in answer.text) == (404, True)


def test_a_network_that_asks_too_often_waits(ask: Ask) -> None:
    """The page says until when, and names the way that needs no mail."""
    for number in range(SIGN_IN_RULES[SignInLimit.NETWORK].count):
        assert ask("POST", "/admin/sign-in", data={"email": f"a{number}@example.org"}).status_code == 303
    answer = ask("POST", "/admin/sign-in", data={"email": ADMIN})
    assert (answer.status_code, "newsletter admin sign-in" in answer.text) == (429, True)
    assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.parametrize("email", ["", "ada", "<script>@example.org", "x" * 400])
def test_a_mistake_in_the_address_is_shown(ask: Ask, email: str) -> None:
    """The form comes back with what was typed, escaped, and a sentence."""
    answer = ask("POST", "/admin/sign-in", data={"email": email})
    assert (answer.status_code, "<script>@" in answer.text) == (422, False)
    assert 'aria-invalid="true"' in answer.text


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("news.example.com", 200),
        ("127.0.0.1:8080", 200),
        ("localhost", 200),
        ("[::1]:8080", 200),
        ("192.0.2.7:8080", 421),
        ("newsletter.lan", 421),
        ("evil.example.net", 421),
    ],
)
def test_the_area_answers_at_its_own_address_alone(ask: Ask, host: str, status: int) -> None:
    """Plain http beyond this machine, and foreign names that point here, are sent to the public address."""
    answer = ask("GET", "/admin/sign-in", headers={"Host": host})
    assert answer.status_code == status
    assert ("https://news.example.com/admin/" in answer.text) == (status == 421)


def test_showing_once_more_who_you_are_leads_back(ask: Ask, ask_as: AskAs, parts: WebParts, clock: FixedClock) -> None:
    """The mail goes to the address of the session, and the new session takes the place of the old one."""
    admin = ask_as(ADMIN)
    answer = admin("POST", "/admin/confirm-identity", data={"back": "/admin/sessions", "email": STRANGER})
    assert answer.headers["Location"] == "/admin/sign-in/code"
    make_sign_in_processor(parts.unit).work(clock.now())
    cookies = cookies_of(answer) | {SESSION_COOKIE: "cookie-0"}
    assert ASKED_COOKIE in cookies
    response = ask("POST", "/admin/sign-in/code", data={"code": mailed(parts.unit).code}, headers=as_header(cookies))
    assert response.headers["Location"] == "/admin/sessions"
    assert live(parts.unit, clock) == 1
    assert admin("GET", "/admin/").status_code == 303


def test_without_the_setting_there_is_no_admin_area(stage: tuple[Stage, str], parts: WebParts) -> None:
    """With the public pages alone, no address of the admin area answers."""
    for ask in asking(stage, replace(parts, web_options=replace(parts.web_options, admin=False))):
        for path in ("/admin", "/admin/", "/admin/sign-in", "/admin/sessions"):
            assert ask("GET", path).status_code == 404


def test_what_is_not_undone_is_asked_for_again(ask: Ask, ask_as: AskAs, parts: WebParts, clock: FixedClock) -> None:
    """Ending the session of another person leads to the question, and from there back to the page of the button."""
    editor, admin = ask_as(EDITOR), ask_as(ADMIN)
    clock.turn(minutes=11)
    referrer = {"Referer": "http://127.0.0.1/admin/sessions?changed"}
    asked = admin("POST", "/admin/sessions/1/end-of-other", headers=dict(referrer))
    assert asked.headers["Location"] == "/admin/confirm-identity?back=%2Fadmin%2Fsessions%3Fchanged"
    form = admin("GET", asked.headers["Location"]).text
    assert 'name="back" value="/admin/sessions?changed"' in form
    assert editor("GET", "/admin/").status_code == 200
    answer = admin("POST", "/admin/confirm-identity", data={"back": "/admin/sessions?changed"})
    make_sign_in_processor(parts.unit).work(clock.now())
    cookies = cookies_of(answer) | {SESSION_COOKIE: "cookie-1"}
    signed_in = ask("POST", "/admin/sign-in/code", data={"code": mailed(parts.unit).code}, headers=as_header(cookies))
    assert signed_in.headers["Location"] == "/admin/sessions?changed"
    ended = ask("POST", "/admin/sessions/1/end-of-other", headers=as_header(cookies_of(signed_in)))
    assert ended.headers["Location"] == "/admin/sessions?changed"
    assert editor("GET", "/admin/").status_code == 303

"""The opt-out by its link: every rule of RFC 8058, and what readers, scanners and strangers do."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from newsletter.core.subscriber import SubscriberId, SubscriberState
from newsletter.core.token import Keyring, make_unsubscribe_token
from newsletter.store import subscriber as subscribers
from newsletter.store.unit import Unit
from newsletter.web.one_click import BODY_BYTES
from tests.web.conftest import KEYRING, ONE_CLICK, Ask, Reader

ACTIVE, UNSUBSCRIBED = SubscriberState.ACTIVE, SubscriberState.UNSUBSCRIBED
FORM = "application/x-www-form-urlencoded"


def endless(size: int) -> Iterator[bytes]:
    """Yield a body without a length, which goes out in chunks."""
    for _ in range(size // 8192):
        yield b"x" * 8192


BODIES: dict[str, dict[str, Any]] = {
    "multipart, as receivers should": {"files": {"List-Unsubscribe": (None, "One-Click")}},
    "urlencoded, as Gmail does": {"data": ONE_CLICK},
    "the button of our page": {"data": {**ONE_CLICK, "by": "page"}},
    "empty": {},
    "another word": {"data": {"List-Unsubscribe": "Yes-Please"}},
    "multipart without a boundary": {"content": b"--x\r\n", "headers": {"Content-Type": "multipart/form-data"}},
    "multipart cut short": {
        "content": b"--x\r\nContent-Disposition: form-da",
        "headers": {"Content-Type": "multipart/form-data; boundary=x"},
    },
    "no text": {"content": bytes(range(256)), "headers": {"Content-Type": FORM}},
    "a thousand fields": {"content": b"&".join([b"by=page"] * 1000), "headers": {"Content-Type": FORM}},
    "a false charset": {"content": b"by=page", "headers": {"Content-Type": FORM + "; charset=no-such-charset"}},
    "JSON": {"json": {"List-Unsubscribe": "One-Click"}},
    "2 MB": {"content": b"x" * 2_000_000, "headers": {"Content-Type": FORM}},
    "2 MB in chunks": {"content": endless(2_000_000), "headers": {"Content-Type": FORM}},
    "a cookie, a foreign origin": {
        "data": ONE_CLICK,
        "headers": {"Cookie": "session=1", "Origin": "https://mail.example.net", "Sec-Fetch-Site": "cross-site"},
    },
}


@pytest.mark.parametrize("body", BODIES)
def test_any_body_will_do(ask: Ask, reader: Reader, body: str) -> None:
    """An opt-out is never lost over a detail of the body, and is in the database before the 200."""
    request = BODIES[body]
    if "chunks" in body:
        request = {**request, "content": endless(2_000_000)}
    answer = ask("POST", f"/u/{reader.token}", **request)
    assert (answer.status_code, reader.state) == (200, UNSUBSCRIBED)
    assert "You are unsubscribed" in answer.text


@pytest.mark.parametrize("behind", ["/", ".", ")", "%3E", "/?utm_source=x", "?", "%0A"])
def test_what_others_put_behind_the_link_does_no_harm(ask: Ask, reader: Reader, behind: str) -> None:
    """A slash, a full stop or a campaign parameter behind the token is answered directly, not by a redirect."""
    answer = ask("POST", f"/u/{reader.token}{behind}", data=ONE_CLICK)
    assert (answer.status_code, reader.state) == (200, UNSUBSCRIBED)


def test_a_get_changes_nothing(ask: Ask, reader: Reader) -> None:
    """A scanner that opens every link of a mail unsubscribes nobody; a person sees one button."""
    answer = ask("GET", f"/u/{reader.token}")
    assert (answer.status_code, reader.state) == (200, ACTIVE)
    assert answer.text.count("<form") == answer.text.count("<button") == 1
    assert '<form method="post">' in answer.text
    assert '<input type="hidden" name="List-Unsubscribe" value="One-Click">' in answer.text


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("OPTIONS", 204), ("PUT", 405), ("DELETE", 405)])
def test_other_methods_change_nothing(ask: Ask, reader: Reader, method: str, status: int) -> None:
    """Only POST has an effect."""
    answer = ask(method, f"/u/{reader.token}")
    assert (answer.status_code, reader.state) == (status, ACTIVE)
    assert not any(name.startswith("access-control") for name in answer.headers)
    if status != 200:
        assert set(answer.headers["Allow"].replace(" ", "").split(",")) == {"GET", "HEAD", "POST", "OPTIONS"}


def test_a_query_cannot_make_a_get_into_a_post(ask: Ask, reader: Reader) -> None:
    """Not even the words of RFC 8058 in the address make opening it count."""
    ask("GET", f"/u/{reader.token}?List-Unsubscribe=One-Click&by=page")
    ask("GET", f"/u/{reader.token}", headers={"X-HTTP-Method-Override": "POST"})
    assert reader.state is ACTIVE


def test_a_second_post_is_a_second_200(ask: Ask, reader: Reader, unit: Unit) -> None:
    """Asking again is harmless, and leaves one piece of evidence."""
    assert [ask("POST", f"/u/{reader.token}", data=ONE_CLICK).status_code for _ in range(3)] == [200, 200, 200]
    with unit.read() as tx:
        assert len(subscribers.consents(tx, reader.id)) == 1


def test_an_erased_subscriber_gets_a_200(ask: Ask, reader: Reader, unit: Unit) -> None:
    """A link from a mail of somebody who was erased is genuine, and there is nothing left to do."""
    with unit.write() as tx:
        subscribers.erase(tx, reader.id)
    answer = ask("POST", f"/u/{reader.token}", data=ONE_CLICK)
    assert (answer.status_code, reader.state) == (200, None)


def test_a_number_nobody_ever_had_gets_a_200(ask: Ask, reader: Reader) -> None:
    """A genuine signature suffices, as after a database was restored from before the subscription."""
    token = make_unsubscribe_token(KEYRING, SubscriberId(999_999))
    assert ask("POST", f"/u/{token}", data=ONE_CLICK).status_code == 200
    assert reader.state is ACTIVE


@pytest.mark.parametrize(("body", "channel"), [(ONE_CLICK, "one-click"), ({**ONE_CLICK, "by": "page"}, "page")])
def test_the_evidence_names_the_way_and_the_mail(
    ask: Ask, reader: Reader, unit: Unit, body: dict[str, str], channel: str
) -> None:
    """Time, channel and edition of an opt-out are kept."""
    ask("POST", f"/u/{reader.token}", data=body)
    with unit.read() as tx:
        (consent,) = subscribers.consents(tx, reader.id)
    assert (consent.action, consent.channel, consent.edition_id) == ("unsubscribed", channel, 7)


def changed(token: str) -> str:
    """Return the token with another last character."""
    return token[:-1] + ("A" if token[-1] != "A" else "B")


FORGED = {
    "changed": changed,
    "cut": lambda token: token[:-1],
    "grown": lambda token: token + "A",
    "padded": lambda token: token + "=A",
    "another case": lambda token: token.swapcase(),
    "another secret": lambda _: make_unsubscribe_token(
        Keyring(current="another secret of thirty-two c"), SubscriberId(1)
    ),
    "empty": lambda _: "",
    "no slash": lambda _: "../u",
    "10 KB": lambda _: "A" * 10_240,
    "20 KB of percent signs": lambda _: "%41" * 7_000,
    "unicode": lambda token: "ü" + token[1:],
    "wide digits": lambda token: "\uff21" * 36,
    "NUL": lambda token: "%00" + token,
    "NUL within": lambda token: token[:18] + "%00" + token[18:],
    "a way up": lambda token: "..%2F..%2Fetc%2Fpasswd",
    "a way up and back": lambda token: f"%2E%2E/u/{token}",
    "two tokens": lambda token: f"{token}/{token}",
    "broken UTF-8": lambda token: "%FF%FE",
    "markup": lambda token: "%3Cscript%3Ealert(1)%3C/script%3E",
    "a template": lambda token: "%7B%7B7*7%7D%7D",
    "a preview": lambda token: "preview",
    "a line break": lambda token: token[:9] + "%0D%0ASet-Cookie:%20x=1" + token[9:],
}


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("forgery", FORGED)
def test_a_forged_link_is_a_404_with_a_way_out(ask: Ask, reader: Reader, forgery: str, method: str) -> None:
    """Whatever a stranger sends changes nothing, is not shown back, and says what a reader can do."""
    token = FORGED[forgery](reader.token)
    answer = ask(method, f"/u/{token}", **({"data": ONE_CLICK} if method == "POST" else {}))
    assert (answer.status_code, reader.state) == (404, ACTIVE)
    assert "mailto:hello@news.example.com?subject=Unsubscribe" in answer.text
    assert "alert(1)" not in answer.text
    assert "49" not in answer.text
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("path", ["/u", "/u/"])
def test_no_token_at_all_is_a_404_too(ask: Ask, path: str) -> None:
    """A link that lost its token gets the same page, without a redirect."""
    answer = ask("POST", path, data=ONE_CLICK)
    assert answer.status_code == 404
    assert "This link does not work" in answer.text


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(junk=st.text(min_size=1, max_size=60))
def test_no_text_is_a_server_error(ask: Ask, junk: str) -> None:
    """Whatever text stands in the place of a token, the answer is a 404 page."""
    answer = ask("POST", "/u/" + "".join(f"%{byte:02X}" for byte in junk.encode(errors="replace")), data=ONE_CLICK)
    assert answer.status_code == 404
    assert "text/html" in answer.headers["Content-Type"]


@pytest.mark.parametrize("path", ["token", "forged", "elsewhere", "health"])
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "OPTIONS"])
def test_every_answer_keeps_the_link_to_itself(ask: Ask, reader: Reader, path: str, method: str) -> None:
    """No cache, no search engine, no other site learns the address, and nobody may frame or sniff a page."""
    paths = {"token": f"/u/{reader.token}", "forged": "/u/x", "elsewhere": "/nothing", "health": "/healthz"}
    answer = ask(method, paths[path])
    assert answer.headers["Cache-Control"].split(", ")[0] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["X-Robots-Tag"] == "noindex"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "set-cookie" not in answer.headers
    assert "location" not in answer.headers
    assert answer.status_code < 300 or answer.status_code >= 400
    if answer.headers.get("Content-Type", "").startswith("text/html"):
        policy = answer.headers["Content-Security-Policy"].split("; ")
        assert {"default-src 'none'", "form-action 'self'", "frame-ancestors 'none'"} <= set(policy)
        assert not any("unsafe" in rule or "http" in rule for rule in policy)


def test_the_log_never_has_the_token(
    ask: Ask, reader: Reader, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Whoever reads the log cannot unsubscribe anybody by it; it names the person by number, once."""
    caplog.set_level(logging.DEBUG)
    for method in ("GET", "POST", "POST"):
        ask(method, f"/u/{reader.token}")
        ask(method, f"/u/{changed(reader.token)}")
    # httpx, which asks here, logs the addresses it asks for; that is this test's own doing.
    ours = "\n".join(one.getMessage() for one in caplog.records if not one.name.startswith(("httpx", "httpcore")))
    assert ours.count(f"opt-out by one-click, subscriber {reader.id}") == 1
    written = "".join(capfd.readouterr())
    assert reader.token not in ours + written
    assert reader.token[-12:] not in ours + written


def test_no_more_of_a_body_is_kept_than_announced() -> None:
    """The bound that the documentation names."""
    assert BODY_BYTES == 65_536


def test_a_link_of_an_old_key_works(ask_after_rotation: Ask, reader: Reader) -> None:
    """A link signed by a secret that was replaced years ago still counts."""
    assert ask_after_rotation("POST", f"/u/{reader.token}", data=ONE_CLICK).status_code == 200
    assert reader.state is UNSUBSCRIBED


def test_answers_are_quick_to_a_client_that_asks_first(ask: Ask, reader: Reader) -> None:
    """A client that waits for `100 Continue` before its body is answered."""
    answer: httpx.Response = ask("POST", f"/u/{reader.token}", data=ONE_CLICK, headers={"Expect": "100-continue"})
    assert (answer.status_code, reader.state) == (200, UNSUBSCRIBED)

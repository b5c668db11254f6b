"""The whole way of a reader, to export and erasure: nothing personal in a URL, a header, the log or a cache."""

from __future__ import annotations

import re

import httpx
import pytest
from sqlalchemy import select

from newsletter.flows.export_person import export_person
from newsletter.store.schema import metadata
from newsletter.store.unit import Unit
from newsletter.testing.clocks import FixedClock
from tests.web.conftest import KEYRING, Ask, WebParts
from tests.web.signup_fixtures import code_of, cookie_of, link_of, mail_to, post_form, processor_of

ADA, NEW = "ada.lovelace@example.org", "lovelace@work.example"
LINK = re.compile(r"https://news\.example\.com(/\S+)")


def rows_with(unit: Unit, *words: str) -> list[str]:
    """Return the tables with a row in which one of these words stands, in any case."""
    with unit.read() as tx:
        return [
            table.name
            for table in metadata.sorted_tables
            for row in tx.execute(select(table))
            if any(word.lower() in repr(tuple(row)).lower() for word in words)
        ]


def link_to(parts: WebParts, start: str, email: str) -> str:
    """Return the path in the newest mail to an address that begins in a way."""
    return next(path for path in LINK.findall(mail_to(parts, email)) if path.startswith(start))


class Recorder:
    """Asks, and keeps each answer."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self.answers: list[httpx.Response] = []

    def __call__(self, method: str, path: str, **values: object) -> httpx.Response:
        """Ask once."""
        answer = self._ask(method, path, **values)
        self.answers.append(answer)
        return answer


def test_a_reader_comes_changes_and_goes_for_good(
    ask: Ask, parts: WebParts, clock: FixedClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Sign-up, code, private link, name, new address, pause, export, erasure, and back again by their own wish."""
    caplog.set_level("DEBUG", logger="newsletter")
    record, processor = Recorder(ask), processor_of(parts)
    asked = post_form(record, clock, ADA, first_name="Augusta")
    processor.work(clock.now())
    confirmation = mail_to(parts, ADA)
    old_links = [link_of(confirmation), link_to(parts, "/block/", ADA)]
    record("GET", old_links[0])
    record("POST", "/subscribe/sent", data={"code": code_of(confirmation)}, headers=cookie_of(asked))
    processor.work(clock.now())
    settings = link_to(parts, "/p/", ADA)
    record("GET", settings)
    record("POST", settings)
    processor.work(clock.now())
    private = link_to(parts, "/me/", ADA)
    record("GET", private)
    record("POST", f"{private}/name", data={"value": "Augusta Ada"})
    record("POST", f"{private}/pause")
    record("POST", f"{private}/resume")
    moved = record("POST", f"{private}/address", data={"value": NEW})
    processor.work(clock.now())
    record("POST", link_to(parts, "/address/", NEW), headers=cookie_of(moved))
    processor.work(clock.now())
    document = record("GET", f"{private}/data.json").json()
    assert (document["email"], document["subscriber"]["first_name"]) == (NEW, "Augusta Ada")
    assert [consent["action"] for consent in document["consent"]] == [
        *("subscribed", "paused", "resumed", "address changed")
    ]
    assert document["sign_ups"][0]["wording"].startswith("I want Tip of the Week")
    assert {item["kind"] for item in document["notices"]} == {
        *("confirm", "welcome", "private-link", "new-address", "address-changed")
    }
    record("GET", f"{private}/erase")
    assert "Everything is deleted" in record("POST", f"{private}/erase").text

    assert rows_with(parts.unit, ADA, NEW, "Augusta") == []
    for link in (*old_links, private, settings):
        answer = record("POST", link)
        assert answer.status_code < 500
        assert "lovelace" not in answer.text
    known = export_person(parts.unit, KEYRING, NEW, now=clock.now())
    assert known is not None
    assert (known["subscriber"], known["suppression"]["reason"]) == (None, "erased")
    assert_nothing_personal(record.answers)
    for word in ("lovelace", "augusta"):
        assert word not in caplog.text.lower()

    clock.turn(days=1)
    post_form(record, clock, ADA)
    processor.work(clock.now())
    assert "You are subscribed" in record("POST", link_of(mail_to(parts, ADA))).text


def assert_nothing_personal(answers: list[httpx.Response]) -> None:
    """Assert that no URL or header names the person, and that pages about them are kept by no cache."""
    for answer in answers:
        lines = [f"{name}: {value}" for name, value in answer.headers.items()]
        assert "lovelace" not in " ".join([str(answer.request.url), *lines]).lower()
        if any(word in answer.text.lower() for word in ("@example.org", "@work.example", "augusta")):
            assert answer.headers["Cache-Control"] == "no-store", answer.request.url
            assert answer.headers["Referrer-Policy"] == "no-referrer", answer.request.url

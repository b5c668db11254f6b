"""The pages around leaving where the public pages are on."""

from __future__ import annotations

import re

import httpx
import pytest

from newsletter.core.subscriber import SubscriberId, SubscriberState
from newsletter.core.token import make_unsubscribe_token
from newsletter.store import subscriber as subscribers
from newsletter.testing.clocks import FixedClock
from tests.web.conftest import KEYRING, ONE_CLICK, Ask, Reader

PRESS = {"data": {**ONE_CLICK, "by": "page"}}


def undo_path(answer: httpx.Response) -> str:
    """Return where the forms of the page after leaving go."""
    return re.findall(r'action="(/undo/[^"]+)"', answer.text)[0]


def test_the_page_says_whose_mail_it_is(ask: Ask, reader: Reader) -> None:
    """A forwarded mail shows that it was somebody else's, and gives nothing away."""
    page = ask("GET", f"/u/{reader.token}")
    assert "a***@example.com" in page.text
    assert "ann@" not in page.text
    gone = make_unsubscribe_token(KEYRING, SubscriberId(99_999))
    assert "writing to you at once" in ask("GET", f"/u/{gone}").text


def test_leaving_is_undone_for_half_an_hour(ask: Ask, reader: Reader, clock: FixedClock) -> None:
    """Only the page of the press that changed something has the button; a second press has none."""
    answer = ask("POST", f"/u/{reader.token}", **PRESS)
    assert "a***@example.com" in answer.text
    assert "/undo/" not in ask("POST", f"/u/{reader.token}", **PRESS).text
    path = undo_path(answer)
    for method in ("GET", "HEAD"):
        assert ask(method, path).status_code == 200
    assert reader.state is SubscriberState.UNSUBSCRIBED
    assert "You stay on the list" in ask("POST", path, data={"act": "undo"}).text
    assert reader.state is SubscriberState.ACTIVE
    assert ask("POST", path, data={"act": "undo"}).status_code == 409
    late = undo_path(ask("POST", f"/u/{reader.token}", **PRESS))
    clock.turn(minutes=30)
    assert ask("POST", late, data={"act": "undo"}).status_code == 410
    assert reader.state is SubscriberState.UNSUBSCRIBED


def test_pausing_instead(ask: Ask, reader: Reader) -> None:
    """Four weeks, with the day on which it ends."""
    path = undo_path(ask("POST", f"/u/{reader.token}", **PRESS))
    assert "Paused until Sunday 29 November 2026" in ask("POST", path, data={"act": "pause"}).text
    assert reader.state is SubscriberState.PAUSED


def test_a_reason_is_optional(ask: Ask, reader: Reader) -> None:
    """Whoever gives one has left all the same."""
    path = undo_path(ask("POST", f"/u/{reader.token}", **PRESS))
    assert "Thank you" in ask("POST", path, data={"act": "reason", "reason": "<b>Too often</b>"}).text
    assert reader.state is SubscriberState.UNSUBSCRIBED
    with reader.unit.read() as tx:
        assert subscribers.consents(tx, reader.id)[-1].source == "<b>Too often</b>"


@pytest.mark.parametrize(
    ("path", "fields", "status"),
    [("/undo/forged", {"act": "undo"}, 404), ("", {"act": "drop"}, 422), ("", {}, 422)],
)
def test_anything_else_changes_nothing(
    ask: Ask, reader: Reader, path: str, fields: dict[str, str], status: int
) -> None:
    """A forged token, and a button that is not there."""
    genuine = undo_path(ask("POST", f"/u/{reader.token}", **PRESS))
    assert ask("POST", path or genuine, data=fields).status_code == status
    assert reader.state is SubscriberState.UNSUBSCRIBED


def test_a_provider_that_posts_gets_the_same(ask: Ask, reader: Reader) -> None:
    """One-click (RFC 8058) needs nothing of the page."""
    assert ask("POST", f"/u/{reader.token}", data=ONE_CLICK).status_code == 200
    assert reader.state is SubscriberState.UNSUBSCRIBED

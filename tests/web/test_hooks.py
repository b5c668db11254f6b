"""`/hooks/PROVIDER` on a real server: what is answered, when, and that a refused request changes nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from jinja2 import Environment

from newsletter.core.subscriber import SubscriberState
from newsletter.errors import NotNow
from newsletter.store.unit import Tx, Unit
from newsletter.testing.clocks import START, FixedClock
from newsletter.web import hooks
from tests.core.webhook_payloads import CONFIRM_URL, OTHER_KEY, PROVIDERS, event, signed, sns, webhook
from tests.flows.bounce_fixtures import row, sent
from tests.flows.people_fixtures import get
from tests.flows.test_take_webhook import mail_of
from tests.web.conftest import Ask, WebParts, asking
from tests.web.test_request_checks import database_digest

WEBHOOKS = {provider: webhook(provider) for provider in PROVIDERS}


@pytest.fixture
def clock() -> FixedClock:
    """Return a clock at the time of the signatures."""
    return FixedClock(START)


@pytest.fixture
def parts(unit: Unit, clock: FixedClock, templates: Environment) -> WebParts:
    """Return the parts of an installation with every webhook."""
    return WebParts(unit=unit, clock=clock, templates=templates, webhooks=WEBHOOKS)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_bounce_is_committed_before_the_answer(ask: Ask, unit: Unit, provider: str) -> None:
    """After the 200 the subscription is over; the second time the answer is the same and nothing changes."""
    person, edition = sent(unit)
    request = signed(provider, [event(provider, "hard", mail_of(person, edition))])
    answer = ask("POST", f"/hooks/{provider}", content=request.body, headers=request.headers)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store, private")
    assert get(unit, person.id).state is SubscriberState.BOUNCED
    assert row(unit, edition, person).later == "bounced"
    assert ask("POST", f"/hooks/{provider}", content=request.body, headers=request.headers).status_code == 200


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_wrong_request_changes_nothing(ask: Ask, unit: Unit, provider: str, caplog: pytest.LogCaptureFixture) -> None:
    """A wrong signature, an old one, none at all, and five megabytes of nonsense; nothing of it is in the log."""
    person, edition = sent(unit)
    events = [event(provider, "hard", mail_of(person, edition))]
    before = database_digest(unit)
    wrong = signed(provider, events, key=OTHER_KEY)
    assert ask("POST", f"/hooks/{provider}", content=wrong.body, headers=wrong.headers).status_code == 401
    assert ask("POST", f"/hooks/{provider}", content=wrong.body).status_code == 401
    if provider in {"ses", "mailgun", "sendgrid", "resend"}:
        old = signed(provider, events, at=START - timedelta(days=2))
        assert ask("POST", f"/hooks/{provider}", content=old.body, headers=old.headers).status_code == 401
    nonsense = os.urandom(5_000_000)
    right = signed(provider, events)
    answer = ask("POST", f"/hooks/{provider}", content=nonsense, headers=right.headers)
    assert answer.status_code == (400 if provider == "sparkpost" else 413)
    assert ask("POST", f"/hooks/{provider}", content=iter([nonsense]), headers=right.headers).status_code in {400, 413}
    assert database_digest(unit) == before
    assert person.email not in caplog.text


@pytest.mark.parametrize("provider", ["postmark", "mailjet", "brevo", "sparkpost"])
@pytest.mark.parametrize("body", [b"", b"nonsense", b'"a text"', b"[1]", b"{", b"\xff"])
def test_what_cannot_be_read_is_400(ask: Ask, unit: Unit, provider: str, body: bytes) -> None:
    """With the right password and a body that the provider does not document."""
    before = database_digest(unit)
    right = signed(provider, [{}])
    answer = ask("POST", f"/hooks/{provider}", content=body, headers=right.headers)
    assert (answer.status_code, database_digest(unit)) == (400, before)


def test_only_what_is_set_up_is_there(ask: Ask) -> None:
    """Other providers are 404, and reading is 405."""
    assert ask("POST", "/hooks/elsewhere").status_code == 404
    assert ask("POST", "/hooks/").status_code == 404
    answer = ask("GET", "/hooks/mailgun")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


def test_a_subscription_is_confirmed_once_for_the_own_topic(
    stage: tuple[object, str], parts: WebParts, unit: Unit
) -> None:
    """The address of Amazon is fetched; for a foreign topic nothing is."""
    fetched: list[str] = []
    right = sns("SubscriptionConfirmation", "…", at=START, number=1)
    foreign = sns("SubscriptionConfirmation", "…", at=START, number=2, TopicArn="arn:aws:sns:eu-west-1:9:other")
    before = database_digest(unit)
    for ask in asking(stage, replace(parts, confirm_subscription=fetched.append)):  # type: ignore[arg-type]
        assert ask("POST", "/hooks/ses", json=foreign).status_code == 401
        assert fetched == []
        assert ask("POST", "/hooks/ses", json=right).status_code == 200
    assert fetched == [CONFIRM_URL]
    assert database_digest(unit) == before


def test_a_subscription_that_cannot_be_confirmed_comes_again(stage: tuple[object, str], parts: WebParts) -> None:
    """Amazon is told to try once more."""

    def fail(_url: str) -> None:
        raise NotNow

    for ask in asking(stage, replace(parts, confirm_subscription=fail)):  # type: ignore[arg-type]
        answer = ask("POST", "/hooks/ses", json=sns("SubscriptionConfirmation", "…", at=START, number=1))
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")


class BrokenUnit(Unit):
    """A door that raises, as a database does that is away."""

    def __init__(self) -> None: ...

    @contextmanager
    def write(self) -> Iterator[Tx]:
        """Raise."""
        raise NotNow("The database does not answer.")
        yield

    read = write


def test_the_provider_comes_again_while_the_database_is_away(
    stage: tuple[object, str], parts: WebParts, unit: Unit
) -> None:
    """No event is confirmed that was not written."""
    person, edition = sent(unit)
    request = signed("brevo", [event("brevo", "hard", mail_of(person, edition))])
    for ask in asking(stage, replace(parts, unit=BrokenUnit())):  # type: ignore[arg-type]
        answer = ask("POST", "/hooks/brevo", content=request.body, headers=request.headers)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")


def test_bodies_are_held_in_small_numbers(ask: Ask, unit: Unit, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a few requests at a time, the next is told to come again before its body is read."""
    monkeypatch.setattr(hooks, "HOOK_BODIES_MAX", 0)
    assert ask("POST", "/hooks/brevo", content=b"x").status_code == 503

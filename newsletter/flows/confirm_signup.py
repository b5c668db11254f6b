"""Confirming a sign-up: by the link of the mail, or by the code typed into the browser that asked.

In: a request's id with a genuine token, or a browser and a code. Out: what came of it. The person is on the list once
this commits, with evidence of the whole way: both times, both networks, the wording, and how it was confirmed. A
person's own confirmation brings them back whatever they were, and lifts the suppression of an erased address.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum

from newsletter.core.signup import CODE_TRIES_MAX, CONFIRM_WITHIN, Signup, SignupId, SignupMail
from newsletter.core.subscriber import Subscriber, SubscriberId, SubscriberState
from newsletter.core.token import Keyring, is_confirmation_code, suppression_hashes
from newsletter.flows.add_subscriber import newcomer
from newsletter.flows.change_subscriber import move_on
from newsletter.store import signup as signups
from newsletter.store import subscriber as subscribers
from newsletter.store import subscriber_batch as batches
from newsletter.store.signup import StoredSignup
from newsletter.store.subscriber import Consent
from newsletter.store.unit import Tx, Unit

WEB_CHANNEL = "web"


class Confirmed(Enum):
    """What came of a confirmation, or would come of it."""

    OPEN = "open"
    """Not confirmed yet: the button does it."""
    NOW = "now"
    """This call confirmed it."""
    BEFORE = "before"
    """It was confirmed before; nothing was changed."""
    EXPIRED = "expired"
    UNKNOWN = "unknown"
    """There is no such request (any more)."""
    WRONG_CODE = "wrong code"


class ConfirmedBy(Enum):
    """How a person confirmed, in the words of the evidence."""

    SAME_BROWSER = "the link, in the browser that asked"
    OTHER_BROWSER = "the link, in another browser"
    CODE = "the code, in the browser that asked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """The result, and the request it is about."""

    outcome: Confirmed
    signup: Signup | None = None
    confirmed_at: datetime | None = None
    subscriber_id: SubscriberId | None = None


def look_at_signup(unit: Unit, signup_id: SignupId, *, now: datetime) -> Confirmation:
    """Tell what pressing the button would do; nothing is changed."""
    with unit.read() as tx:
        return _standing(signups.by_id(tx, signup_id), now)


def confirm_signup(
    unit: Unit, keyring: Keyring, signup_id: SignupId, *, by: ConfirmedBy, network: str, now: datetime
) -> Confirmation:
    """Put the person of a request on the list; pressing twice changes nothing the second time."""
    with unit.write() as tx:
        standing = _standing(signups.by_id(tx, signup_id, lock=True), now)
        if standing.outcome is not Confirmed.OPEN or standing.signup is None:
            return standing
        return _confirm(tx, keyring, standing.signup, by=by, network=network, now=now)


def confirm_by_code(
    unit: Unit, keyring: Keyring, browser_hash: str, typed: str, *, network: str, now: datetime
) -> Confirmation:
    """Confirm the last request of a browser by the code of its mail; each attempt counts, and the sixth is refused."""
    with unit.write() as tx:
        stored = signups.by_browser(tx, browser_hash)
        standing = _standing(stored, now)
        if stored is None or standing.outcome is not Confirmed.OPEN:
            return standing
        request = stored.request
        signups.count_code_try(tx, request.id)
        right = is_confirmation_code(keyring, request.id, typed)
        # A request about which no mail was written has a code too, which is in no mail.
        if stored.code_tries >= CODE_TRIES_MAX or stored.mail is not SignupMail.CONFIRM or not right:
            return Confirmation(outcome=Confirmed.WRONG_CODE, signup=request)
        return _confirm(tx, keyring, request, by=ConfirmedBy.CODE, network=network, now=now)


def _standing(stored: StoredSignup | None, now: datetime) -> Confirmation:
    if stored is None:
        return Confirmation(outcome=Confirmed.UNKNOWN)
    if stored.confirmed_at is not None:
        return Confirmation(outcome=Confirmed.BEFORE, signup=stored.request, confirmed_at=stored.confirmed_at)
    if now >= (stored.decided_at or stored.request.asked_at) + CONFIRM_WITHIN:
        return Confirmation(outcome=Confirmed.EXPIRED, signup=stored.request)
    return Confirmation(outcome=Confirmed.OPEN, signup=stored.request)


def _confirm(
    tx: Tx, keyring: Keyring, request: Signup, *, by: ConfirmedBy, network: str, now: datetime
) -> Confirmation:
    evidence = {
        "asked at": request.asked_at.isoformat(timespec="seconds"),
        "asked from": request.network,
        "asked on": request.origin,
        "confirmed from": network,
        "confirmed by": by.value,
        "wording": request.wording,
        "wording text": signups.wording_text(tx, request.wording),
    }
    hashes = suppression_hashes(keyring, request.canonical)
    suppressed_at = subscribers.suppressed_since(tx, hashes)
    if suppressed_at is not None:
        reason = subscribers.suppression_reason(tx, hashes)
        subscribers.lift_suppression(tx, hashes)
        evidence["suppression lifted"] = f"{reason} on {suppressed_at:%Y-%m-%d}"
    known = subscribers.by_canonical(tx, request.canonical, lock=True)
    if known is None:
        batches.add_new(tx, [_person(request, now)])
        # The same address may have been added between the two statements.
        known = subscribers.by_canonical(tx, request.canonical, lock=True)
        assert known is not None  # noqa: S101 - inserted above, or by somebody else
    else:
        evidence["before"] = f"{known.state.value} since {known.state_since:%Y-%m-%d}"
    _bring_in(tx, known, request, evidence, now=now)
    signups.confirm(tx, request.id, now=now)
    return Confirmation(outcome=Confirmed.NOW, signup=request, confirmed_at=now, subscriber_id=known.id)


def _bring_in(tx: Tx, known: Subscriber, request: Signup, evidence: dict[str, str], *, now: datetime) -> None:
    """Make the person active, with the name and the zone of the form where it has some."""
    active = replace(
        known,
        first_name=request.first_name or known.first_name,
        time_zone=request.time_zone or known.time_zone,
        names_imported=known.names_imported and not request.first_name,
    )
    if active != known:
        subscribers.save(tx, active)
    consent = Consent(at=now, action="subscribed", channel=WEB_CHANNEL, source=request.origin, evidence=evidence)
    if known.state is SubscriberState.ACTIVE:
        subscribers.add_consent(tx, known.id, consent)
    else:
        after = replace(active, state=SubscriberState.ACTIVE, state_since=now, state_why="confirmed on the web")
        move_on(tx, active, after, consent, reason="")


def _person(request: Signup, now: datetime) -> Subscriber:
    person = newcomer(email=request.email, canonical=request.canonical, now=now, why="confirmed on the web")
    return replace(person, first_name=request.first_name, time_zone=request.time_zone)

"""Asking to sign in: one row for each request, whatever the address is.

In: an address as typed into the page, or named at the terminal. Out: whether the request was taken, and the link of the
terminal. The page runs the same statements for every address: whether one may sign in is decided later, by
`operations/sign_in_processor.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from newsletter.core.access import SIGN_IN_RULES, SIGN_IN_WITHIN, Roster, SignIn, SignInId, SignInLimit, SignInOrigin
from newsletter.core.address import parse_address
from newsletter.core.rate_limit import take
from newsletter.core.token import Keyring, LinkPurpose, LinkToken, limit_hash, make_link_token
from newsletter.errors import InputError
from newsletter.store import log, rate_limit
from newsletter.store import sign_in as sign_ins
from newsletter.store.log import LogEntry
from newsletter.store.unit import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInReply:
    """What becomes of a request; it does not depend on the address."""

    accepted: bool
    again_at: datetime | None = None
    """When the network may ask again; None where it need not wait."""


def ask_to_sign_in(unit: Unit, keyring: Keyring, request: SignIn, *, now: datetime) -> SignInReply:
    """Write a request; the network that it comes from is limited."""
    network = limit_hash(keyring, SignInLimit.NETWORK.value, request.network)
    rule = SIGN_IN_RULES[SignInLimit.NETWORK]
    with unit.write() as tx:
        result = take(rate_limit.lock(tx, (network,), now=now)[network], (rule,), now=now)
        rate_limit.save(tx, {network: result.window}, span=rule.span, now=now)
        if not result.allowed:
            return SignInReply(accepted=False, again_at=result.again_at)
        sign_ins.add(tx, replace(request, asked_at=now))
    return SignInReply(accepted=True)


def make_terminal_token(unit: Unit, keyring: Keyring, roster: Roster, email: str, *, who: str, now: datetime) -> str:
    """Write a request from the terminal and return the token of its link, which works once, for ten minutes.

    Raises `InputError` for an address that the settings do not name.
    """
    canonical = parse_address(email).canonical
    if roster.role(canonical) is None:
        raise InputError(
            f"{email} may not sign in: add it to NEWSLETTER_ADMIN_EMAILS or NEWSLETTER_EDITOR_EMAILS, and start the "
            "service again."
        )
    request = SignIn(
        id=SignInId(0),
        email=canonical,
        origin=SignInOrigin.TERMINAL,
        browser_hash="",
        browser="",
        network="",
        back="",
        asked_at=now,
    )
    with unit.write() as tx:
        sign_in_id = sign_ins.add(tx, request, decided_at=now)
        about = roster.name(canonical)
        log.add(tx, LogEntry(at=now, who=who, what="admin sign-in", about=about, why="a link for the terminal"))
    return sign_in_token(keyring, sign_in_id, now=now)


def sign_in_token(keyring: Keyring, sign_in_id: SignInId, *, now: datetime) -> str:
    """Return the token of the link that signs a person in."""
    link = LinkToken(purpose=LinkPurpose.SIGN_IN, id=sign_in_id, expires_at=now + SIGN_IN_WITHIN)
    return make_link_token(keyring, link)

"""Asking to subscribe: one row for each request, whatever the address is.

In: what a form says. Out: whether the request was taken. The same statements run for an address that is known, left,
erased or new, since nothing is looked up: `operations/signup_processor.py` decides later. Only the network of the
request is limited here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from newsletter.core.rate_limit import RateRule, add_event, at_limit, take
from newsletter.core.signup import FLOOD_RULE, SIGNUP_RULES, Signup, SignupLimit
from newsletter.core.token import Keyring, limit_hash
from newsletter.store import rate_limit, signup
from newsletter.store.unit import Tx, Unit

_FLOOD, _EVERYBODY, _PUZZLE = "flood", "requests", "puzzle"
_PUZZLE_RULE = RateRule(count=1, span=timedelta(hours=1))
"""A solution counts once in more time than it lives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Consented:
    """The sentence above the button."""

    text: str
    language: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignupReply:
    """What becomes of a request; it does not depend on the address."""

    accepted: bool
    again_at: datetime | None = None
    """When the network may ask again; None where it need not wait."""
    needs_puzzle: bool = False


def ask_to_subscribe(
    unit: Unit, keyring: Keyring, request: Signup, consented: Consented, *, puzzle: str, now: datetime
) -> SignupReply:
    """Write a request; `puzzle` is the identity of a solved one, which is asked for while too many requests come."""
    network = limit_hash(keyring, SignupLimit.NETWORK.value, request.network)
    flood = flood_hash(keyring)
    with unit.write() as tx:
        windows = rate_limit.lock(tx, (network, flood), now=now)
        flooded = at_limit(windows[flood], FLOOD_RULE, now=now)
        rate_limit.save(tx, {flood: add_event(windows[flood], FLOOD_RULE, now=now)}, span=FLOOD_RULE.span, now=now)
        result = take(windows[network], SIGNUP_RULES[SignupLimit.NETWORK], now=now)
        rate_limit.save(tx, {network: result.window}, span=timedelta(hours=1), now=now)
        if flooded and not _use_puzzle(tx, keyring, puzzle, now=now):
            return SignupReply(accepted=False, needs_puzzle=True)
        if not result.allowed:
            return SignupReply(accepted=False, again_at=result.again_at)
        hashed = signup.add_wording(tx, consented.text, consented.language, now=now)
        signup.add(tx, replace(request, wording=hashed))
    return SignupReply(accepted=True)


def _use_puzzle(tx: Tx, keyring: Keyring, puzzle: str, *, now: datetime) -> bool:
    """Tell whether a puzzle was solved, and not used before; from now on it is."""
    if not puzzle:
        return False
    hashed = limit_hash(keyring, _PUZZLE, puzzle)
    result = take(rate_limit.lock(tx, (hashed,), now=now)[hashed], (_PUZZLE_RULE,), now=now)
    rate_limit.save(tx, {hashed: result.window}, span=_PUZZLE_RULE.span, now=now)
    return result.allowed


def is_flooded(tx: Tx, keyring: Keyring, *, now: datetime) -> bool:
    """Tell whether so many requests came in the last hour that each one needs a solved puzzle."""
    flood = flood_hash(keyring)
    return at_limit(rate_limit.load(tx, (flood,))[flood], FLOOD_RULE, now=now)


def flood_hash(keyring: Keyring) -> str:
    """Return the key of the window that counts every request, whether taken or not."""
    return limit_hash(keyring, _FLOOD, _EVERYBODY)

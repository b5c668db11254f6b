"""From what a person typed to a subscriber, or to an error that names whom they may have meant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from newsletter.errors import InputError

if TYPE_CHECKING:
    from newsletter.core.subscriber import Subscriber
    from newsletter.store.unit import Unit


def known(unit: Unit, text: str) -> Subscriber:
    """Return the subscriber with this address; raises `InputError` with near misses."""
    from newsletter.core.address import parse_address
    from newsletter.store import subscriber as subscribers
    from newsletter.store import subscriber_list as lists

    address = parse_address(text)
    with unit.read() as tx:
        subscriber = subscribers.by_canonical(tx, address.canonical)
        near: Sequence[str] = () if subscriber else lists.near_misses(tx, address.canonical)
    if subscriber is None:
        meant = f"; did you mean {' or '.join(near)}?" if near else "."
        raise InputError(f"{address.email} is not on the list{meant}")
    return subscriber


def pairs(option: str, texts: Sequence[str]) -> dict[str, str]:
    """Read `--field a=b --field c=d`."""
    rows: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise InputError(f"{option} {text}: write NAME=VALUE, such as {option} company=Example")
        if key.strip() in rows:
            raise InputError(f"{option} names {key.strip()!r} twice")
        rows[key.strip()] = value.strip()
    return rows

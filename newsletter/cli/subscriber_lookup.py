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
        found = subscribers.by_canonical(tx, address.canonical)
        near: Sequence[str] = () if found else lists.near_misses(tx, address.canonical)
    if found is None:
        meant = f"; did you mean {' or '.join(near)}?" if near else "."
        raise InputError(f"{address.email} is not on the list{meant}")
    return found


def pairs(option: str, given: Sequence[str]) -> dict[str, str]:
    """Read `--field a=b --field c=d`."""
    found: dict[str, str] = {}
    for one in given:
        key, equals, value = one.partition("=")
        if not equals or not key.strip():
            raise InputError(f"{option} {one}: write NAME=VALUE, such as {option} company=Example")
        if key.strip() in found:
            raise InputError(f"{option} names {key.strip()!r} twice")
        found[key.strip()] = value.strip()
    return found

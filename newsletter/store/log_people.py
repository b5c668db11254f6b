"""The people whom an extract of the log is about: it bears ids, and a reader wants the address of today."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from newsletter.core.subscriber import SubscriberId
from newsletter.store import subscriber as subscribers
from newsletter.store.log import LogEntry
from newsletter.store.unit import Tx

_PERSON = re.compile(r"subscriber (\d+)")


def addresses_of(tx: Tx, entries: Iterable[LogEntry]) -> Mapping[str, str]:
    """Return the addresses by what the log calls their people, for those who are on the list still."""
    addresses = {}
    for name in {entry.about for entry in entries}:
        match = _PERSON.fullmatch(name)
        person = subscribers.by_id(tx, SubscriberId(int(match[1]))) if match else None
        if person is not None:
            addresses[name] = person.email
    return addresses

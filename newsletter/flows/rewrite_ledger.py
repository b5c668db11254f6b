"""Rewriting a lost ledger: what the database knows of editions and of people who left goes into it again.

In: a transaction of the database. Out: new entries with new numbers. A backup that is restored later does not know
these numbers, and catches up with them as with any others.
"""

from __future__ import annotations

from datetime import datetime

from newsletter.core.subscriber import SubscriberState
from newsletter.flows.follow_up import WORDS
from newsletter.store import edition as editions
from newsletter.store import ledger, subscriber_list
from newsletter.store.ledger import LedgerKind
from newsletter.store.subscriber_list import Wanted
from newsletter.store.unit import Tx

_EDITIONS_MAX = 1_000_000
_LEFT = (SubscriberState.UNSUBSCRIBED, SubscriberState.COMPLAINED)


def rewrite_ledger(tx: Tx, *, now: datetime) -> int:
    """Note every edition, and everybody who left or was erased, anew; return how many entries that makes."""
    every = editions.latest(tx, count=_EDITIONS_MAX)
    names = {edition.id: edition.name for edition in every}
    for edition in reversed(every):
        detail = {"tip": edition.tip.slug}
        if edition.of_edition is not None:
            detail[WORDS[edition.kind]] = names.get(edition.of_edition, "")
        ledger.note(tx, LedgerKind.EDITION, edition.name, now=edition.started_at, detail=detail)
    count = len(every)
    for person in subscriber_list.pages(tx, Wanted(states=_LEFT)):
        ledger.note(tx, LedgerKind.LEFT, str(person.id), now=now, canonical=person.canonical)
        count += 1
    for hashed in ledger.erased_hashes(tx):
        ledger.note(tx, LedgerKind.ERASED, "0", now=now, detail={"hash": hashed})
        count += 1
    return count

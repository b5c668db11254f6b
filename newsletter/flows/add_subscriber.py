"""Adding one person by hand: on the list at once, with evidence of where the wish comes from.

A person who is there already stays unchanged, and one who left is not brought back. One who was erased is added only
`because` they asked for it themselves: that lifts the suppression and is kept as evidence.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from newsletter.core.import_row import LEFT_STATES, NOT_STORED
from newsletter.core.subscriber import Subscriber, SubscriberState
from newsletter.core.token import Keyring, suppression_hashes
from newsletter.errors import InputError
from newsletter.store import log as logs
from newsletter.store import subscriber as subscribers
from newsletter.store import subscriber_batch as batches
from newsletter.store.subscriber import Consent
from newsletter.store.unit import Tx, Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """The person, and whether the call added them."""

    person: Subscriber
    new: bool


def newcomer(*, email: str, canonical: str, now: datetime, why: str = "") -> Subscriber:
    """Return an active subscriber who is not stored yet; names and the rest are set with `dataclasses.replace`."""
    return Subscriber(
        id=NOT_STORED,
        email=email,
        canonical=canonical,
        state=SubscriberState.ACTIVE,
        state_since=now,
        state_why=why,
        created_at=now,
    )


def add_subscriber(
    unit: Unit, keyring: Keyring, person: Subscriber, *, who: str, source: str, because: str = "", now: datetime
) -> Added:
    """Put a person on the list; `source` is the origin of the wish in the operator's words.

    `because` is the person's own new wish, which lifts the suppression of an address that was erased. Raises
    `InputError` for one who left, and for one who was erased where it is empty.
    """
    with unit.write() as tx:
        known = subscribers.by_canonical(tx, person.canonical, lock=True)
        if known is None:
            lifted = _lift_suppression(tx, keyring, person, because)
            row = batches.add_new(tx, [person]).get(person.canonical)
            if row is not None:
                evidence = {"suppression lifted": f"erased on {lifted:%Y-%m-%d}"} if lifted else {}
                consent = Consent(
                    at=now,
                    action="subscribed",
                    channel="command line",
                    source="; ".join(filter(None, (source, because))),
                    evidence=evidence,
                )
                subscribers.add_consent(tx, row, consent)
                action = "subscriber add after erasure" if lifted else "subscriber add"
                logs.add(tx, logs.LogEntry(at=now, who=who, what=action, about=f"subscriber {row}", why=consent.source))
                return Added(person=replace(person, id=row), new=True)
            # Another process added the same address between the two statements.
            known = subscribers.by_canonical(tx, person.canonical)
        if known is None:
            raise InputError(f"{person.email} was removed by somebody else at this moment; look again.")
        if known.state in LEFT_STATES:
            raise InputError(
                f"{known.email} is on the list as {known.state.value} since {known.state_since:%Y-%m-%d} and is not "
                f"brought back by adding: newsletter subscriber reactivate {known.email} --because TEXT"
            )
        return Added(person=known, new=False)


def refuse_erased(tx: Tx, keyring: Keyring, *, email: str, canonical: str) -> None:
    """Raise `InputError` for an address whose owner was erased, whatever the secret was at that time."""
    hashes = suppression_hashes(keyring, canonical)
    since = subscribers.suppressed_since(tx, hashes)
    if since is not None:
        is_blocked = subscribers.suppression_reason(tx, hashes) == subscribers.BLOCKED_BY_OWNER
        verb = "was blocked by its owner" if is_blocked else "was erased"
        raise InputError(
            f"{email} {verb} on {since:%Y-%m-%d} and is on the suppression list: it must not be added again, "
            f'unless the person asks for it: newsletter subscriber add {email} --because "asked by mail on 3 March"'
        )


def _lift_suppression(tx: Tx, keyring: Keyring, person: Subscriber, because: str) -> datetime | None:
    """Take an erased address off the suppression list for a reason; return the time of its erasure, if any."""
    if not because:
        refuse_erased(tx, keyring, email=person.email, canonical=person.canonical)
        return None
    hashes = suppression_hashes(keyring, person.canonical)
    since = subscribers.suppressed_since(tx, hashes)
    if since is not None:
        subscribers.lift_suppression(tx, hashes)
    return since

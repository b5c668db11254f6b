"""Doing what the events of one webhook request say, each once, however often the provider sends them.

In: what a genuine request says. Out: what was done, once all of it is committed. Events go by fifties, so that a batch
of a thousand does not hold the write lock against the sender; a batch that was cut short is sent again by its provider,
and the part that was committed changes nothing then.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from newsletter.core.breaker import BreakerLimits
from newsletter.core.delivery import DeliveryState
from newsletter.core.evidence import BounceAction, unheeded
from newsletter.core.mail_report import ReportKind
from newsletter.core.token import Keyring
from newsletter.core.webhooks.base import Evidence, HookContent
from newsletter.flows.apply_report import AppliedReport, apply_report, check_after, find_delivery
from newsletter.store import webhook as webhooks
from newsletter.store.unit import Tx, Unit

logger = logging.getLogger(__name__)

EVENTS_PER_COMMIT_MAX = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class HookOutcome:
    """What came of the events of a request."""

    actions: Mapping[BounceAction, int] = field(default_factory=dict)
    repeated: int = 0
    """Events that had been dealt with before."""


def take_webhook(
    unit: Unit, keyring: Keyring, provider: str, content: HookContent, *, limits: BreakerLimits, now: datetime
) -> HookOutcome:
    """Do what the events of a request say; everything is committed when this returns."""
    actions: Counter[BounceAction] = Counter()
    repeated = 0
    applied: dict[tuple[str, ReportKind], AppliedReport] = {}
    events = _heeded(unit, keyring, content.evidence)
    for number, batch in enumerate(_batches(events)):
        with unit.write() as tx:
            if number == 0:
                if content.token and not webhooks.remember(tx, provider, content.token, now=now):
                    return HookOutcome(repeated=len(content.evidence))
                webhooks.add_counts(tx, provider, content.kinds, now=now)
            for evidence in batch:
                if not webhooks.remember(tx, provider, _key(evidence), now=now):
                    repeated += 1
                    continue
                result = apply_report(
                    tx, keyring, evidence.report, channel=f"webhook of {provider}", limits=limits, now=now
                )
                actions[result.handled.action] += 1
                applied[result.handled.edition, result.handled.kind] = result
    for result in applied.values():
        check_after(unit, result, limits, now=now)
    return HookOutcome(actions=actions, repeated=repeated)


def _heeded(unit: Unit, keyring: Keyring, evidence: Sequence[Evidence]) -> Sequence[Evidence]:
    """Leave out what changes nothing: events about nothing that we keep, and arrivals of what was accepted anyway.

    Most events tell of an arrival, which settles an uncertain delivery and says nothing of any other.
    """
    heeded = [event for event in evidence if unheeded(event.report) is None]
    if all(event.kind is not ReportKind.ARRIVED for event in heeded):
        return heeded
    with unit.read() as tx:
        return [event for event in heeded if event.kind is not ReportKind.ARRIVED or _settles(tx, keyring, event)]


def _settles(tx: Tx, keyring: Keyring, evidence: Evidence) -> bool:
    bounced = find_delivery(tx, keyring, evidence.traces, locked=False)
    return bounced is not None and bounced.standing.state is DeliveryState.UNCERTAIN


def _key(evidence: Evidence) -> str:
    """Return the provider's id of an event, else what makes it one; some give several events of a mail one id."""
    own = evidence.key or f"{evidence.at} {evidence.address} {' '.join(trace.text for trace in evidence.traces)}"
    return f"{evidence.kind.value} {own}"


def _batches(events: Sequence[Evidence]) -> Iterator[Sequence[Evidence]]:
    """Yield events by fifties, and one empty batch where there is none: the kinds are counted all the same."""
    for first in range(0, max(1, len(events)), EVENTS_PER_COMMIT_MAX):
        yield events[first : first + EVENTS_PER_COMMIT_MAX]

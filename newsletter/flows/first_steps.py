"""The first steps of an installation: what is still to be done until the first edition has gone out.

In: an overview and the database. Out: each step, and whether it is taken; nothing once an edition has ended.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from newsletter.flows.overview import Overview
from newsletter.store import notice as notices
from newsletter.store.unit import Unit


class FirstStep(StrEnum):
    """One thing to do, in the order in which it is best done."""

    SERVICE = "service"
    """`newsletter run` runs."""
    MAIL = "mail"
    """A mail server has accepted a mail."""
    TIP = "tip"
    """A tip is approved for the next date."""
    PEOPLE = "people"
    EDITION = "edition"
    """The first edition has ended."""


def first_steps(unit: Unit, summary: Overview) -> Mapping[FirstStep, bool]:
    """Return whether each step is taken; empty once all are."""
    if summary.snapshot.last is not None:
        return {}
    with unit.read() as tx:
        mailed = notices.any_accepted(tx)
    return {
        FirstStep.SERVICE: summary.started,
        FirstStep.MAIL: mailed or any(known.receipt.counts.accepted for known in summary.snapshot.editions),
        FirstStep.TIP: any(choice.tip is not None for choice in summary.outlook.choices),
        FirstStep.PEOPLE: summary.outlook.audience > 0,
        FirstStep.EDITION: False,
    }

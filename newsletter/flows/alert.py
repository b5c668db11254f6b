"""Raising and clearing alerts: a row, and a line in the log; repeated trouble does not repeat itself."""

from __future__ import annotations

import logging
from datetime import datetime

from newsletter.core.edition import Edition
from newsletter.store import alert as alerts
from newsletter.store.alert import Alert, AlertKind
from newsletter.store.unit import Tx

logger = logging.getLogger(__name__)


def report(tx: Tx, alert: Alert) -> bool:
    """Tell the people who run this, once for each trouble; return whether it is new."""
    new = alerts.raise_alert(tx, alert)
    if new:
        logger.error("%s", alert.message)
    return new


def settle_alert(tx: Tx, kind: AlertKind, about: str, *, now: datetime, quietly: bool = False) -> None:
    """Note that a trouble has passed; quietly, when it turned into another that is told by itself."""
    if alerts.clear(tx, kind, about, now=now, quietly=quietly):
        logger.warning("passed: %s %s", kind.value, about)


def report_expired(tx: Tx, edition: Edition, count: int, *, now: datetime) -> None:
    """Tell that people of an edition were given up, and how to find out who."""
    who = "1 person was" if count == 1 else f"{count:,} people were"
    message = (
        f"{who} given up in the edition of {edition.name}; "
        f"`newsletter delivery list --edition {edition.name} --state expired` names them."
    )
    report(tx, Alert(kind=AlertKind.EXPIRED_PEOPLE, about=edition.name, message=message, raised_at=now))


def report_refused(tx: Tx, edition: Edition, count: int, audience: int, *, now: datetime) -> None:
    """Tell that most people of an edition were refused, which says more about us than about them."""
    message = (
        f"{count:,} of {audience:,} people were refused in the edition of {edition.name}: the mail server may refuse "
        f"us, not them; `newsletter delivery list --edition {edition.name} --state rejected` shows its words, "
        f"`newsletter edition retry {edition.name} --rejected` tries them again."
    )
    report(tx, Alert(kind=AlertKind.REFUSED_PEOPLE, about=edition.name, message=message, raised_at=now))

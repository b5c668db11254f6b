"""Raising and clearing alerts: a row, and a line in the log; repeated trouble does not repeat itself."""

from __future__ import annotations

import logging
from datetime import datetime

from newsletter.store import alert as alerts
from newsletter.store.alert import Alert, AlertKind
from newsletter.store.unit import Tx

logger = logging.getLogger(__name__)


def report(tx: Tx, found: Alert) -> bool:
    """Tell the people who run this, once for each trouble; return whether it is new."""
    new = alerts.raise_alert(tx, found)
    if new:
        logger.error("%s", found.message)
    return new


def settle_alert(tx: Tx, kind: AlertKind, about: str, *, now: datetime, quietly: bool = False) -> None:
    """Note that a trouble has passed; quietly, when it turned into another that is told by itself."""
    if alerts.clear(tx, kind, about, now=now, quietly=quietly):
        logger.warning("passed: %s %s", kind.value, about)

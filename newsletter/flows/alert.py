"""Raising and clearing alerts: a row, and a line in the log; repeated trouble does not repeat itself."""

from __future__ import annotations

import logging
from datetime import datetime

from newsletter.core.alert import FOR_INFORMATION, HEADLINES
from newsletter.core.edition import Edition
from newsletter.store import alert as alerts
from newsletter.store.alert import Alert, AlertKind
from newsletter.store.unit import Tx
from newsletter.wording import people_words, plural

logger = logging.getLogger(__name__)


def report(tx: Tx, alert: Alert, *, over: bool = False) -> bool:
    """Raise an alert, once for each trouble; return whether it is new.

    The log has it as an error only when a person is needed; `over` is trouble that passed before it could be stored.
    """
    new = alerts.raise_alert(tx, alert)
    if new:
        logger.log(logging.WARNING if over or alert.kind in FOR_INFORMATION else logging.ERROR, "%s", alert.message)
    return new


def settle_alert(tx: Tx, kind: AlertKind, about: str, *, now: datetime, quietly: bool = False) -> None:
    """Note that a trouble has passed; quietly, when it turned into another that is told by itself."""
    if alerts.clear(tx, kind, about, now=now, quietly=quietly):
        logger.info("alert over: %s (%s)", HEADLINES[kind], about)


EXPIRED_ALERT_PEOPLE_MIN = 3
EXPIRED_ALERT_PERCENT = 2
"""Fewer people who were given up are named by the delivery report alone."""


def report_expired(tx: Tx, edition: Edition, count: int, *, now: datetime) -> None:
    """Raise an alert when many people of an edition were given up; a few are in its report."""
    if count < EXPIRED_ALERT_PEOPLE_MIN or count * 100 < edition.audience * EXPIRED_ALERT_PERCENT:
        logger.info("the edition of %s: %s given up", edition.name, people_words(count))
        return
    people = plural(count, "person was", "people were")
    message = (
        f"{people} given up in the edition of {edition.name}; "
        f"`newsletter delivery list --edition {edition.name} --state expired` names them, "
        f"`newsletter edition retry {edition.name} --expired` sends to them after all."
    )
    report(tx, Alert(kind=AlertKind.EXPIRED_PEOPLE, about=edition.name, message=message, raised_at=now))


def report_refused(tx: Tx, edition: Edition, count: int, audience: int, *, now: datetime) -> None:
    """Tell that most people of an edition were refused, which says more about us than about them."""
    message = (
        f"{count:,} of {people_words(audience)} were refused in the edition of {edition.name}: the mail server may "
        f"refuse us, not them; `newsletter delivery list --edition {edition.name} --state rejected` shows its words, "
        f"`newsletter edition retry {edition.name} --rejected` tries them again."
    )
    report(tx, Alert(kind=AlertKind.REFUSED_PEOPLE, about=edition.name, message=message, raised_at=now))

"""Raising alerts: the level of the line in the log says whether a person is needed."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import pytest

from newsletter.core.alert import AlertKind
from newsletter.flows.alert import report, settle_alert
from newsletter.store.alert import Alert
from newsletter.store.unit import Unit

NOW = datetime(2026, 11, 24, 14, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "over", "level"),
    [
        (AlertKind.EDITION_PAUSED, False, logging.ERROR),
        (AlertKind.DATABASE, False, logging.ERROR),
        (AlertKind.DATABASE, True, logging.WARNING),
        (AlertKind.LOW_STOCK, False, logging.WARNING),
        (AlertKind.EXPIRED_PEOPLE, False, logging.WARNING),
        (AlertKind.COMPLAINTS, False, logging.WARNING),
    ],
)
def test_an_error_needs_a_person(
    unit: Unit,
    caplog: pytest.LogCaptureFixture,
    kind: AlertKind,
    over: bool,  # noqa: FBT001 - pytest passes it by name
    level: int,
) -> None:
    """What needs a person is an error; what one should know, or what has passed, is a warning; the end is no more."""
    caplog.set_level(logging.INFO)
    alert = Alert(kind=kind, about="2026-11-24", message="something happened", raised_at=NOW)
    for _ in range(2):
        with unit.write() as tx:
            report(tx, alert, over=over)
    with unit.write() as tx:
        settle_alert(tx, kind, "2026-11-24", now=NOW)
    assert [record.levelno for record in caplog.records] == [level, logging.INFO]

"""The log of a job that runs again and again while the database is away."""

from __future__ import annotations

import logging

import pytest

from newsletter.errors import NotNow, Stop
from newsletter.schedule.trouble_log import TroubleLog


def test_trouble_is_logged_when_it_begins_changes_and_ends(caplog: pytest.LogCaptureFixture) -> None:
    """An hour of the same trouble is one line; another trouble is a second one, and so is the end."""
    caplog.set_level(logging.INFO)
    trouble_log = TroubleLog(logging.getLogger("test"), "the look")
    trouble_log.succeeded()
    for _ in range(3600):
        trouble_log.failed(NotNow("The database does not answer."))
    trouble_log.failed(Stop("The disk is full."))
    trouble_log.succeeded()
    trouble_log.succeeded()
    trouble_log.failed(Stop("The disk is full."))
    assert [record.message for record in caplog.records] == [
        "the look failed, and is tried again every few seconds: The database does not answer.",
        "the look failed, and is tried again every few seconds: The disk is full.",
        "the look succeeds again",
        "the look failed, and is tried again every few seconds: The disk is full.",
    ]

"""When the tip of an edition is entered into the public archive.

In: an edition, when its last readers get it, and the delay that the operator wants. Out: a verdict. Until then the page
is found by its address alone, which stands in the mail.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import Enum

from newsletter.core.edition import Edition, EditionStatus


class PublishVerdict(Enum):
    """What is to be done about an edition in the archive."""

    WAIT = "wait"
    PUBLISH = "publish"
    NOTHING = "nothing"
    """The edition was cancelled before it reached a reader."""


def judge_publishing(
    edition: Edition, *, tip_used: bool, last_wave_at: datetime | None, delay: timedelta, now: datetime
) -> PublishVerdict:
    """Decide about an edition; `last_wave_at` is None where all readers get it at one instant.

    `tip_used` is false once it is certain that no reader has it. A paused edition waits for the person who resumes or
    cancels it: a pause is what stops a wrong tip.
    """
    if not tip_used:
        return PublishVerdict.NOTHING
    if edition.status is EditionStatus.PAUSED:
        return PublishVerdict.WAIT
    begun_at = max(edition.started_at, last_wave_at or edition.started_at)
    return PublishVerdict.PUBLISH if begun_at + delay <= now else PublishVerdict.WAIT

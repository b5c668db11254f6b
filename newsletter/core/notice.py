"""A notice: any mail that is not an edition: a proof, a report, an alert.

It is a row like a delivery, overtakes a large edition and survives a crash. It goes to somebody who runs this or asked
for it, so an uncertain one is tried again, with the same Message-ID: better twice than not at all.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NewType

NoticeId = NewType("NoticeId", int)


class NoticeKind(StrEnum):
    """What a notice is for."""

    PROOF = "proof"
    """The mail of the next date as the readers will get it, to the editors."""
    WITHDRAWN = "withdrawn"
    """Says that what a proof showed will not go out."""
    SENDING = "sending"
    """An edition is going out, and how to stop it."""
    REPORT = "report"
    """What became of everybody in an edition."""
    ALERT = "alert"
    PASSED = "passed"
    """Says that the trouble of an alert is over."""
    CONFIRM = "confirm"
    """Asks a person who signed up to confirm it."""
    ALREADY = "already"
    """Tells a person who signed up that the address is on the list."""
    WELCOME = "welcome"
    """Tells a person who confirmed what comes when."""
    PRIVATE_LINK = "private-link"
    """Brings a person the link to their own settings, which they asked for."""
    NEW_ADDRESS = "new-address"
    """Asks at a new address whether it takes the place of the old one."""
    ADDRESS_CHANGED = "address-changed"
    """Tells the old address that another one took its place."""
    MISSED_TIP = "missed-tip"
    """A tip that a person missed during a pause: the message of its edition, so it has no templates of its own."""
    SIGN_IN = "sign-in"
    """Brings an admin or an editor the link and the code that sign in to the admin area."""
    NEW_BROWSER = "new-browser"
    """Tells an admin or an editor that they signed in from a browser that is not known."""


READER_KINDS = (
    NoticeKind.CONFIRM,
    NoticeKind.ALREADY,
    NoticeKind.WELCOME,
    NoticeKind.PRIVATE_LINK,
    NoticeKind.NEW_ADDRESS,
    NoticeKind.ADDRESS_CHANGED,
    NoticeKind.MISSED_TIP,
    NoticeKind.SIGN_IN,
    NoticeKind.NEW_BROWSER,
)
"""Mails that a request on a page causes, with links that work for days at most: forgotten with the request."""


class NoticeState(StrEnum):
    """Where a notice stands."""

    QUEUED = "queued"
    SENDING = "sending"
    DEFERRED = "deferred"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    """Taken back before it went out, because what it says is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeKey:
    """What makes a notice the same one, so that two processes which write it write it once."""

    kind: NoticeKind
    about: str
    """Date of a slot, name of an edition, id of an alert or of a sign-up."""
    variant: str = ""
    """What tells apart two notices about the same: the content a proof stands for."""


def notice_message_id(key: NoticeKey, recipient: str, written_at: datetime, domain: str) -> str:
    """Make the Message-ID of a notice, without the angle brackets; it names neither the person nor the matter."""
    named = f"{key.kind.value}\n{key.about}\n{key.variant}\n{recipient}\n{written_at.isoformat()}"
    digest = hashlib.sha256(named.encode()).digest()
    return f"notice.{base64.b32encode(digest[:15]).decode().lower()}@{domain}"

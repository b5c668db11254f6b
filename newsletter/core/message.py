"""A message: what one person is sent.

In: the publication, as settings describe it, and one recipient with the values that differ from person to person.
Out: frozen values that `render/` turns into bytes. It never renders.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """The newsletter itself, as every mail shows it."""

    name: str
    from_email: str
    reply_to: str
    """A mailbox that is read; equal to `from_email` unless set."""
    postal_address: str
    """One or more lines; commercial mail must bear it (15 U.S.C. § 7704(a)(5))."""
    base_url: str
    """Public https address of the web part, without a trailing slash."""
    language: str = "en"
    archive_url: str = ""
    signup_url: str = ""
    contact_url: str = ""
    resources_url: str = ""
    home_url: str = ""
    bounce_domain: str = ""
    """Where bounces go; with it every envelope sender is `b+TOKEN@bounce_domain` (VERP)."""
    cfbl_address: str = ""
    """Mailbox for complaint feedback (RFC 9477), no header when empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """What differs from person to person within one edition."""

    email: str
    """The address as it stands in `To:` and `RCPT TO`: domain as A-label."""
    name: str = ""
    """Display name, may be empty."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """Merge fields by name: `first_name`, `last_name`, `name`, `email`, and the subscriber's own fields."""
    unsubscribe_url: str
    message_id: str
    """Without the angle brackets."""
    date: datetime
    """The first attempt of this delivery, aware."""

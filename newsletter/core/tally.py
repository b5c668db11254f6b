"""A tally: how often each result came up in one edition, while it goes out.

In: what the workers counted. Out: sums to judge by (`core/breaker.py`) and to show (`core/live.py`). They count
attempts, and a retry counts again; the books are kept by the deliveries alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from newsletter.core.reply_value import ReplyClass


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What was counted. A number only grows, but that who came back by mail is taken from `accepted`."""

    accepted: int = 0
    deferred: int = 0
    hard: int = 0
    """Refused for good because of the address."""
    policy: int = 0
    """Refused for what we are: reputation, authentication, permission."""
    content: int = 0
    """Refused for what we send."""
    refused: int = 0
    """Refused for good for any other reason."""
    uncertain: int = 0

    @property
    def answered(self) -> int:
        """Return about how many people a server decided."""
        return self.accepted + self.hard + self.policy + self.content + self.refused

    def since(self, before: Tally) -> Tally:
        """Return what came after an earlier count."""
        return Tally(**{field.name: getattr(self, field.name) - getattr(before, field.name) for field in fields(self)})


REFUSED_AS: Mapping[ReplyClass, str] = {
    ReplyClass.HARD: "hard",
    ReplyClass.HARD_DOMAIN: "hard",
    ReplyClass.POLICY: "policy",
    ReplyClass.AUTHENTICATION: "policy",
    ReplyClass.CONFIGURATION: "policy",
    ReplyClass.CONTENT: "content",
}
"""By which field a refusal is counted; any other class is `refused` at our own door, and stays accepted by mail."""

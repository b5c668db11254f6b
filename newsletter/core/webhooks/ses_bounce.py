"""The types of bounces of Amazon SES, which Resend passes on: what they mean.

In: type and sub-type, and the words of the server where there are any. Out: what kind of report it is, and the reply.
Source: Amazon SES developer guide, "Amazon SNS notification contents for Amazon SES", "Bounce types".
"""

from __future__ import annotations

from newsletter.core.mail_report import ReportKind
from newsletter.core.reply import Reply
from newsletter.core.webhooks.base import known_from_before, refusal

_STATUSES = {
    "MailboxFull": "5.2.2",
    "MessageTooLarge": "5.3.4",
    "ContentRejected": "5.6.0",
    "AttachmentRejected": "5.6.0",
}
"""What a sub-type means where the words of the server are missing."""
_SUPPRESSED = frozenset({"Suppressed", "OnAccountSuppressionList"})
"""SES did not try: the address bounced before, in our account or in somebody else's."""


def bounce_meaning(kind: str, subtype: str, *, diagnostic: str, status: str) -> tuple[ReportKind, Reply | None]:
    """Return what a bounce is. An automatic answer comes as a transient bounce of no kind and without a reply."""
    if subtype == "UnsubscribedRecipient":
        return ReportKind.LEFT, None
    if kind == "Transient" and subtype == "General" and not diagnostic:
        return ReportKind.AUTO_REPLY, None
    if subtype in _SUPPRESSED:
        return ReportKind.FAILED, known_from_before("Amazon SES")
    meant = status if diagnostic or status else _STATUSES.get(subtype, "")
    words = diagnostic or f"{kind} {subtype}"
    return ReportKind.FAILED, refusal(words, status=meant, by_mailbox=kind == "Permanent")

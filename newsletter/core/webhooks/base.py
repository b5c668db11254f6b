"""What every webhook shares: the request, the value that an event becomes, and the checks of secrets and times.

In: the headers and the body of a request. Out: `Evidence`, one value for each event, which goes the way of a bounce
that came by mail (`flows/apply_report.py`). It believes nothing: an adapter checks the signature of its provider, and
whose delivery an event is about is decided by the keys of this installation alone.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

from newsletter.core.mail_report import Report, ReportKind, Trace, TraceKind, reported_reply
from newsletter.core.reply import Phase, Reply, ReplyClass, judge, parse_reply, strip_control_characters
from newsletter.core.returned_mail import MESSAGE_ID, OPT_OUT, VERP
from newsletter.errors import NewsletterError

FUTURE_SECONDS_MAX = 300
"""How far the clock of a provider may be ahead of ours (Standard Webhooks tolerates five minutes)."""
SUMMARY_LENGTH = 200
UNKNOWN_KIND = "unknown"
"""Under this name events are counted whose kind the documentation of the provider does not list."""

_OPT_OUT_TOKEN_LENGTH = 36


class HookRefusedError(NewsletterError):
    """The request bears no valid signature or password of the provider."""


class HookUnreadableError(NewsletterError):
    """The body of the request is not what the provider documents."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HookRequest:
    """A request as it came in."""

    headers: Mapping[str, str]
    """By name in lower case."""
    body: bytes = field(repr=False)
    at: datetime
    """When it came in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One event: which message, which address, what happened, when, and the server's words."""

    kind: ReportKind
    traces: tuple[Trace, ...]
    """What may name the delivery, the best first."""
    address: str = ""
    """Whom the provider names; for the log of a person, never used to find anybody."""
    at: datetime | None = None
    reply: Reply | None = None
    summary: str = ""
    key: str = ""
    """The provider's own id of the event: what comes again is known by it."""

    @property
    def report(self) -> Report:
        """Return the same as a mail that came back would say it."""
        return Report(kind=self.kind, reply=self.reply, traces=self.traces, summary=self.summary)


@dataclass(frozen=True, slots=True, kw_only=True)
class HookContent:
    """What a genuine request says."""

    evidence: tuple[Evidence, ...] = ()
    kinds: Mapping[str, int] = field(default_factory=dict)
    """How many events of each kind it holds, in the provider's words; those of no use to us too."""
    token: str = ""
    """What makes this request valid only once, where the signature covers nothing else (Mailgun)."""
    confirm_url: str = ""
    """An address to fetch, by which a subscription is confirmed (Amazon SNS)."""


class ProviderWebhook(Protocol):
    """The webhook of one provider."""

    @property
    def provider(self) -> str:
        """Return the name of the provider, which is the end of the address."""
        ...

    @property
    def body_bytes_max(self) -> int:
        """Return how long a body may be; a longer one is refused unread."""
        ...

    def verify(self, request: HookRequest) -> None:
        """Check who sent a request; raises `HookRefusedError`."""
        ...

    def read(self, request: HookRequest) -> HookContent:
        """Read a request that was verified; raises `HookUnreadableError`."""
        ...


# Who sent it.


def check_password(headers: Mapping[str, str], secrets: Sequence[str]) -> None:
    """Compare the password of HTTP Basic authentication (RFC 7617), or the token of Bearer, with each valid one."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    presented = value.strip()
    if scheme.lower() == "basic":
        try:
            presented = base64.b64decode(presented, validate=True).decode().partition(":")[2]
        except (binascii.Error, ValueError):
            presented = ""
    if not presented or not matches_any(presented.encode(), (secret.encode() for secret in secrets)):
        raise HookRefusedError


def matches_any(presented: bytes, valid: Iterable[bytes]) -> bool:
    """Compare with every valid value in constant time."""
    return sum(hmac.compare_digest(presented, value) for value in valid) > 0


def check_age(at: datetime | None, request: HookRequest, *, age_max: timedelta) -> None:
    """Refuse a signed time that lies too far back or ahead: somebody repeats an old request."""
    if at is None or not -timedelta(seconds=FUTURE_SECONDS_MAX) <= request.at - at <= age_max:
        raise HookRefusedError("The signature is too old, or of the future.")


# What it says.


def parse_json(body: bytes) -> object:
    """Read a body as JSON, whatever it holds."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise HookUnreadableError from error


def objects_in(value: object) -> list[Mapping[str, object]]:
    """Return a JSON object, or each object of a JSON array; raises `HookUnreadableError` for anything else."""
    items = value if isinstance(value, list) else [value]
    objects: list[Mapping[str, object]] = [item for item in items if isinstance(item, dict)]
    if len(objects) < len(items):
        raise HookUnreadableError
    return objects


def value_at(value: object, *path: str) -> object:
    """Return what stands at a path of nested objects; None where there is nothing."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def text_at(value: object, *path: str) -> str:
    """Return the text or number at a path as a text without control characters; else empty."""
    found_value = value_at(value, *path)
    if isinstance(found_value, bool) or not isinstance(found_value, str | int | float):
        return ""
    return strip_control_characters(str(found_value)).strip()


def list_at(value: object, *path: str) -> list[object]:
    """Return the list at a path; else an empty one."""
    items = value_at(value, *path)
    return items if isinstance(items, list) else []


def unix_time(text: str, *, per_second: int = 1) -> datetime | None:
    """Read seconds since 1970, or thousandths of them; None for what is no such number."""
    try:
        return datetime.fromtimestamp(float(text) / per_second, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def iso_time(text: str) -> datetime | None:
    """Read a time of RFC 3339; None for what is none."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


# Whose it is.


def traces_in(*, token: str = "", sender: str = "", headers: Iterable[str] = ()) -> tuple[Trace, ...]:
    """Return what may name a delivery.

    `token` is what the header for this provider holds, `sender` the envelope sender, `headers` values of headers of our
    own mail, such as its Message-ID.
    """
    traces = [Trace(kind=TraceKind.UNSUBSCRIBE, text=token)] if len(token) == _OPT_OUT_TOKEN_LENGTH else []
    traces += [Trace(kind=TraceKind.VERP, text=match) for match in VERP.findall(sender)[:1]]
    for value in headers:
        traces += [Trace(kind=TraceKind.UNSUBSCRIBE, text=match) for match in OPT_OUT.findall(value)[:1]]
        traces += [Trace(kind=TraceKind.MESSAGE_ID, text=match) for match in MESSAGE_ID.findall(value)[:1]]
    # A Message-ID is found by a walk through its edition, so it comes last.
    return tuple(sorted(dict.fromkeys(traces), key=lambda trace: trace.kind is TraceKind.MESSAGE_ID))


# Why.


def refusal(text: str, *, status: str = "", code: str = "", by_mailbox: bool = False) -> Reply:
    """Return a refusal as if the reader's server had told it to us.

    `text` are the words of the server, `status` and `code` what the provider names besides. With `by_mailbox` the
    provider says that the mailbox is to blame: where no words tell why, that counts as one refusal of the address, and
    a second one ends the subscription. Without it, a refusal without a reason counts for nothing.
    """
    words = f"{code} {text}" if code[:1] in {"4", "5"} and not text.startswith(code) else text
    reply = reported_reply(words, status=status)
    if by_mailbox and judge(reply).kind is ReplyClass.SYSTEM and reply.code // 100 == 4:  # noqa: PLR2004 - first digit
        plain = parse_reply(550, [text], phase=Phase.RCPT)
        return Reply(phase=Phase.RCPT, code=550, text=plain.text[:500])
    return reply


def known_from_before(provider: str) -> Reply:
    """Return what stands for a refusal where the provider did not try, as the address bounced before.

    No server refused this mail, so it ends no subscription by itself; a second one does.
    """
    return Reply(phase=Phase.RCPT, code=550, text=f"{provider} did not try: this address bounced before")


def count_kinds(kinds: Iterable[str], known: Iterable[str]) -> Mapping[str, int]:
    """Count events by kind; a kind that is not documented counts as unknown, so that the names stay few."""
    listed = frozenset(known)
    return Counter(kind if kind in listed else UNKNOWN_KIND for kind in kinds)


def summary_of(*parts: str) -> str:
    """Return in a few words what an event is."""
    return " ".join(part for part in parts if part)[:SUMMARY_LENGTH]

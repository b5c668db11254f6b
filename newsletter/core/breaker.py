"""The circuit breaker of an edition: it trips when refusals are so many that going on would harm our reputation.

In: the tally of an edition so far, the last refusals in a row, complaints, the limits. Out: a `Trip` with the
reason in words, or None. It pauses nothing itself. Sources: Amazon SES reviews senders at 5 % bounces or 0.1 %
complaints, and stops them at 10 % bounces; Gmail's sender guidelines want complaints below 0.1 % and never at 0.3 %,
Yahoo's below 0.3 %; deliverability people call 25 alike refusals in a row a block.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from newsletter.core.reply_value import Reply, Verdict
from newsletter.core.tally import Tally
from newsletter.wording import people_words

REFUSALS_MIN = 25
"""Refusals below which a share says nothing: one of 40 people would be 2.5 %, and providers judge volumes, too. What a
small list suffers is reported when the edition ends (`flows/alert.py:report_refused`)."""

FIRST_REPLIES_COUNT = 1000
"""Among so few, a run of old addresses is chance: `FIRST_FACTOR` times the share is borne."""
FIRST_FACTOR = 2.5

WORSE_FACTOR = 1.5
"""A person who resumed an edition has accepted its share of refusals; it stops again when it gets clearly worse."""


COMPLAINTS_MIN = 3
"""Complaints from which on a share counts: one or two people say nothing about a list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerLimits:
    """Where an edition is paused; 0 switches a limit off."""

    hard_percent: float = 2.0
    """Addresses that do not exist, after the first thousand; 5 % (2.5 times as much) among those."""
    policy_percent: float = 2.0
    """Refusals for what we are: blocked, or not believed (SPF, DKIM, DMARC)."""
    content_percent: float = 1.0
    """Refusals for what we send."""
    refusals: int = 25
    """Alike refusals in a row."""
    complaint_percent: float = 0.3
    """Complaints of readers: from here on Gmail refuses to help a sender, and Yahoo filters the mail."""
    complaint_alert_percent: float = 0.1
    """Complaints that raise an alert: below this Gmail wants a sender to stay, and Amazon SES puts one under review."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Streak:
    """The last refusals, as long as they are alike and no recipient was accepted in between."""

    count: int = 0
    alike: str = ""
    """What they have in common (`identity`)."""
    words: str = ""
    """The words of the last one, without an address, for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trip:
    """The edition is to be paused."""

    why: str
    """One or two sentences for the alert."""


_ADDRESS = re.compile(r"[^\s<>\"'(),;:]+@[^\s<>\"'(),;:]+")
_NUMBERED = re.compile(r"[\w.-]*\d[\w.-]*")


def identity(code: int, enhanced: str, text: str) -> str:
    """Return what is the same in refusals of the same kind: addresses, queue ids and numbers are left out."""
    words = _NUMBERED.sub("#", _ADDRESS.sub("@", text)).casefold().split()
    return " ".join((str(code), enhanced, *words))


def extend_streak(streak: Streak, *, code: int, enhanced: str, text: str) -> Streak:
    """Add a refusal for good; one of another kind begins anew. A deferral is none: leave it out."""
    alike = identity(code, enhanced, text)
    words = anonymous_words(code=code, enhanced=enhanced, text=text)
    return Streak(count=streak.count + 1 if streak.alike == alike else 1, alike=alike, words=words)


def anonymous_words(*, code: int, enhanced: str, text: str) -> str:
    """Return a reply as people see it, without anybody's address."""
    return " ".join(part for part in (str(code or ""), enhanced, _ADDRESS.sub("…", text)) if part)


def pause_reason(verdict: Verdict, reply: Reply) -> str:
    """Return why a single reply pauses an edition: what it means, and the server's own words."""
    words = anonymous_words(code=reply.code, enhanced=reply.enhanced, text=reply.text)
    return f'{verdict.plain} The mail server said "{words[:300]}".'


def resume_advice(edition: str, *, rejected: bool) -> str:
    """Return how a paused edition goes on; a resume alone leaves out the people who were refused before the pause."""
    go_on = f"`newsletter edition resume {edition}` goes on"
    retry = f"`newsletter edition retry {edition} --rejected` also tries those who were refused before the pause"
    return f"{go_on}; {retry}." if rejected else f"{go_on}."


def end_streak(streak: Streak) -> Streak:
    """Note that a server took a message: whatever was refused, it is not everybody."""
    return NO_STREAK if streak.count else streak


NO_STREAK = Streak()


def judge_edition(
    tally: Tally, limits: BreakerLimits, *, streak: Streak = NO_STREAK, resumed_at: Tally | None = None
) -> Trip | None:
    """Tell whether to pause an edition, from all that was counted of it by all workers together.

    `resumed_at` is the tally as it stood when a person last resumed it, None when it never was. Only what came after it
    counts, and the share that was borne then is borne again; resuming also begins a new `streak`.
    """
    if limits.refusals and streak.count >= limits.refusals:
        return Trip(
            why=f"{people_words(streak.count)} in a row were refused in the same words, and none was accepted: "
            f'the mail server said "{streak.words}".'
        )
    before = resumed_at or Tally()
    now = tally.since(before)
    early = FIRST_FACTOR if now.answered <= FIRST_REPLIES_COUNT else 1.0
    for name, percent, noun in (
        ("hard", limits.hard_percent * early, _HARD),
        ("policy", limits.policy_percent, _POLICY),
        ("content", limits.content_percent, _CONTENT),
    ):
        count: int = getattr(now, name)
        share, borne = _percent(count, now.answered), _percent(getattr(before, name), before.answered) * WORSE_FACTOR
        if percent and count >= REFUSALS_MIN and share > max(percent, borne):
            again = " since it was resumed" if resumed_at else ""
            return Trip(why=f"{count:,} of {people_words(now.answered)} ({share:.1f} %){again} {noun}")
    return None


def complaint_percent(count: int, accepted: int) -> float:
    """Return the share of the readers of an edition who called it unwanted."""
    return min(100.0, _percent(count, accepted))


def alerts_of_complaints(count: int, accepted: int, limits: BreakerLimits) -> bool:
    """Tell whether so many readers complained that a person should know."""
    limit = limits.complaint_alert_percent
    return bool(limit) and count >= COMPLAINTS_MIN and complaint_percent(count, accepted) >= limit


def judge_complaints(count: int, accepted: int, limits: BreakerLimits, *, borne: int = 0) -> Trip | None:
    """Tell whether to pause an edition because of complaints.

    `borne` is how many there were when a person last resumed it: it then pauses when half as many more have come.
    """
    share, limit = complaint_percent(count, accepted), limits.complaint_percent
    if not limit or count < max(COMPLAINTS_MIN, borne * WORSE_FACTOR) or count <= borne or share < limit:
        return None
    return Trip(
        why=f"{count:,} of {people_words(accepted)} who have it ({share:.1f} %) called it unwanted. From 0.3 % on "
        "Gmail and Yahoo put a sender's mail into the spam folder: does everybody on the list know why they are on it?"
    )


_HARD = (
    "have an address that does not exist. Providers stop taking mail from a sender that writes to many such addresses: "
    "is this an old list?"
)
_POLICY = (
    "were refused because of us, not of them: the receiving servers block our mail, or do not believe who we are. "
    "`newsletter delivery list --state rejected` shows their words, `newsletter bounce list` what came later by mail."
)
_CONTENT = (
    "were refused because of what is in the mail, or how it is built. "
    "`newsletter delivery list --state rejected` shows the servers' words, `newsletter bounce list` what came later "
    "by mail."
)


def _percent(count: int, whole: int) -> float:
    return 100 * count / whole if whole else 0.0

"""The receipt of an edition: the outcome for each person of its frozen audience, and whether the counts add up.

In: the audience as it was stored at the freeze, and the counts of the eight states. Out: the gap, and the delivery
report in plain words. It never calls a message delivered: a server's 250 says accepted, not arrived.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from newsletter.core.delivery import DeliveryCounts
from newsletter.core.edition import Edition, EditionStatus
from newsletter.core.wave import WaveStanding
from newsletter.wording import MONTHS, inflected, people_words, plural


def clock_time_utc(instant: dt.datetime) -> str:
    """Write an instant as `14:15 UTC on 24 Nov 2026`."""
    utc = instant.astimezone(dt.UTC)
    return f"{utc:%H:%M} UTC on {utc.day} {MONTHS[utc.month - 1][:3]} {utc.year}"


def uncertain_sentence(count: int, edition: str, *, cancelled: bool = False) -> str:
    """Say what `uncertain` means for the edition of this name and what a person can do; it is never shown without."""
    people = people_words(count)
    if cancelled:
        return (
            f"{people} may or may not have it, and nothing of it is sent again. "
            f"When you find out, record it with `edition resolve {edition}` and --accepted or --rejected."
        )
    return (
        f"{people} may or may not have it. Do nothing: they may miss one. "
        f"`edition resolve {edition} --resend`: they may get two."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The totals of an edition."""

    edition: Edition
    counts: DeliveryCounts
    came_back: int = 0
    """Mails that bounced after a server had taken them; no state, so not part of the balance."""
    held: int = 0
    """Bounces that wait for a person."""
    complained: int = 0
    next_attempt_at: dt.datetime | None = None
    """When the first of the deferred ones is tried again."""
    awaiting: int = 0
    """Those among the deferred who were not tried yet: they wait for the outcome of the edition before."""
    about: str = ""
    """The name of the edition that it replaces or corrects."""
    waves: tuple[WaveStanding, ...] = ()
    """How far each wave is, where it goes out by each reader's own clock."""

    @property
    def gap(self) -> int:
        """Return how many people of the audience no state accounts for; negative when there are too many."""
        return self.edition.audience - self.counts.total

    @property
    def balances(self) -> bool:
        """Tell whether everybody is accounted for exactly once."""
        return self.gap == 0

    @property
    def settled(self) -> int:
        """Return for how many people the outcome is known."""
        return self.edition.audience - self.counts.open

    @property
    def reached(self) -> int:
        """Return how far the edition got; of a cancelled one without the people whom the cancel left out."""
        return self.settled - self.counts.skipped if self.edition.status is EditionStatus.CANCELLED else self.settled

    def per_second(self, now: dt.datetime) -> float:
        """Return how many people a second were tried, from the start to the end or to this moment."""
        seconds = ((self.edition.finished_at or now) - self.edition.started_at).total_seconds()
        counts = self.counts
        tried = counts.accepted + counts.rejected + self.again + counts.uncertain + counts.expired
        return tried / seconds if seconds > 0 else 0.0

    def time_left(self, now: dt.datetime) -> dt.timedelta | None:
        """Return how long the people take who wait for no other try, at the rate so far; None while there is none."""
        rate, left = self.per_second(now), self.counts.left
        return dt.timedelta(seconds=left / rate) if rate and left else None

    @property
    def again(self) -> int:
        """Return how many people were tried and wait for another try."""
        return self.counts.deferred - self.awaiting

    def to_dict(self) -> dict[str, Any]:
        """Return what `edition show --json` prints; times are ISO 8601 in UTC."""
        edition = self.edition
        return {
            "date": edition.name,
            "tip": edition.tip.slug,
            "source": edition.tip.source.value,
            "status": edition.status.value,
            "kind": edition.kind.value,
            "about": self.about or None,
            "audience": edition.audience,
            **self.counts.to_dict(),
            "came_back": self.came_back,
            "held": self.held,
            "complained": self.complained,
            "started_at": _iso(edition.started_at),
            "finished_at": _iso(edition.finished_at) if edition.finished_at else None,
            "gap": self.gap,
            "sentences": list(self.sentences()),
        } | ({"waves": [wave.to_dict() for wave in self.waves]} if self.waves else {})

    def sentences(self, when: Callable[[dt.datetime], str] = clock_time_utc) -> tuple[str, ...]:
        """Return the receipt in plain words, one sentence for each count that is not zero.

        `when` writes an instant for the reader; local time exists in `core/cadence.py` alone.
        """
        edition, counts = self.edition, self.counts
        reached = f"{counts.accepted:,} of {edition.audience:,}"
        lines = [f"{reached} handed to your mail provider (this means accepted, not arrived)."]
        if counts.queued:
            lines.append(_people(counts.queued, "waits", "wait") + " in the queue.")
        if counts.sending:
            lines.append(_people(counts.sending, "is", "are") + " being sent to right now.")
        if self.again:
            due = f"; the next is at {when(self.next_attempt_at)}" if self.next_attempt_at else ""
            lines.append(_people(self.again, "waits", "wait") + f" for another try{due}.")
        if self.awaiting:
            lines.append(_people(self.awaiting, "waits", "wait") + " for the outcome of the edition before.")
        if counts.rejected:
            lines.append(_people(counts.rejected, "was", "were") + " refused by a mail server for good.")
        if counts.uncertain:
            cancelled = edition.status is EditionStatus.CANCELLED
            lines.append(uncertain_sentence(counts.uncertain, edition.name, cancelled=cancelled))
        if counts.expired:
            lines.append(self._expired_sentence())
        if counts.skipped:
            lines.append(_people(counts.skipped, "was", "were") + " left out after the audience was fixed.")
        lines.extend(self._later_sentences())
        lines.extend(self._gap_sentence())
        return tuple(lines)

    def _expired_sentence(self) -> str:
        sentence = _people(self.counts.expired, "was", "were") + " given up: no mail server took their mail in time"
        if self.edition.status is EditionStatus.CANCELLED:
            return f"{sentence}."
        return f"{sentence}; `edition retry {self.edition.name} --expired` sends to them after all."

    def _later_sentences(self) -> list[str]:
        edition, lines = self.edition, []
        if self.came_back:
            noun = plural(self.came_back, "mail")
            it = inflected(self.came_back, "it", "them")
            lines.append(
                f"{noun} came back after the mail server had taken {it}; "
                f"`newsletter bounce list {edition.name}` tells why."
            )
        if self.held:
            noun = plural(self.held, "bounce waits", "bounces wait")
            lines.append(f"{noun} for you, as very many came at once; see `newsletter bounce list {edition.name}`.")
        if self.complained:
            readers = max(self.counts.accepted, self.complained)
            share = f"{100 * self.complained / readers:.2f} % of those who have it"
            lines.append(_people(self.complained, "called", "called") + f" it unwanted ({share}).")
        return lines

    def _gap_sentence(self) -> list[str]:
        if self.gap > 0:
            fault = _people(self.gap, "is", "are") + f" missing from the account of {self.edition.audience:,}"
        elif self.gap < 0:
            fault = _people(-self.gap, "is", "are") + f" accounted for beyond the audience of {self.edition.audience:,}"
        else:
            return []
        return [f"This report does not add up: {fault}. Run `newsletter db check`."]


def _people(count: int, singular: str, many: str) -> str:
    return plural(count, f"person {singular}", f"people {many}")


def _iso(instant: dt.datetime) -> str:
    return instant.astimezone(dt.UTC).isoformat(timespec="milliseconds")

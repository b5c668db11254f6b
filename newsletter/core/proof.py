"""A proof: the mail of the next date as the readers will get it, shown to the editors a day ahead.

In: what will go out for a date. Out: the key of the proof that stands for it, and what a new key changed about the
last one. A proof stands for one content: each change of the mail makes another.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from newsletter.core.cadence import Slot, SlotState
from newsletter.core.lineup import Choice
from newsletter.core.series import SeriesPlace
from newsletter.core.tip import Tip, TipId

PROOF_AHEAD = timedelta(hours=24)

_KEY = re.compile(r"(\d+) (\w+) (\d+) (\S+) ([0-9a-f]{16})")


class Shown(StrEnum):
    """What a proof says of a date."""

    TIP = "tip"
    SKIPPED = "skipped"
    EMPTY = "empty"


class Change(StrEnum):
    """How what goes out now differs from what the last proof showed."""

    FIRST = "first"
    NOTHING = "nothing"
    TIP = "another tip"
    TIME = "another time"
    EDITED = "edited"
    SKIPPED = "skipped"
    EMPTY = "nothing to send"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofKey:
    """The content that one proof shows; as text it is the variant of its notice."""

    number: int
    """1 for the first of a date. It tells apart a tip that was changed and changed back."""
    shown: Shown
    tip: TipId
    """0 when nothing goes out."""
    sends_at: str
    digest: str

    def __str__(self) -> str:
        """Return the key as text."""
        return f"{self.number} {self.shown} {self.tip} {self.sends_at} {self.digest}"

    @classmethod
    def parse(cls, text: str) -> ProofKey | None:
        """Read a key back; None for what is none."""
        match = _KEY.fullmatch(text)
        if match is None or match[2] not in {item.value for item in Shown}:
            return None
        return cls(
            number=int(match[1]),
            shown=Shown(match[2]),
            tip=TipId(int(match[3])),
            sends_at=match[4],
            digest=match[5],
        )


def proof_key(
    choice: Choice, context_digest: str, last: ProofKey | None, series: SeriesPlace | None = None
) -> ProofKey:
    """Return the key of what goes out for a slot now; `context_digest` stands for publication and templates."""
    shown = Shown.TIP if choice.tip else Shown.SKIPPED if choice.slot.state is SlotState.SKIPPED else Shown.EMPTY
    return ProofKey(
        number=last.number + 1 if last else 1,
        shown=shown,
        tip=choice.tip.id if choice.tip else TipId(0),
        sends_at=f"{choice.slot.sends_at:%Y-%m-%dT%H:%MZ}",
        digest=_digest(choice.tip, context_digest, series) if choice.tip else "0" * 16,
    )


def _digest(tip: Tip, context_digest: str, series: SeriesPlace | None) -> str:
    """Hash what decides the bytes of the mail; the place in the queue does not."""
    content = (tip.slug, tip.title, tip.subject, tip.preheader, tip.author, tip.tags, tip.body, context_digest, series)
    return hashlib.sha256(repr(content).encode()).hexdigest()[:16]


def change_since(last: ProofKey | None, now: ProofKey) -> Change:
    """Tell what changed since the last proof of a date; a first proof is only for a tip."""
    if last is None:
        return Change.FIRST if now.shown is Shown.TIP else Change.NOTHING
    if now.shown is not Shown.TIP:
        if last.shown is now.shown:
            return Change.NOTHING
        return Change.SKIPPED if now.shown is Shown.SKIPPED else Change.EMPTY
    if last.shown is not Shown.TIP or last.tip != now.tip:
        return Change.TIP
    if last.sends_at != now.sends_at:
        return Change.TIME
    return Change.EDITED if last.digest != now.digest else Change.NOTHING


def needs_proof(slot: Slot, *, now: datetime) -> bool:
    """Tell whether a slot is so near that its proof is due."""
    return now < slot.sends_at <= now + PROOF_AHEAD

"""A revision: a stored tip after the import or the edit of its file.

In: the tip, the draft of its file, and the dates on which it went out. Out: the tip as it should be stored. Whether a
date is free and whether a tip can be rendered is checked by the flow.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import date

from newsletter.core.tip import Tip, TipDraft, TipStatus, approve


def imported(tip: Tip, draft: TipDraft, *, sent_on: Collection[date] = ()) -> Tip:
    """Return the tip as an imported file changes it; a key that the file lacks keeps its value.

    So a file without a pin leaves a pin alone, and a file that says draft (as every file does that says nothing) does
    not take an approval back. A pin to a date on which the tip went out has done its work and is not set again.
    """
    pin = draft.pin if draft.pin and draft.pin not in sent_on else tip.pin
    status = tip.status
    if draft.status is TipStatus.APPROVED and status in {TipStatus.DRAFT, TipStatus.SENT}:
        status = TipStatus.APPROVED
    if status is TipStatus.RETIRED:
        pin = None
    return replace(_reworded(tip, draft), pin=pin, status=status)


def edited(tip: Tip, draft: TipDraft, *, was_sent: bool = False) -> Tip:
    """Return the tip as a person edited the whole of its file: what the file no longer says is taken away.

    A tip that went out stays sent, and one that was retired stays retired, unless the file now says `approved`. Raises
    `InputError` when that cannot be.
    """
    after = replace(_reworded(tip, draft), pin=draft.pin)
    if tip.status is TipStatus.SENT and not draft.evergreen:
        return replace(after, pin=tip.pin)
    if draft.status is TipStatus.APPROVED:
        return approve(after, was_sent=was_sent)
    if tip.status in {TipStatus.SENT, TipStatus.RETIRED}:
        return replace(after, pin=None)
    return replace(after, status=TipStatus.DRAFT)


def same_words(tip: Tip, draft: TipDraft) -> bool:
    """Tell whether a file equals the tip, state and pin aside."""
    return _reworded(tip, draft) == tip


def _reworded(tip: Tip, draft: TipDraft) -> Tip:
    return replace(
        tip,
        slug=draft.slug,
        title=draft.title,
        subject=draft.subject,
        preheader=draft.preheader,
        author=draft.author,
        tags=draft.tags,
        evergreen=draft.evergreen,
        season=draft.season,
        part=draft.part,
        first_published=draft.first_published,
        listed=draft.listed,
        body=draft.body,
    )

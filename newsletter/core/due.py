"""Due slots: the one that goes out now, and those that are too late.

In: the slots of the calendar and the store in any state, `now`, and when this schedule began. Out: one judgement, with
at most one slot to send. It changes nothing: the caller moves the rows, and must alert for every slot that is missed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from newsletter.core.cadence import Slot, SlotState, describe_instant, describe_span, slot_order

LATE_SLOT_AFTER = timedelta(minutes=5)
"""A slot that starts within this of its time is on time: a tick comes every few seconds, a restart takes a minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotJudgement:
    """What should happen to the slots at one moment."""

    due: Slot | None = None
    """The one slot to freeze and send now. Never more than one."""
    lateness: timedelta = timedelta()
    """How long after its time the due slot is."""
    missed: tuple[Slot, ...] = ()
    """To be marked missed, and alerted; state and reason are already set. Oldest first."""
    passed_over: tuple[Slot, ...] = ()
    """As `missed`, but because the installation or its schedule is younger than the slot."""
    reopen: tuple[Slot, ...] = ()
    """Marked missed while the clock was ahead, and now lying in the future again: to be opened, state already set."""
    warnings: tuple[str, ...] = ()
    """What a person should hear about the clock."""

    @property
    def late(self) -> bool:
        """Tell whether the due slot is late enough to be worth a word."""
        return self.lateness > LATE_SLOT_AFTER


def last_start(slot: Slot, grace: timedelta) -> datetime:
    """Return from when on a slot is too late to begin: its grace is over, and the publication's own hour is past.

    The grace counts from the first reader's hour. Where that is far ahead of the publication's own, a short grace ends
    before most readers' time has come, and a date is not missed while they still wait for it.
    """
    return max(slot.sends_at + grace, slot.at_home)


def judge_slots(
    slots: Iterable[Slot], *, now: datetime, not_before: datetime, grace: timedelta, zone: str = "UTC"
) -> SlotJudgement:
    """Decide what happens to weekly and extra slots at `now`; any order, any state, any number.

    `not_before` is the later of the installation's first tick and the last change of its schedule: a slot at or before
    it is never due. Open slots younger than `grace` are due, but of several only the newest, and none that is older
    than an edition which already went out: several missed slots never give several mails. The rest is missed, with the
    reason in words. A clock that steps back makes nothing due early, and opens again what it had marked missed; a slot
    missed and still in the past stays missed, as people were told so (a longer grace must not surprise anybody).
    """
    every = sorted(slots, key=slot_order)
    opened = [slot for slot in every if slot.state is SlotState.OPEN and slot.sends_at <= now]
    passed_over = [slot for slot in opened if slot.sends_at <= not_before]
    late = [slot for slot in opened if slot.sends_at > not_before]
    gone_out = [slot for slot in every if slot.state is SlotState.FROZEN and slot.sends_at <= now]
    newest = max([*late, *gone_out], key=slot_order, default=None)
    due = newest if newest is not None and newest in late and now < last_start(newest, grace) else None
    reopen = [
        slot for slot in every if slot.state is SlotState.MISSED and slot.sends_at > now and slot.sends_at > not_before
    ]
    return SlotJudgement(
        due=due,
        lateness=now - due.sends_at if due else timedelta(),
        missed=tuple(_missed(slot, newest, now=now, grace=grace) for slot in late if slot is not due),
        passed_over=tuple(_passed_over(slot, not_before, zone) for slot in passed_over),
        reopen=tuple(replace(slot, state=SlotState.OPEN, reason="") for slot in reopen),
        warnings=_clock_warnings(now, not_before, zone),
    )


def _missed(slot: Slot, newest: Slot | None, *, now: datetime, grace: timedelta) -> Slot:
    age = now - slot.sends_at
    if now >= last_start(slot, grace) or newest is None:
        reason = f"not sent within {describe_span(grace)} of its time, which is {describe_span(age)} ago"
    elif newest.state is SlotState.FROZEN:
        reason = f"the later edition of {newest.date} has already gone out"
    else:
        reason = f"the later date {newest.date} is due too, and two are never sent at once"
    return replace(slot, state=SlotState.MISSED, reason=reason)


def _passed_over(slot: Slot, not_before: datetime, zone: str) -> Slot:
    since = describe_instant(not_before, zone)
    return replace(slot, state=SlotState.MISSED, reason=f"its time lay in the past when this schedule began, {since}")


def _clock_warnings(now: datetime, not_before: datetime, zone: str) -> tuple[str, ...]:
    # Without this line a first tick made while the clock was years ahead would silence the newsletter for years.
    if not_before <= now:
        return ()
    begins = describe_instant(not_before, zone)
    return (f"the clock has stepped back: this schedule begins {begins}, and no earlier date will be sent",)

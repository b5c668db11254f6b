"""Queueing: tip files become tips, all of them or none.

In: the texts of files, with their names. Out: the result for each, or an `InputError` with every fault of every file
and its line. A tip that could not be frozen never gets in as approved, and one that went out is not rewritten.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from newsletter.core.cadence import Cadence, local, next_slots
from newsletter.core.front_matter import read_front_matter
from newsletter.core.tip import Tip, TipDraft, TipId, TipStatus
from newsletter.core.tip_body import placeholder_faults
from newsletter.core.tip_file import parse_tip_file
from newsletter.core.tip_revision import edited, imported, same_words
from newsletter.errors import InputError, NotNow
from newsletter.flows.freeze import RenderContext
from newsletter.flows.pin_date import pin_faults
from newsletter.flows.preview import compile_tip
from newsletter.flows.publish_page import correct_page
from newsletter.render.article import render_article
from newsletter.store import edition as editions
from newsletter.store import installation as installations
from newsletter.store import log as logs
from newsletter.store import tip as tips
from newsletter.store.unit import Tx, Unit
from newsletter.wording import plural

CHANGED_MEANWHILE = "The same tips were changed by another command at this moment; this one changed nothing. Try again."


@dataclass(frozen=True, slots=True, kw_only=True)
class TipText:
    """One file as it was read."""

    name: str
    text: str


class QueueOutcome(StrEnum):
    """The result for one file."""

    ADDED = "added"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    SENT = "sent"
    """The tip went out already, so the changed file was left alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued:
    """One file, and its tip as it is stored now."""

    file: str
    outcome: QueueOutcome
    tip: Tip


@dataclass(frozen=True, slots=True, kw_only=True)
class TipValidation:
    """What the validation of a tip needs besides the tip."""

    render_context: RenderContext
    cadence: Cadence
    now: datetime

    @property
    def on(self) -> date:
        """A date to render for; which one does not matter to any gate."""
        return next_slots(self.cadence, self.now, 1)[0].date


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """The planned change of one file."""

    file: TipText
    draft: TipDraft
    before: Tip | None
    after: Tip | TipDraft
    outcome: QueueOutcome


@dataclass(slots=True)
class _Faults:
    """Faults by file, so that one error reports all of them."""

    files: int
    unreadable: Sequence[str] = ()
    """A line about each file that could not be read."""
    by_file: dict[str, list[str]] = field(default_factory=dict)

    def add(self, file: str, *faults: str) -> None:
        self.by_file.setdefault(file, []).extend(faults)

    def check(self) -> None:
        """Raise `InputError` if there are faults."""
        if not self.by_file and not self.unreadable:
            return
        if self.files == 1 and not self.unreadable:
            ((name, faults),) = self.by_file.items()
            count = plural(len(faults), "fault")
            raise InputError(f"{name} has {count}; correct it and try again", details=tuple(faults))
        lines = [f"{name}: {fault}" for name, faults in self.by_file.items() for fault in faults]
        wrong = len(self.by_file) + len(self.unreadable)
        message = f"{wrong} of {self.files + len(self.unreadable)} files must be corrected first; nothing was changed"
        raise InputError(message, details=(*self.unreadable, *lines))


def queue_tips(
    unit: Unit, files: Sequence[TipText], review: TipValidation, *, who: str, unreadable: Sequence[str] = ()
) -> list[Queued]:
    """Add the tips of these files, and update those that are known by their slug; all of them or none.

    `unreadable` has a line about each file that could not be read: it is told together with the faults of the others.
    """
    faults = _Faults(len(files), unreadable)
    return _queue_all(unit, _parsed(files, faults), review, faults, who=who)


def queue_drafts(
    unit: Unit, drafts: Sequence[tuple[TipText, TipDraft]], review: TipValidation, *, who: str
) -> list[Queued]:
    """Do the same with files that were read already, each slug once."""
    return _queue_all(unit, drafts, review, _Faults(len(drafts)), who=who)


def _queue_all(
    unit: Unit, drafts: Sequence[tuple[TipText, TipDraft]], review: TipValidation, faults: _Faults, *, who: str
) -> list[Queued]:
    with unit.read() as tx:
        steps = _plan(tx, drafts)
        _check_pins(tx, steps, review, faults)
    _check_first_published(steps, review, faults)
    _check_gates(steps, review, faults)
    faults.check()
    with unit.write() as tx:
        installations.lock(tx)
        if _plan(tx, drafts) != steps:
            raise NotNow(CHANGED_MEANWHILE)
        _check_pins(tx, steps, review, faults)
        faults.check()
        return _write(tx, steps, review, who=who)


def edit_tip(unit: Unit, tip: Tip, file: TipText, review: TipValidation, *, who: str) -> Queued:
    """Take over the file of one tip as a person edited it; `tip` is its state before the edit."""
    faults = _Faults(1)
    drafts = _parsed([file], faults)
    faults.check()
    draft = drafts[0][1]
    with unit.read() as tx:
        after = edited(tip, draft, was_sent=_was_sent(tx, tip))
        step = _Step(file=file, draft=draft, before=tip, after=after, outcome=QueueOutcome.UPDATED)
        _check_pins(tx, [step], review, faults)
        namesake = tips.by_slug(tx, draft.slug)
    if namesake is not None and namesake.id != tip.id:
        faults.add(file.name, f"line {_line_of(file, 'slug')}: slug: another tip has it, “{namesake.title}”")
    _check_first_published([step], review, faults)
    _check_gates([step], review, faults)
    faults.check()
    if after == tip:
        return Queued(file=file.name, outcome=QueueOutcome.UNCHANGED, tip=tip)
    with unit.write() as tx:
        installations.lock(tx)
        namesake = tips.by_slug(tx, draft.slug)
        if tips.by_id(tx, tip.id) != tip or (namesake is not None and namesake.id != tip.id):
            raise NotNow(CHANGED_MEANWHILE)
        _check_pins(tx, [step], review, faults)
        faults.check()
        return _write(tx, [step], review, who=who)[0]


def _parsed(files: Iterable[TipText], faults: _Faults) -> list[tuple[TipText, TipDraft]]:
    """Read every file; one slug in two of them is a fault, since one would silently undo the other."""
    drafts: dict[str, tuple[TipText, TipDraft]] = {}
    for file in files:
        try:
            draft = parse_tip_file(file.text, file_name=file.name)
        except InputError as error:
            faults.add(file.name, *error.details)
            continue
        if draft.slug in drafts:
            other = drafts[draft.slug][0].name
            line = _line_of(file, "slug")
            faults.add(file.name, f"line {line}: slug: {other} is named “{draft.slug}” too; give one another slug")
            continue
        drafts[draft.slug] = (file, draft)
    return list(drafts.values())


def _plan(tx: Tx, drafts: Sequence[tuple[TipText, TipDraft]]) -> list[_Step]:
    known = {tip.slug: tip for tip in tips.by_slugs(tx, (draft.slug for _, draft in drafts))}
    sent_on: dict[TipId, set[date]] = {}
    for sending in editions.history_of(tx, [tip.id for tip in known.values()]):
        sent_on.setdefault(sending.tip, set()).add(sending.date)
    steps = []
    for file, draft in drafts:
        before = known.get(draft.slug)
        after: Tip | TipDraft = draft
        outcome = QueueOutcome.ADDED
        if before is not None:
            dates = sent_on.get(before.id, set())
            if (dates or before.status is TipStatus.SENT) and not draft.evergreen:
                after, outcome = before, QueueOutcome.UNCHANGED if same_words(before, draft) else QueueOutcome.SENT
            else:
                after = imported(before, draft, sent_on=dates)
                outcome = QueueOutcome.UNCHANGED if after == before else QueueOutcome.UPDATED
        steps.append(_Step(file=file, draft=draft, before=before, after=after, outcome=outcome))
    return steps


def _check_pins(tx: Tx, steps: Sequence[_Step], review: TipValidation, faults: _Faults) -> None:
    """Check each new pin: its date must have a mail, and no other tip may be pinned to it."""
    changed = {step.before.id for step in steps if step.before is not None}
    holders = {pin: slug for tip_id, (pin, slug) in tips.pins(tx).items() if tip_id not in changed}
    for step in steps:
        pin = step.after.pin
        if pin is None:
            continue
        line = f"line {_line_of(step.file, 'pin')}"
        if step.before is None or step.before.pin != pin:
            faults_of_date = pin_faults(tx, pin, cadence=review.cadence, now=review.now)
            if faults_of_date:
                faults.add(step.file.name, *(f"{line}: {text}" for text in faults_of_date))
        if (holder := holders.get(pin)) is not None:
            text = (
                f"pin: “{holder}” is pinned to {pin} already; choose another date, or `newsletter tip unpin {holder}`"
            )
            faults.add(step.file.name, f"{line}: {text}")
        holders[pin] = step.after.slug


def _check_first_published(steps: Sequence[_Step], review: TipValidation, faults: _Faults) -> None:
    """Refuse a first publication that is still to come: the author meant the date on which the tip goes out."""
    today = local(review.now, review.cadence.zone).date()
    for step in steps:
        day = step.draft.first_published
        if day is None or day <= today:
            continue
        key = "date" if "date" in _lines_of_keys(step.file) else "first_published"
        text = f"{key}: {day} is still to come; “pin: {day}” chooses the date on which a tip goes out"
        faults.add(step.file.name, f"line {_line_of(step.file, key)}: {text}")


def _check_gates(steps: Sequence[_Step], review: TipValidation, faults: _Faults) -> None:
    """Render what would be approved: what could not be frozen on a Tuesday morning is refused now."""
    for step in steps:
        new = step.outcome in {QueueOutcome.ADDED, QueueOutcome.UPDATED}
        if not new or step.after.status is not TipStatus.APPROVED:
            continue
        if left := placeholder_faults(step.draft.body, step.draft.body_line):
            faults.add(step.file.name, *map(str, left))
            continue
        # The draft of the file, since it knows on which line its text begins.
        try:
            compile_tip(review.render_context, step.draft, on=review.on)
        except InputError as error:
            faults.add(step.file.name, f"line {step.draft.body_line}: {error}")


def _write(tx: Tx, steps: Sequence[_Step], review: TipValidation, *, who: str) -> list[Queued]:
    now = review.now
    # Dates are freed first: two tips of one folder may swap their pins, and a date can have one only.
    for step in steps:
        if step.before is not None and step.before.pin not in {None, step.after.pin}:
            tips.set_pin(tx, step.before, None, now=now)
    results = []
    for step in steps:
        if step.before is None:
            tip = tips.add(tx, step.draft, now=now)
        elif step.outcome is QueueOutcome.UPDATED:
            tip = tips.save(tx, step.before, step.after, now=now)
            if tip.status is TipStatus.SENT:
                # Rendered here, since few tips that went out are changed at a time.
                article = render_article(tip, review.render_context.publication)
                correct_page(tx, tip, article, on=local(now, review.cadence.zone).date(), now=now)
        else:
            tip = step.before
        if step.outcome in {QueueOutcome.ADDED, QueueOutcome.UPDATED}:
            noun = "tip add" if step.outcome is QueueOutcome.ADDED else "tip update"
            logs.add(tx, logs.LogEntry(at=now, who=who, what=noun, about=tip.slug, why=f"from {step.file.name}"))
        results.append(Queued(file=step.file.name, outcome=step.outcome, tip=tip))
    return results


def _was_sent(tx: Tx, tip: Tip) -> bool:
    return bool(editions.history_of(tx, [tip.id]))


def _line_of(file: TipText, key: str) -> int:
    """Return the line of a key, or that of the title when the key was not written."""
    lines = _lines_of_keys(file)
    return lines.get(key, lines.get("title", 1))


def _lines_of_keys(file: TipText) -> Mapping[str, int]:
    front, _ = read_front_matter(file.text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n"))
    return {entry.key: entry.line for entry in front.entries} if front else {}

"""Sending an edition over real SMTP."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType

import newsletter
from newsletter.core.delivery import DeliveryState
from newsletter.core.edition import Edition, EditionStatus
from newsletter.store import delivery as deliveries
from newsletter.store import edition as editions
from newsletter.store.unit import Unit
from newsletter.testing.catcher import Catcher
from newsletter.testing.clocks import FixedClock
from tests.edition_fixtures import make_sender, work

PACKAGE = Path(newsletter.__file__).parent
FILES_OF_A_MESSAGE_MAX = 22


def test_everybody_gets_one_mail(
    unit: Unit, clock: FixedClock, catcher: Catcher, frozen: Callable[[int], Edition]
) -> None:
    """Each person of the audience gets exactly one mail, the books balance, and the edition is closed."""
    edition = frozen(120)
    pass_result = work(make_sender(unit, clock, catcher.port))
    assert pass_result.trouble == ""
    assert catcher.accepted == {f"p{n}@example.com": 1 for n in range(120)}
    with unit.read() as tx:
        counts = deliveries.counts(tx, edition.id)
        closed = editions.by_id(tx, edition.id)
        totals = editions.totals(tx, edition.id)
    assert counts[DeliveryState.ACCEPTED] == edition.audience == 120
    assert closed.status is EditionStatus.FINISHED
    assert totals == counts


def test_a_message_crosses_few_files(
    unit: Unit, clock: FixedClock, catcher: Catcher, frozen: Callable[[int], Edition]
) -> None:
    """A reader who follows one message from its claim to its outcome opens at most so many files of the package."""
    # So many that what happens once for each commit happens far less often.
    people = 600
    frozen(people)
    sender = make_sender(unit, clock, catcher.port)
    calls: Counter[CodeType] = Counter()

    def count(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and threading.current_thread().name == "connections":
            calls[frame.f_code] += 1

    threading.setprofile(count)
    try:
        work(sender)
    finally:
        threading.setprofile(None)  # type: ignore[arg-type]
    paths = {Path(code.co_filename) for code, number in calls.items() if number >= people}
    files = sorted(path.relative_to(PACKAGE) for path in paths if path.is_relative_to(PACKAGE))
    assert Path("sending/connection_worker.py") in files
    assert len(files) <= FILES_OF_A_MESSAGE_MAX, " ".join(map(str, files))

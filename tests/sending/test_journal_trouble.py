"""A journal that is lost or cannot be written while an edition goes out."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable

from newsletter.core.edition import Edition
from newsletter.sending.sender_loop import send_until_idle
from newsletter.store.unit import Unit
from newsletter.testing.clocks import FixedClock
from tests.edition_fixtures import journals_of, make_sender
from tests.sending.scripted import TAKEN, Answer, Server
from tests.sending.test_trouble import counts, everybody


def test_no_journal_no_message(unit: Unit, clock: FixedClock, frozen: Callable[[int], Edition]) -> None:
    """A journal that cannot be written ends the run with the reason and returns all claims; nobody is uncertain."""
    edition = frozen(60)
    folder = journals_of(unit)

    def lose_the_folder(address: str, _nth: int) -> Answer:
        if address == "p20@example.com":
            shutil.rmtree(folder)
            folder.write_text("a file where the folder was")
        return TAKEN

    server = Server(lose_the_folder)
    pass_result = send_until_idle(make_sender(unit, clock, server.connect, connections=2), threading.Event())
    assert "cannot be written" in pass_result.trouble
    assert "without it nothing is sent" in pass_result.trouble
    assert pass_result.needs_person
    accepted_count = sum(server.accepted.values())
    assert 20 < accepted_count < 60
    assert counts(unit, edition) == {"accepted": accepted_count, "queued": 60 - accepted_count}
    folder.unlink()
    send_until_idle(make_sender(unit, clock, server.connect), threading.Event())
    assert server.accepted == everybody(60)
    assert counts(unit, edition) == {"accepted": 60}


def test_a_journal_that_is_deleted_while_it_is_used(
    unit: Unit, clock: FixedClock, frozen: Callable[[int], Edition]
) -> None:
    """It is written again, and the edition goes out."""
    edition = frozen(60)
    folder = journals_of(unit)
    journals: list[int] = []

    def delete_it(address: str, _nth: int) -> Answer:
        if address == "p20@example.com":
            shutil.rmtree(folder)
        if address == "p59@example.com":
            journals.append(len(list(folder.glob("*.journal"))))
        return TAKEN

    server = Server(delete_it)
    pass_result = send_until_idle(make_sender(unit, clock, server.connect, connections=2), threading.Event())
    assert (pass_result.trouble, journals) == ("", [1])
    assert server.accepted == everybody(60)
    assert counts(unit, edition) == {"accepted": 60}

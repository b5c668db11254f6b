"""A sender that is told to stop while the server is silent; deaths without a word are in `test_sudden_death.py`."""

from __future__ import annotations

import os
import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from newsletter.cli import sending
from newsletter.clock import SystemClock
from newsletter.core.delivery import DeliveryState
from newsletter.core.edition import EditionStatus
from newsletter.errors import NewsletterError
from newsletter.flows.freeze import freeze
from newsletter.flows.send_now import early_slot
from newsletter.sending.sender import Sender
from newsletter.settings.loader import load_settings
from newsletter.testing.catcher import HANG, Catcher, Keep, Step
from newsletter.wiring import Application
from tests.path.conftest import MakeHome
from tests.path.home import PATIENCE, Watch, speak_to

GO_ON = ("edition", "send", "--yes")


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_stop_while_the_server_is_silent(make_sqlite_home: MakeHome, sign: int) -> None:
    """A message whose final dot is never answered is uncertain once the time to stop is over; exit code 1."""
    hanging = "p3@example.com"
    watch = Watch(lambda step, address, _nth: HANG if (step, address) == (Step.DOT, hanging) else None)
    with Catcher(script=watch, keep=Keep.COUNTS) as catcher:
        home = make_sqlite_home(catcher.port, 8, SMTP_CONNECTIONS=2)
        sender = home.start_other(send_with_a_short_end, str(home.folder))
        watch.wait_for(8)
        os.kill(sender.process.pid or 0, sign)
        assert sender.wait() == 1, sender.words
    assert "1 message got no answer" in sender.words
    assert home.states().pop(hanging) is DeliveryState.UNCERTAIN
    receipt = home.receipt()
    assert (receipt.counts.accepted, receipt.counts.uncertain, receipt.edition.status) == (7, 1, EditionStatus.FINISHED)
    assert home.rows()[hanging].attempts == 1


def test_stop_while_the_server_is_silent_before_the_content(make_sqlite_home: MakeHome) -> None:
    """A message that hangs before its content was written is not in doubt at a stop: it goes back, and exit code 0."""
    hanging = "p3@example.com"
    reached = threading.Event()

    def script(step: Step, address: str, nth: int) -> str | None:
        if (step, address, nth) == (Step.RCPT, hanging, 1):
            reached.set()
            return HANG
        return None

    watch = Watch(script)
    with Catcher(script=watch, keep=Keep.COUNTS) as catcher:
        home = make_sqlite_home(catcher.port, 8, SMTP_CONNECTIONS=2)
        sender = home.start_other(send_with_a_short_end, str(home.folder))
        watch.wait_for(7)
        assert reached.wait(PATIENCE)
        sender.process.terminate()
        assert sender.wait() == 0, sender.words
        assert home.states()[hanging] is DeliveryState.QUEUED
        assert home.run(*GO_ON)[0] == 0
        assert catcher.accepted == {f"p{n}@example.com": 1 for n in range(8)}


def send_with_a_short_end(folder: str, out: str) -> None:
    """Send the next edition as the command does, but with half a second for messages in flight at the end."""
    speak_to(out)
    application = ShortEnd(settings=load_settings({}, Path(folder)), clock=SystemClock())
    slot = early_slot(application.unit, application.cadence, None, now=application.clock.now())
    frozen = freeze(application.unit, application.render_context, slot, now=application.clock.now())
    assert frozen.edition is not None
    try:
        sending.work(application, frozen.edition, as_json=False)
    except NewsletterError as error:
        print(error)  # noqa: T201 - the words of this process are read by the test
        sys.exit(error.exit_code)


class ShortEnd(Application):
    """An application that does not wait half a minute."""

    def sender(self) -> Sender:
        """Return a sender that is impatient at the end."""
        sender = super().sender()
        return replace(sender, rules=replace(sender.rules, drain_seconds=0.5))

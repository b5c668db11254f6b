"""The sender of the service as a real process: `newsletter run --only sender`, told to stop, killed, and relieved."""

from __future__ import annotations

from newsletter.core.edition import EditionStatus
from newsletter.core.monitor import ServicePart
from newsletter.store import heartbeat as heartbeats
from newsletter.testing.catcher import Catcher, Keep
from tests.path.conftest import MakeHome
from tests.path.home import Home, Watch, free_port, until

SEND = ("edition", "send", "--now", "--yes")
GO_ON = ("edition", "send", "--yes")
SERVICE = ("run", "--only", "sender")


def test_the_service_sends_what_a_command_froze(make_home: MakeHome) -> None:
    """A killed command leaves its edition to the service, which finishes it, and ends with exit code 0 when told to."""
    watch = Watch()
    with Catcher(script=watch, keep=Keep.COUNTS) as catcher:
        home = make_home(catcher.port, 120)
        watch.hold(10)
        command = home.start(*SEND)
        watch.wait_for(10)
        command.kill()
        watch.release()
        watch.hold(40)
        service = home.start(*SERVICE)
        watch.wait_for(40)
        beside = home.start("edition", "send", "last", "--yes")
        until(lambda: " of 120" in beside.words, beside, "it shows nothing")
        watch.release()
        assert beside.wait() == 0, beside.words
        assert home.receipt().edition.status is EditionStatus.FINISHED
        service.process.terminate()
        assert service.wait() == 0, service.words
        assert max(catcher.accepted.values()) == 1
    receipt = home.receipt()
    assert receipt.balances
    assert receipt.counts.uncertain <= 4
    assert receipt.counts.accepted == 120 - receipt.counts.uncertain


def process_of_sender(home: Home) -> str:
    """Return the name of the process that sends, or nothing before its first heartbeat."""
    with home.unit.read() as tx:
        beat = heartbeats.heartbeats(tx).get(ServicePart.SENDER)
    return beat.process if beat is not None else ""


def test_a_second_service_says_which_one_runs(make_sqlite_home: MakeHome) -> None:
    """On SQLite it ends at once with exit code 1 and names the process; after a kill the next one starts at once."""
    with Catcher(keep=Keep.COUNTS) as catcher:
        home = make_sqlite_home(catcher.port, 3, WEB_PORT=free_port())
        first = home.start("run")
        until(lambda: bool(process_of_sender(home)), first, "the sender gives no heartbeat")
        code, words = home.run("run")
        assert code == 1
        assert f"The service runs already, as process {process_of_sender(home)};" in words
        first.kill()
        again = home.start("run")
        until(lambda: "running: scheduler, sender, web" in again.words, again, "the next service does not start")
        again.stop()


def test_a_service_that_is_stopped_and_killed(make_sqlite_home: MakeHome) -> None:
    """A service stopped in mid-edition ends with 0 and nothing uncertain; killed, with at most one a connection."""
    watch = Watch()
    with Catcher(script=watch, keep=Keep.COUNTS) as catcher:
        home = make_sqlite_home(catcher.port, 150, RATE_PER_SECOND=60)
        command = home.start(*SEND)
        watch.wait_for(5)
        command.process.terminate()
        assert command.wait() == 0
        service = home.start(*SERVICE)
        watch.wait_for(watch.count + 20)
        service.process.terminate()
        assert service.wait() == 0, service.words
        receipt = home.receipt()
        assert (receipt.counts.sending, receipt.counts.uncertain, receipt.counts.accepted) == (
            0,
            0,
            catcher.accepted.total(),
        )
        service = home.start(*SERVICE)
        standby = home.start(*SERVICE)
        watch.wait_for(watch.count + 20)
        service.kill()
        standby.stop()
        code, words = home.run(*GO_ON)
        assert code == 0, words
        assert max(catcher.accepted.values()) == 1
    receipt = home.receipt()
    assert receipt.edition.status is EditionStatus.FINISHED
    assert receipt.counts.uncertain <= 4
    assert receipt.counts.accepted == 150 - receipt.counts.uncertain

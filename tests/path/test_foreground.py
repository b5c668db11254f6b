"""`newsletter edition send` and the commands beside it, as real processes: exit codes, words, and who sends."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import trustme

from newsletter.core.delivery import DeliveryState
from newsletter.core.edition import EditionStatus
from newsletter.testing.catcher import DROP, Catcher, Keep, Step
from tests.edition_fixtures import add_tip
from tests.path.conftest import MakeHome
from tests.path.home import Watch, until

SEND = ("edition", "send", "--now", "--yes")
GO_ON = ("edition", "send", "--yes")
MOMENT = 100
"""Messages in two seconds at the rate of these tests: the sender looks twice a second, a busy machine less often."""


def everybody(count: int) -> dict[str, int]:
    """Return what the server has when each person got one mail."""
    return {f"p{n}@example.com": 1 for n in range(count)}


def test_a_second_send_looks_on(make_home: MakeHome) -> None:
    """A send beside a running one sends nothing itself, waits for the end, and shows the same report."""
    watch = Watch()
    with Catcher(script=watch, keep=Keep.COUNTS) as catcher:
        home = make_home(catcher.port, 60)
        watch.hold(5)
        first = home.start(*SEND)
        watch.wait_for(5)
        second = home.start(*GO_ON)
        until(lambda: " of 60" in second.words, second, "it shows nothing")
        watch.release()
        assert (first.wait(), second.wait()) == (0, 0), first.words + second.words
        assert catcher.accepted == everybody(60)
    for words in (first.words, second.words):
        assert "60 of 60 handed to your mail provider" in words
    third = home.run("edition", "send", "last", "--yes")
    assert third[0] == 0
    assert catcher.accepted == everybody(60)
    # Whoever sends by hand rings no bell, and nobody is told that one is alive.
    assert "the scheduler has never run" in home.run("status")[1]


def test_a_send_that_looks_on_steps_in(make_sqlite_home: MakeHome) -> None:
    """When the process that sends is killed, the one beside it finishes the edition."""
    watch = Watch()
    with Catcher(script=watch, keep=Keep.COUNTS) as catcher:
        home = make_sqlite_home(catcher.port, 90)
        watch.hold(35)
        first = home.start(*SEND)
        watch.wait_for(35)
        second = home.start(*GO_ON)
        until(lambda: " of 90" in second.words, second, "it shows nothing")
        first.kill()
        watch.release()
        assert second.wait() == 0, second.words
        assert max(catcher.accepted.values()) == 1
    receipt = home.receipt()
    assert receipt.edition.status is EditionStatus.FINISHED
    assert receipt.balances
    assert receipt.counts.uncertain <= 4
    assert catcher.accepted.total() >= 90 - receipt.counts.uncertain


def test_pause_resume_and_cancel_from_other_processes(make_home: MakeHome) -> None:
    """Each command holds for the process that sends: within a moment nothing new is begun."""
    watch = Watch()
    with Catcher(script=watch, keep=Keep.COUNTS) as catcher:
        # So many that it is still under way when a command on a busy machine has started.
        home = make_home(catcher.port, 600, RATE_PER_SECOND=50)
        sender = home.start(*SEND)
        watch.wait_for(10)
        assert home.run("edition", "pause", "last", "--because", "a typo")[0] == 0
        soon = watch.count + MOMENT
        # Somebody decided that nothing more goes out now: no failure, and it is said how it goes on.
        assert sender.wait() == 0, sender.words
        assert "is paused and" in sender.words
        assert f"`newsletter edition resume {home.edition().name}` goes on" in sender.words
        assert watch.count <= soon
        assert home.receipt().counts.queued == 600 - catcher.accepted.total()

        # Who asks for what stands paused gets nothing done, and must hear it.
        code, words = home.run(*GO_ON)
        assert code == 1
        assert "newsletter: The edition of " in words
        assert "a typo. `newsletter edition resume " in words
        assert home.run("edition", "resume", "last")[0] == 0
        sender = home.start(*GO_ON)
        watch.wait_for(soon + 10)
        assert home.run("edition", "cancel", "last", "--yes")[0] == 0
        soon = watch.count + MOMENT
        assert sender.wait() == 0, sender.words
        assert watch.count <= soon
    last_line = [line for line in sender.words.splitlines() if " %), cancelled" in line][-1]
    reached = int(last_line.split()[0])
    assert reached == catcher.accepted.total() < 600, last_line
    receipt = home.receipt()
    assert receipt.edition.status is EditionStatus.CANCELLED
    assert receipt.balances
    assert (receipt.counts.accepted, receipt.counts.skipped) == (
        catcher.accepted.total(),
        600 - catcher.accepted.total(),
    )
    assert home.run("edition", "resume", "last")[0] == 2


def test_a_server_that_is_not_there(make_sqlite_home: MakeHome) -> None:
    """Without a mail server the exit code is 1, one line says why, and everybody waits, untouched."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        home = make_sqlite_home(nobody.getsockname()[1], 5)
        code, words = home.run(*SEND)
    assert code == 1
    assert [line for line in words.splitlines() if "cannot be reached" in line and "5 deliveries wait" in line]
    assert "Traceback" not in words
    assert {(row.state, row.attempts) for row in home.rows().values()} == {(DeliveryState.QUEUED, 0)}


def test_a_login_that_is_refused(make_sqlite_home: MakeHome) -> None:
    """With a wrong password the exit code is 1, the server's words are shown, and everybody waits."""
    with Catcher(login=("tips", "right"), keep=Keep.COUNTS) as catcher:
        home = make_sqlite_home(catcher.port, 5, SMTP_USERNAME="tips", SMTP_PASSWORD="wrong")
        code, words = home.run(*SEND)
        assert code == 1
        assert "refuses the login of tips: 535" in words
        assert "wrong" not in words
        assert set(home.states().values()) == {DeliveryState.QUEUED}
        (home.folder / ".env").write_text((home.folder / ".env").read_text().replace("'wrong'", "'right'"))
        assert home.run(*GO_ON)[0] == 0
        assert catcher.accepted == everybody(5)


def test_a_certificate_that_nobody_vouches_for(make_sqlite_home: MakeHome, tmp_path: Path) -> None:
    """To a server that cannot prove its name nothing is sent; exit code 1, and everybody waits."""
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    with Catcher(tls=tls, keep=Keep.COUNTS) as catcher:
        home = make_sqlite_home(catcher.port, 5, SMTP_SECURITY="starttls")
        code, words = home.run(*SEND)
        assert code == 1
        assert "cannot be trusted: its certificate" in words
        assert set(home.states().values()) == {DeliveryState.QUEUED}
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        with (home.folder / ".env").open("a") as env:
            env.write(f"NEWSLETTER_SMTP_CA_FILE='{tmp_path / 'ca.pem'}'\n")
        assert home.run(*GO_ON)[0] == 0
        assert catcher.accepted == everybody(5)


def test_a_sender_address_that_is_refused(make_sqlite_home: MakeHome) -> None:
    """When the server refuses our sender the edition is paused, which a person must hear: exit code 1."""
    answers = ["550 5.7.1 Sender not allowed"]
    watch = Watch(lambda step, _address, _nth: answers[0] if step is Step.MAIL and answers else None)
    with Catcher(script=watch, keep=Keep.COUNTS) as catcher:
        home = make_sqlite_home(catcher.port, 20)
        code, words = home.run(*SEND)
        assert code == 1
        assert "is paused and 20 people wait: The relay refuses our sender" in words
        assert set(home.states().values()) == {DeliveryState.QUEUED}
        assert home.receipt().edition.status is EditionStatus.PAUSED
        answers.clear()
        assert home.run("edition", "resume", "last")[0] == 0
        assert home.run(*GO_ON)[0] == 0
        assert catcher.accepted == everybody(20)


def test_a_quota_stops_and_says_until_when(make_sqlite_home: MakeHome) -> None:
    """When the hour's quota is used up the command ends, and says how many wait and until when."""
    with Catcher(keep=Keep.COUNTS) as catcher:
        home = make_sqlite_home(catcher.port, 50, RATE_PER_HOUR=20)
        code, words = home.run(*SEND)
        assert code == 0, words
        # One part in twenty is kept for confirmations and alerts.
        assert catcher.accepted.total() == 19
        [line] = [line for line in words.splitlines() if "still waiting" in line]
        assert line.startswith("31 still waiting until ")
        assert line.endswith("a quota; the service is not running: `newsletter run`.")
        # A new process knows what the last one used.
        assert home.run(*GO_ON)[0] == 0
        assert catcher.accepted.total() == 19


def test_waiting_people_are_reported(make_sqlite_home: MakeHome) -> None:
    """A command that leaves somebody waiting says until when, and that nothing runs that would go on."""
    watch = Watch(lambda step, _address, _nth: "451 4.7.1 Come again" if step is Step.RCPT else None)
    with Catcher(script=watch) as catcher:
        home = make_sqlite_home(catcher.port, 3)
        code, words = home.run(*SEND)
    assert code == 0
    [line] = [line for line in words.splitlines() if "still waiting" in line]
    assert line.startswith("3 still waiting until ")
    assert line.endswith("the service is not running: `newsletter run`.")


def test_an_old_paused_edition_does_not_hold_up_the_next(make_sqlite_home: MakeHome) -> None:
    """`send --now` goes to the next slot, though an earlier edition is still paused."""
    with Catcher(keep=Keep.COUNTS) as catcher:
        home = make_sqlite_home(catcher.port, 3)
        add_tip(home.unit, "another-tip")
        right = (home.folder / ".env").read_text()
        (home.folder / ".env").write_text(right.replace(f"'{catcher.port}'", "'1'"))
        assert home.run(*SEND)[0] == 1
        assert home.run("edition", "pause", "last")[0] == 0
        (home.folder / ".env").write_text(right)
        code, words = home.run(*SEND, "--yes")
        assert code == 0, words
        assert catcher.accepted == everybody(3)
    shown = home.ask("edition", "list")
    assert [one["status"] for one in shown] == ["finished", "paused"]


def test_one_address_that_kills_every_connection(make_sqlite_home: MakeHome) -> None:
    """An address at which the server always hangs up waits by itself; everybody else gets the mail at once."""
    watch = Watch(lambda step, address, _nth: DROP if (step, address) == (Step.RCPT, "p2@example.com") else None)
    with Catcher(script=watch, keep=Keep.COUNTS) as catcher:
        home = make_sqlite_home(catcher.port, 30)
        code, words = home.run(*SEND)
        assert code == 0, words
        expected = everybody(30)
        del expected["p2@example.com"]
        assert catcher.accepted == expected
    assert home.states()["p2@example.com"] is DeliveryState.DEFERRED

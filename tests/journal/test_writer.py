"""The journal of a worker: what it keeps while the worker lives, and what is found of it after a sudden death."""

from __future__ import annotations

import random
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from newsletter.core.delivery import DeliveryId
from newsletter.core.reply import TEXT_LIMIT, Phase, Reply
from newsletter.errors import Stop
from newsletter.journal.reader import OrphanedJournal, adopt_journals
from newsletter.journal.record import Answered, Entry, Handed, boot_id
from newsletter.journal.writer import Journal, JournalError
from tests.journal.journal_writers import (
    AT,
    CONNECTIONS,
    adopt_at_once,
    answered_at,
    fill_the_disk,
    open_on_a_full_disk,
    reply_to,
    small_journal,
    write_until_killed,
)
from tests.path.home import FORK, PATIENCE

TAKEN = Reply(phase=Phase.DOT, code=250, enhanced="2.0.0", text="queued")
LONGEST = Reply(phase=Phase.STARTTLS, code=599, enhanced="5.123.123", text="\N{PARTY POPPER}" * TEXT_LIMIT)


def open_journal(folder: Path, *, worker: int = 1, identity: str = "one", boot: str = "now") -> Journal:
    """Return the journal of a worker of this boot."""
    return Journal.open(folder, identity=identity, worker=worker, machine="here", boot=boot)


def die(journal: Journal) -> None:
    """Leave a journal as the end of its process does: nothing is deleted."""
    kept = journal.path.with_name("kept")
    kept.hardlink_to(journal.path)
    journal.close()
    if journal.path.exists():
        kept.unlink()
    else:
        kept.rename(journal.path)


def entries(folder: Path, *, boot: str = "now") -> dict[DeliveryId, Entry]:
    """Return the entries of the one journal that is left, and leave it there."""
    (orphan,) = adopt_journals(folder, "one", machine="here", boot=boot)
    orphan.unlock()
    return dict(orphan.entries)


def entries_if_killed_now(journal: Journal) -> dict[DeliveryId, Entry]:
    """Return what the next start would find if the process died now."""
    copy = journal.path.parent / "copy"
    copy.mkdir(exist_ok=True)
    (copy / "one-1.journal").write_bytes(journal.path.read_bytes())
    return entries(copy)


def number(value: int) -> DeliveryId:
    """Return the id of a delivery."""
    return DeliveryId(value)


def test_the_last_entry_of_each_message(tmp_path: Path) -> None:
    """A message without a reply, one with, and one that was tried again: the last record of each counts."""
    journal = open_journal(tmp_path)
    lost = Reply(phase=Phase.DATA, text="the connection was lost")
    journal.handed(number(1), 1)
    journal.handed(number(2), 3)
    journal.answered(number(2), 3, TAKEN, AT)
    journal.handed(number(4), 1)
    journal.answered(number(4), 1, lost, AT)
    journal.answered(number(1), 1, TAKEN, AT)
    journal.handed(number(4), 2)
    die(journal)
    assert entries(tmp_path) == {
        1: Answered(attempt=1, reply=TAKEN, at=AT),
        2: Answered(attempt=3, reply=TAKEN, at=AT),
        4: Handed(attempt=2),
    }


def test_a_reply_of_the_greatest_length(tmp_path: Path) -> None:
    """However long a reply is, it comes back whole."""
    journal = open_journal(tmp_path)
    for nth in range(1, 40):
        journal.handed(number(nth), 1)
        journal.answered(number(nth), 1, LONGEST, AT)
    die(journal)
    assert entries(tmp_path) == {nth: Answered(attempt=1, reply=LONGEST, at=AT) for nth in range(1, 40)}


def test_rotation_keeps_what_the_database_lacks(tmp_path: Path) -> None:
    """A large file is replaced by one with the messages in flight and the outcomes that are not committed."""
    with small_journal(tmp_path, rotate_bytes=2000) as journal:
        journal.handed(number(998), 1)
        journal.answered(number(998), 1, TAKEN, AT)
        journal.handed(number(999), 5)
        sizes = []
        for nth in range(1, 500):
            journal.handed(number(nth), 1)
            journal.answered(number(nth), 1, reply_to(nth), AT + timedelta(seconds=nth))
            journal.recorded([number(nth)])
            sizes.append(journal.path.stat().st_size)
        assert max(sizes) < 2600
        left = entries_if_killed_now(journal)
        assert {nth: left[number(nth)] for nth in (998, 999)} == {
            998: Answered(attempt=1, reply=TAKEN, at=AT),
            999: Handed(attempt=5),
        }
        journal.recorded([number(998), number(999)])
    assert list(tmp_path.glob("*.journal*")) == []


def test_an_orderly_end_leaves_nothing(tmp_path: Path) -> None:
    """When the database has everything the file is deleted; else it stays for the next start."""
    with open_journal(tmp_path) as journal:
        journal.handed(number(1), 1)
        journal.answered(number(1), 1, TAKEN, AT)
        journal.recorded([number(1)])
    assert list(tmp_path.iterdir()) == []
    with open_journal(tmp_path) as journal:
        journal.handed(number(1), 1)
        journal.answered(number(1), 1, TAKEN, AT)
    assert entries(tmp_path) == {1: Answered(attempt=1, reply=TAKEN, at=AT)}


def test_an_empty_journal_may_be_evidence(tmp_path: Path) -> None:
    """Where rows may be claimed that no connection knows of, an empty one proves that none of them went out."""
    open_journal(tmp_path).close(keep=True)
    (orphan,) = adopt_journals(tmp_path, "one", machine="here", boot="now")
    assert (orphan.trusted, orphan.entries) == (True, {})
    orphan.delete()


def test_a_file_of_the_owner_alone(tmp_path: Path) -> None:
    """The replies of servers may name people: only the owner reads the journal and its folder."""
    with open_journal(tmp_path / "a" / "journal") as journal:
        assert (journal.path.stat().st_mode & 0o777, journal.path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
        assert journal.path.name == "one-1.journal"


def test_a_number_that_comes_again(tmp_path: Path) -> None:
    """A worker of a restored database may bear a number that was borne before: neither journal is lost."""
    for delivery in (1, 2):
        journal = open_journal(tmp_path)
        journal.handed(number(delivery), 1)
        die(journal)
    orphans = adopt_journals(tmp_path, "one", machine="here", boot="now")
    assert sorted(list(orphan.entries) for orphan in orphans) == [[1], [2]]
    assert {orphan.worker for orphan in orphans} == {1}
    for orphan in orphans:
        orphan.unlock()


def test_no_folder_no_mail(tmp_path: Path) -> None:
    """Where the journal cannot be made, the sentence says where, why, and which setting moves it."""
    (tmp_path / "data").write_text("a file where a folder should be")
    with pytest.raises(Stop, match=r"data/journal/one-1\.journal cannot be written .*NEWSLETTER_JOURNAL_DIR"):
        open_journal(tmp_path / "data" / "journal")


@pytest.mark.parametrize("lost", ["file", "folder", "replaced"])
def test_a_journal_that_is_deleted_while_in_use(tmp_path: Path, lost: str, caplog: pytest.LogCaptureFixture) -> None:
    """With the next commit it is noticed, logged as an error, and written again with all that the database lacks."""
    folder = tmp_path / "journal"
    with open_journal(folder) as journal:
        journal.handed(number(1), 1)
        journal.answered(number(1), 1, TAKEN, AT)
        journal.handed(number(2), 1)
        if lost == "folder":
            shutil.rmtree(folder)
        else:
            journal.path.unlink()
        if lost == "replaced":
            journal.path.write_text("another file")
        journal.recorded([])
        assert "was deleted or replaced while in use" in caplog.text
        expected = {1: Answered(attempt=1, reply=TAKEN, at=AT), 2: Handed(attempt=1)}
        assert entries_if_killed_now(journal) == expected
        journal.answered(number(2), 1, TAKEN, AT)
        assert entries_if_killed_now(journal) == expected | {2: Answered(attempt=1, reply=TAKEN, at=AT)}
        assert adopt_journals(folder, "one", machine="here", boot="now") == []


def test_a_deleted_folder_that_cannot_be_made_again(tmp_path: Path) -> None:
    """No message is handed over without a journal, and the sentence says why."""
    folder = tmp_path / "journal"
    with open_journal(folder) as journal:
        shutil.rmtree(folder)
        folder.write_text("a file where a folder should be")
        journal.recorded([])
        with pytest.raises(JournalError, match="without it nothing is sent"):
            journal.handed(number(1), 1)


def test_nothing_is_written_after_the_close(tmp_path: Path) -> None:
    """A connection that returns after the end of its pass writes to no file that got the same number since."""
    journal = open_journal(tmp_path)
    journal.handed(number(1), 1)
    journal.close()
    other = (tmp_path / "other").open("wb+")
    with pytest.raises(JournalError, match="it is closed"):
        journal.handed(number(2), 1)
    journal.answered(number(1), 1, TAKEN, AT)
    journal.recorded([number(1)])
    assert other.read() == b""
    other.close()
    assert entries(tmp_path) == {1: Handed(attempt=1)}


def test_a_full_disk_at_the_opening(tmp_path: Path) -> None:
    """No room for the file is a sentence before anything is sent, and leaves no half file behind."""
    ours, theirs = FORK.Pipe()
    child = FORK.Process(target=open_on_a_full_disk, args=(str(tmp_path), theirs))
    child.start()
    assert ours.poll(PATIENCE)
    message = ours.recv()
    child.join(PATIENCE)
    assert child.exitcode == 0
    assert "File too large" in message
    assert "check the room in that folder" in message
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_in_the_middle(tmp_path: Path) -> None:
    """A reply without room is kept for when there is some, and no message is handed over before that."""
    ours, theirs = FORK.Pipe()
    child = FORK.Process(target=fill_the_disk, args=(str(tmp_path), theirs))
    child.start()
    assert ours.poll(PATIENCE)
    assert "cannot be written (File too large), and without it nothing is sent" in ours.recv()
    assert ours.poll(PATIENCE)
    assert ours.recv() == "goes on"
    child.join(PATIENCE)
    (orphan,) = adopt_journals(tmp_path, "one")
    assert orphan.damage == ""
    assert orphan.entries == {
        1: Answered(attempt=1, reply=reply_to(1), at=answered_at(1)),
        3: Handed(attempt=1),
    }
    orphan.unlock()


def test_the_kernel_without_a_boot_id(tmp_path: Path) -> None:
    """Where there is no boot id it is empty, which is trusted with nothing."""
    assert boot_id(tmp_path / "none") == ""
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    assert boot_id(tmp_path / "binary") == ""
    journal = open_journal(tmp_path, boot="")
    journal.handed(number(1), 1)
    die(journal)
    (orphan,) = adopt_journals(tmp_path, "one", machine="here", boot="")
    assert not orphan.trusted
    orphan.unlock()


@pytest.mark.parametrize("seed", range(8))
def test_kill_9_while_it_is_written(tmp_path: Path, seed: int) -> None:
    """Whenever the process dies, the journal has every step, and of one message per connection not the end."""
    moment = random.Random(seed).randrange(1, 4000)
    ours, theirs = FORK.Pipe(duplex=False)
    child = FORK.Process(target=write_until_killed, args=(str(tmp_path), theirs))
    child.start()
    theirs.close()
    reported: dict[str, set[int]] = {"handed": set(), "answered": set(), "committed": set()}
    count = 0
    try:
        while True:
            assert ours.poll(PATIENCE)
            kind, numbers = ours.recv()
            reported[kind].update(numbers)
            count += 1
            if count == moment:
                child.kill()
    except (EOFError, OSError):
        child.join(PATIENCE)
    assert child.exitcode == -9
    orphan = _only_orphan(tmp_path)
    assert (orphan.trusted, orphan.damage) == (boot_id() != "", "")
    known = {nth: entry for nth, entry in orphan.entries.items() if nth not in reported["committed"]}
    assert reported["handed"] - reported["committed"] <= known.keys()
    answered = {nth for nth, entry in known.items() if isinstance(entry, Answered)}
    assert reported["answered"] - reported["committed"] <= answered
    assert all(known[nth] == Answered(attempt=1, reply=reply_to(nth), at=answered_at(nth)) for nth in answered)
    assert len(known) - len(answered) <= CONNECTIONS
    assert len(known.keys() - reported["handed"]) <= CONNECTIONS
    orphan.delete()
    assert list(tmp_path.iterdir()) == []


def _only_orphan(folder: Path) -> OrphanedJournal:
    (orphan,) = adopt_journals(folder, "one")
    return orphan


def test_two_that_adopt_at_once(tmp_path: Path) -> None:
    """Of several processes that come upon a dead worker's journal, exactly one gets it."""
    for worker in (1, 2, 3):
        journal = open_journal(tmp_path, worker=worker, boot=boot_id())
        journal.handed(number(worker), 1)
        die(journal)
    rivals = 4
    barrier = FORK.Barrier(rivals)
    pipes = [FORK.Pipe(duplex=False) for _ in range(rivals)]
    children = [FORK.Process(target=adopt_at_once, args=(str(tmp_path), barrier, theirs)) for _, theirs in pipes]
    for child in children:
        child.start()
    adopted = []
    for ours, _ in pipes:
        assert ours.poll(PATIENCE)
        adopted += ours.recv()
    for child in children:
        child.join(PATIENCE)
    assert sorted(adopted) == [(1, 1), (2, 1), (3, 1)]
    assert list(tmp_path.iterdir()) == []

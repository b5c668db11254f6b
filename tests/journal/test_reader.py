"""What is done with the files of dead workers: taken over, left alone, or told of in words; never an exception."""

from __future__ import annotations

import json
import logging
import os
import shutil
import struct
from pathlib import Path
from zlib import crc32

import pytest

from newsletter.core.delivery import DeliveryId
from newsletter.errors import Stop
from newsletter.journal.reader import ForeignJournal, OrphanedJournal, adopt_journals, foreign_journals
from newsletter.journal.record import Answered, Handed
from newsletter.journal.writer import Journal
from tests.journal.journal_writers import AT, reply_to


def write(folder: Path, *, worker: int = 1, identity: str = "one", boot: str = "now", count: int = 1) -> Journal:
    """Return the journal of a live worker with so many answers, and one message in flight."""
    journal = Journal.open(folder, identity=identity, worker=worker, machine="here", boot=boot)
    for nth in range(1, count + 1):
        journal.handed(DeliveryId(nth), 1)
        journal.answered(DeliveryId(nth), 1, reply_to(nth), AT)
    journal.handed(DeliveryId(99), 2)
    return journal


def left(folder: Path, *, worker: int = 1, identity: str = "one", boot: str = "now", count: int = 1) -> Path:
    """Return the journal of a dead worker."""
    journal = write(folder, worker=worker, identity=identity, boot=boot, count=count)
    # It is not empty, so closing leaves it.
    journal.close()
    return journal.path


def take(folder: Path, *, machine: str = "here", boot: str = "now", elsewhere: bool = False) -> list[OrphanedJournal]:
    """Adopt as a process of this machine and this boot does."""
    return adopt_journals(folder, "one", machine=machine, boot=boot, elsewhere=elsewhere)


def tell(folder: Path, *, machine: str = "here", boot: str = "now") -> list[ForeignJournal]:
    """Look for strange files as a process of this machine and this boot does."""
    return foreign_journals(folder, "one", machine=machine, boot=boot)


def why(findings: list[ForeignJournal]) -> str:
    """Return the one sentence."""
    (journal,) = findings
    return journal.why


def test_a_dead_worker_of_ours(tmp_path: Path) -> None:
    """Who it was and what it had in hand; adopted it belongs to nobody else until it is let go, and then is gone."""
    path = left(tmp_path, worker=7)
    (journal,) = take(tmp_path)
    assert (journal.worker, journal.machine, journal.trusted, journal.damage) == (7, "here", True, "")
    assert journal.entries == {1: Answered(attempt=1, reply=reply_to(1), at=AT), 99: Handed(attempt=2)}
    assert take(tmp_path) == []
    journal.unlock()
    (again,) = take(tmp_path)
    assert again.entries == journal.entries
    again.delete()
    assert not path.exists()
    assert take(tmp_path) == []
    assert tell(tmp_path) == []


def test_a_live_worker_is_left_alone(tmp_path: Path) -> None:
    """As long as its process lives, nobody takes its journal."""
    with write(tmp_path):
        assert take(tmp_path) == []
        assert tell(tmp_path) == []


def test_after_a_power_loss_only_answers_count(tmp_path: Path) -> None:
    """A journal from before the machine stopped still says what it says, but proves nothing by what it lacks."""
    left(tmp_path, boot="before")
    (journal,) = take(tmp_path)
    assert not journal.trusted
    assert journal.entries[DeliveryId(1)] == Answered(attempt=1, reply=reply_to(1), at=AT)
    journal.unlock()


def test_a_copied_journal_proves_nothing_by_its_silence(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A copy from before the worker's death says what it says; the worker may have gone on in the original."""
    path = left(tmp_path)
    shutil.copy2(path, tmp_path / "copy")
    (tmp_path / "copy").replace(path)
    (orphan,) = take(tmp_path)
    assert (orphan.trusted, orphan.damage, set(orphan.entries)) == (False, "", {1, 99})
    assert "is a copy" in caplog.text
    orphan.delete()
    # A folder that is only renamed holds the original.
    left(tmp_path / "before")
    (tmp_path / "before").rename(tmp_path / "after")
    (orphan,) = take(tmp_path / "after")
    assert orphan.trusted
    orphan.unlock()


def test_each_machine_takes_its_own(tmp_path: Path) -> None:
    """In a folder that machines share, another one's is told, and taken without trust only when asked for."""
    left(tmp_path)
    assert take(tmp_path, machine="there", boot="another") == []
    reason = why(tell(tmp_path, machine="there", boot="another"))
    assert "worker 1 left it on another machine (here); start the newsletter there" in reason
    (journal,) = take(tmp_path, machine="there", boot="another", elsewhere=True)
    assert (journal.trusted, journal.machine, set(journal.entries)) == (False, "here", {1, 99})
    journal.unlock()


def test_a_container_that_was_made_anew(tmp_path: Path) -> None:
    """Under another name, but the same kernel, nothing was lost: it is the same machine."""
    left(tmp_path)
    assert tell(tmp_path, machine="new name") == []
    (journal,) = take(tmp_path, machine="new name")
    assert journal.trusted
    journal.unlock()


def test_another_database_is_a_stranger(tmp_path: Path) -> None:
    """Its journal is not touched, and the sentence says whose it is; while it is at work nothing is said."""
    path = left(tmp_path, identity="other", worker=4)
    assert take(tmp_path) == []
    reason = why(tell(tmp_path))
    assert "another database (other, worker 4 on here)" in reason
    assert "start the newsletter it belongs to, or delete it" in reason
    assert path.exists()
    path.unlink()
    with write(tmp_path, identity="other"):
        assert tell(tmp_path) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty"),
        (b"NLJRNL02", "it is cut off in its header"),
        (b"x" * 9000, "it is no journal of this program"),
        (b"\0" * 9000, "it is no journal of this program"),
    ],
)
def test_what_nobody_can_read(tmp_path: Path, content: bytes, message: str) -> None:
    """It is left where it is, with a sentence on what it is, what that means and what to do."""
    path = tmp_path / "one-1.journal"
    path.write_bytes(content)
    assert take(tmp_path) == []
    reason = why(tell(tmp_path))
    assert reason.startswith(message)
    assert "delete it, or keep a copy elsewhere" in reason
    assert path.read_bytes() == content


def test_a_later_version(tmp_path: Path) -> None:
    """A journal of a program with a later format is not guessed at."""
    path = left(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"NLJRNL02", b"NLJRNL03", 1))
    assert take(tmp_path) == []
    assert why(tell(tmp_path)).startswith("a later version of this program wrote it")


def in_the_first_format(folder: Path, *, identity: str = "one") -> Path:
    """Leave a journal as the first version of this program wrote it: a header of one page, then pages of records."""
    owner = {"identity": identity, "worker": 1, "machine": "here", "boot": "now", "tracks": 1, "page": 278528}
    content = json.dumps(owner).encode()
    head = struct.pack("<8sII", b"NLJRNL01", len(content), crc32(content)) + content
    path = folder / f"{identity}-1.journal"
    path.write_bytes(head.ljust(4096, b"\0") + bytes(2 * 278528))
    return path


def test_the_first_format(tmp_path: Path) -> None:
    """A dead sender's journal of the first version stops the start with what to do; no other journal stays locked."""
    left(tmp_path, worker=0)
    path = in_the_first_format(tmp_path)
    with pytest.raises(Stop, match="an earlier version of this program left it when it was killed; run `newsletter"):
        take(tmp_path)
    assert "or delete the file" in why(tell(tmp_path))
    path.unlink()
    (orphan,) = take(tmp_path)
    orphan.unlock()


def test_the_first_format_of_another_database(tmp_path: Path) -> None:
    """The journal of a stranger stops nothing, whatever its format."""
    in_the_first_format(tmp_path, identity="other")
    assert take(tmp_path) == []
    assert "another database" in why(tell(tmp_path))


def test_a_file_cut_off_in_a_record(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The records before the cut are used, a missing one proves nothing, and it is logged."""
    path = left(tmp_path)
    os.truncate(path, path.stat().st_size - 4)
    with caplog.at_level(logging.WARNING):
        (orphan,) = take(tmp_path)
    assert not orphan.trusted
    assert "is not genuine" in orphan.damage
    assert "is damaged" in caplog.text
    assert set(orphan.entries) == {1}
    orphan.delete()


def test_a_file_overwritten_in_the_middle(tmp_path: Path) -> None:
    """Records before the garbage count, and the rest is not trusted."""
    path = left(tmp_path, count=20)
    content = bytearray(path.read_bytes())
    content[500:900] = b"garbage!" * 50
    path.write_bytes(content)
    (orphan,) = take(tmp_path)
    assert not orphan.trusted
    assert 1 <= len(orphan.entries) < 20
    orphan.unlock()


def test_things_that_are_no_files(tmp_path: Path) -> None:
    """A folder, a pipe and a dangling link of that name hold nobody up."""
    (tmp_path / "a.journal").mkdir()
    os.mkfifo(tmp_path / "b.journal")
    (tmp_path / "c.journal").symlink_to(tmp_path / "nowhere")
    path = left(tmp_path)
    (journal,) = take(tmp_path)
    assert journal.path == path
    assert [found.path.name for found in tell(tmp_path)] == ["a.journal", "b.journal"]
    journal.unlock()


def test_a_folder_that_is_not_there(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Before the first edition there is nothing to adopt and nothing strange; a file in its place is told."""
    assert take(tmp_path / "none") == []
    assert tell(tmp_path / "none") == []
    assert caplog.text == ""
    (tmp_path / "file").write_text("")
    assert take(tmp_path / "file") == []
    assert "cannot be read" in caplog.text
    assert "check who owns it" in why(tell(tmp_path / "file"))


def test_what_was_never_finished_is_tidied_away(tmp_path: Path) -> None:
    """A journal whose worker died while making it has nothing in it and goes; the ledger beside it stays."""
    (tmp_path / "one-3.journal.new").write_bytes(b"half")
    (tmp_path / "ledger.jsonl").write_text("{}\n")
    assert take(tmp_path) == []
    assert [path.name for path in tmp_path.iterdir()] == ["ledger.jsonl"]


def test_a_new_journal_takes_the_place_of_an_unfinished_one(tmp_path: Path) -> None:
    """The leftover of a number that comes again is no hindrance, however long it is."""
    (tmp_path / "one-1.journal.new").write_bytes(b"x" * 5_000_000)
    path = left(tmp_path)
    (journal,) = take(tmp_path)
    assert (journal.path, set(journal.entries), journal.damage) == (path, {1, 99}, "")
    journal.unlock()

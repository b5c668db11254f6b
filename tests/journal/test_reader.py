"""What is done with the files of dead workers: taken over, left alone, or told of in words; never an exception."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.core.delivery import DeliveryId
from newsletter.journal.reader import ForeignJournal, OrphanedJournal, adopt, foreign_journals
from newsletter.journal.record import (
    HEADER_SIZE,
    PAGE_SIZE,
    Answered,
    Handed,
    Header,
    handed_body,
    read_header,
    read_page,
    seal,
)
from newsletter.journal.writer import Journal
from tests.journal.journal_writers import AT, reply_to


def write(folder: Path, *, worker: int = 1, identity: str = "one", boot: str = "now", count: int = 1) -> Journal:
    """Return the journal of a live worker with so many answers, and one message in flight."""
    journal = Journal.open(folder, identity=identity, worker=worker, tracks=1, machine="here", boot=boot)
    (track,) = journal.tracks
    for nth in range(1, count + 1):
        track.handed(DeliveryId(nth), 1)
        track.answered(DeliveryId(nth), 1, reply_to(nth), AT)
    track.handed(DeliveryId(99), 2)
    return journal


def left(folder: Path, *, worker: int = 1, identity: str = "one", boot: str = "now", count: int = 1) -> Path:
    """Return the journal of a dead worker."""
    journal = write(folder, worker=worker, identity=identity, boot=boot, count=count)
    # It is not empty, so closing leaves it.
    journal.close()
    return journal.path


def take(folder: Path, *, machine: str = "here", boot: str = "now", elsewhere: bool = False) -> list[OrphanedJournal]:
    """Adopt as a process of this machine and this boot does."""
    return adopt(folder, "one", machine=machine, boot=boot, elsewhere=elsewhere)


def tell(folder: Path, *, machine: str = "here", boot: str = "now") -> list[ForeignJournal]:
    """Look for strange files as a process of this machine and this boot does."""
    return foreign_journals(folder, "one", machine=machine, boot=boot)


def why(found: list[ForeignJournal]) -> str:
    """Return the one sentence."""
    (one,) = found
    return one.why


def test_a_dead_worker_of_ours(tmp_path: Path) -> None:
    """Who it was and what it had in hand; adopted it belongs to nobody else until it is let go, and then is gone."""
    path = left(tmp_path, worker=7)
    (one,) = take(tmp_path)
    assert (one.worker, one.machine, one.trusted, one.damage) == (7, "here", True, "")
    assert one.fates == {1: Answered(attempt=1, reply=reply_to(1), at=AT), 99: Handed(attempt=2)}
    assert take(tmp_path) == []
    one.let_go()
    (again,) = take(tmp_path)
    assert again.fates == one.fates
    again.forget()
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
    (one,) = take(tmp_path)
    assert not one.trusted
    assert one.fates[DeliveryId(1)] == Answered(attempt=1, reply=reply_to(1), at=AT)
    one.let_go()


def test_each_machine_takes_its_own(tmp_path: Path) -> None:
    """In a folder that machines share, another one's is told, and taken without trust only when asked for."""
    left(tmp_path)
    assert take(tmp_path, machine="there", boot="another") == []
    said = why(tell(tmp_path, machine="there", boot="another"))
    assert "worker 1 left it on another machine (here); start the newsletter there" in said
    (one,) = take(tmp_path, machine="there", boot="another", elsewhere=True)
    assert (one.trusted, one.machine, set(one.fates)) == (False, "here", {1, 99})
    one.let_go()


def test_a_container_that_was_made_anew(tmp_path: Path) -> None:
    """Under another name, but the same kernel, nothing was lost: it is the same machine."""
    left(tmp_path)
    assert tell(tmp_path, machine="new name") == []
    (one,) = take(tmp_path, machine="new name")
    assert one.trusted
    one.let_go()


def test_another_database_is_a_stranger(tmp_path: Path) -> None:
    """Its journal is not touched, and the sentence says whose it is; while it is at work nothing is said."""
    path = left(tmp_path, identity="other", worker=4)
    assert take(tmp_path) == []
    said = why(tell(tmp_path))
    assert "another database (other, worker 4 on here)" in said
    assert "start the newsletter it belongs to, or delete it" in said
    assert path.exists()
    path.unlink()
    with write(tmp_path, identity="other"):
        assert tell(tmp_path) == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is empty"),
        (b"NLJRNL01", "it is cut off in its header"),
        (b"x" * 9000, "it is no journal of this program"),
        (b"\0" * 9000, "it is no journal of this program"),
    ],
)
def test_what_nobody_can_read(tmp_path: Path, content: bytes, said: str) -> None:
    """It is left where it is, with a sentence on what it is, what that means and what to do."""
    path = tmp_path / "one-1.journal"
    path.write_bytes(content)
    assert take(tmp_path) == []
    told = why(tell(tmp_path))
    assert told.startswith(said)
    assert "delete it, or keep a copy elsewhere" in told
    assert path.read_bytes() == content


@given(data=st.data())
def test_a_damaged_header_is_told(data: st.DataObject) -> None:
    """Whichever byte of it is flipped, it is not taken for another header."""
    good = Header(identity="one", worker=1, machine="here", boot="now", tracks=2).to_bytes()
    length = len(good.rstrip(b"\0"))
    where = data.draw(st.integers(0, length - 1))
    bad = good[:where] + bytes([good[where] ^ data.draw(st.integers(1, 255))]) + good[where + 1 :]
    assert isinstance(read_header(bad), str)
    assert isinstance(read_header(good), Header)


def test_another_version(tmp_path: Path) -> None:
    """A journal of a program with another form is not guessed at."""
    path = left(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"NLJRNL01", b"NLJRNL02", 1))
    assert take(tmp_path) == []
    assert why(tell(tmp_path)).startswith("another version of this program wrote it")


@pytest.mark.parametrize("size", [HEADER_SIZE, HEADER_SIZE + 40, HEADER_SIZE + 100, HEADER_SIZE + PAGE_SIZE])
def test_a_truncated_file(tmp_path: Path, size: int, caplog: pytest.LogCaptureFixture) -> None:
    """What stands before the cut is used, what is missing proves nothing, and it is said."""
    path = left(tmp_path)
    os.truncate(path, size)
    with caplog.at_level(logging.WARNING):
        (one,) = take(tmp_path)
    assert not one.trusted
    assert "cut off" in one.damage
    assert "is damaged" in caplog.text
    assert set(one.fates) <= {1, 99}
    one.forget()


def test_a_file_overwritten_in_the_middle(tmp_path: Path) -> None:
    """Records before the garbage count, and the rest is not trusted."""
    path = left(tmp_path, count=20)
    content = bytearray(path.read_bytes())
    content[HEADER_SIZE + 500 : HEADER_SIZE + 900] = b"garbage!" * 50
    path.write_bytes(content)
    (one,) = take(tmp_path)
    assert one.damage == "1 of its 2 pages end in something that cannot be read"
    assert not one.trusted
    assert 1 <= len(one.fates) < 20
    one.let_go()


def test_a_record_with_a_right_checksum_and_no_sense() -> None:
    """Whatever made it, it says nothing and raises nothing."""
    for body in (b"", b"x", handed_body(1, 1, 1)[:5], b"\x02" + handed_body(1, 1, 1)[1:] + b"\xff" * 40):
        word, rest = seal(body)
        reading = read_page((word + rest).ljust(PAGE_SIZE, b"\0"))
        assert reading.records == ()


def test_things_that_are_no_files(tmp_path: Path) -> None:
    """A folder, a pipe and a dangling link of that name hold nobody up."""
    (tmp_path / "a.journal").mkdir()
    os.mkfifo(tmp_path / "b.journal")
    (tmp_path / "c.journal").symlink_to(tmp_path / "nowhere")
    path = left(tmp_path)
    (one,) = take(tmp_path)
    assert one.path == path
    assert [found.path.name for found in tell(tmp_path)] == ["a.journal", "b.journal"]
    one.let_go()


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
    (one,) = take(tmp_path)
    assert (one.path, set(one.fates), one.damage) == (path, {1, 99}, "")
    one.let_go()

"""The journal of a worker: what it keeps while the worker lives, and what is found of it after a sudden death."""

from __future__ import annotations

import itertools
import mmap
import random
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.core.delivery import DeliveryId
from newsletter.core.reply import TEXT_LIMIT, Phase, Reply
from newsletter.errors import Stop
from newsletter.journal.reader import adopt
from newsletter.journal.record import (
    HEADER_SIZE,
    PAGE_SIZE,
    Answered,
    Handed,
    RowResult,
    answered_body,
    boot_id,
    handed_body,
    read_page,
    seal,
)
from newsletter.journal.writer import Journal, Track
from tests.journal.journal_writers import (
    AT,
    TRACKS,
    adopt_at_once,
    answered_at,
    open_on_a_full_disk,
    reply_to,
    write_until_killed,
)
from tests.path.home import FORK, PATIENCE

TAKEN = Reply(phase=Phase.DOT, code=250, enhanced="2.0.0", text="queued")
LONGEST = Reply(phase=Phase.STARTTLS, code=599, enhanced="5.123.123", text="\N{PARTY POPPER}" * TEXT_LIMIT)


def open_one(folder: Path, *, worker: int = 1, tracks: int = 2, identity: str = "one", boot: str = "now") -> Journal:
    """Return the journal of a worker of this boot."""
    return Journal.open(folder, identity=identity, worker=worker, tracks=tracks, machine="here", boot=boot)


def die(journal: Journal) -> None:
    """Let go of a journal as the end of its process does: nothing is deleted."""
    path, content = journal.path, journal.path.read_bytes()
    journal.close()
    path.write_bytes(content)


def fates(folder: Path, *, boot: str = "now") -> dict[DeliveryId, RowResult]:
    """Return what the one journal that is left says, and leave it there."""
    (one,) = adopt(folder, "one", machine="here", boot=boot)
    one.let_go()
    return dict(one.fates)


def number(value: int) -> DeliveryId:
    """Return the id of a delivery."""
    return DeliveryId(value)


def test_what_is_known_of_each_message(tmp_path: Path) -> None:
    """A message without an answer, one with, and one that was tried again: the last word counts, of any connection."""
    journal = open_one(tmp_path)
    first, second = journal.tracks
    lost = Reply(phase=Phase.DATA, text="the connection was lost")
    first.handed(number(1), 1)
    second.handed(number(2), 3)
    second.answered(number(2), 3, TAKEN, AT)
    second.handed(number(4), 1)
    second.answered(number(4), 1, lost, AT)
    first.answered(number(1), 1, TAKEN, AT)
    first.handed(number(4), 2)
    die(journal)
    assert fates(tmp_path) == {
        1: Answered(attempt=1, reply=TAKEN, at=AT),
        2: Answered(attempt=3, reply=TAKEN, at=AT),
        4: Handed(attempt=2),
    }


replies = st.builds(
    Reply,
    phase=st.sampled_from(Phase),
    code=st.integers(0, 599),
    enhanced=st.sampled_from(["", "5.1.1", "4.123.123"]),
    text=st.text(st.characters(exclude_categories=["Cs"]), max_size=TEXT_LIMIT),
    may_be_delivered=st.booleans(),
)


@given(reply=replies, at=st.datetimes(datetime(2020, 1, 1), datetime(2200, 1, 1)), attempt=st.integers(1, 10_000))  # noqa: DTZ001 - made aware below
def test_a_reply_comes_back_as_it_was(reply: Reply, at: datetime, attempt: int) -> None:
    """Every reply, in any letters, and its instant to the microsecond."""
    instant = at.replace(tzinfo=AT.tzinfo)
    word, rest = seal(answered_body(7, 2**40, attempt, reply, instant))
    (found,) = read_page((word + rest).ljust(PAGE_SIZE, b"\0")).records
    assert found.fate == Answered(attempt=attempt, reply=reply, at=instant)
    assert (found.number, found.delivery) == (7, 2**40)


def test_letters_that_no_file_can_hold() -> None:
    """A reply with half a letter is kept with a question mark for it."""
    word, rest = seal(answered_body(1, 1, 1, Reply(phase=Phase.DOT, text="a\ud800b", enhanced="५.1.1"), AT))
    (found,) = read_page((word + rest).ljust(PAGE_SIZE, b"\0")).records
    assert isinstance(found.fate, Answered)
    assert (found.fate.reply.text, found.fate.reply.enhanced) == ("a?b", "?.1.1")


def page_of(count: int) -> tuple[bytes, list[int]]:
    """Return a page with records of different lengths, where each begins, and where the last one ends."""
    content, begins = b"", []
    for nth in range(1, count + 1):
        body = handed_body(nth, nth, 1) if nth % 2 else answered_body(nth, nth, 1, reply_to(nth), AT)
        word, rest = seal(body)
        begins.append(len(content))
        content += word + rest[:-4]
    return content.ljust(PAGE_SIZE, b"\0"), [*begins, len(content)]


@given(data=st.data())
def test_a_torn_tail_costs_only_itself(data: st.DataObject) -> None:
    """Whichever byte is flipped or cut off: all records before it are read, none from it on, and it is noticed."""
    page, begins = page_of(12)
    where = data.draw(st.integers(0, begins[-1] + 3), label="where")
    before = sum(begin <= where for begin in begins) - 1
    if data.draw(st.booleans(), label="cut"):
        torn = page[:where]
    else:
        torn = page[:where] + bytes([page[where] ^ data.draw(st.integers(1, 255))]) + page[where + 1 :]
    reading = read_page(torn)
    assert [one.delivery for one in reading.records] == list(range(1, before + 1))
    assert not reading.whole


def test_a_write_that_was_cut_short_leaves_no_trace() -> None:
    """A process killed between any two bytes of a record leaves a page that ends in order before it."""
    page, begins = page_of(4)
    word, rest = seal(answered_body(5, 5, 1, reply_to(5), AT))
    at = begins[-1]
    for done in range(len(rest) + 1):
        torn = page[: at + 4] + rest[:done] + page[at + 4 + done :]
        reading = read_page(torn)
        assert (len(reading.records), reading.whole) == (4, True)
    assert len(read_page(page[:at] + word + rest + page[at + 4 + len(rest) :]).records) == 5


class Witness(mmap.mmap):
    """A mapping that looks after every store at what a reader would find, had the process died there."""

    seen: list[tuple[int, bool]]

    def __setitem__(self, place: object, content: object) -> None:
        """Store, and look."""
        super().__setitem__(place, content)
        reading = read_page(self[:PAGE_SIZE])
        self.seen.append((len(reading.records), reading.whole))


def test_every_store_leaves_a_page_that_is_right() -> None:
    """Of the stores that make up a record only the last one shows it."""
    file = Witness(-1, 2 * PAGE_SIZE)
    file.seen = []
    track = Track(file, (0, PAGE_SIZE), itertools.count(1))
    for nth in range(1, 4):
        track.handed(number(nth), 1)
        track.answered(number(nth), 1, reply_to(nth), AT)
    assert file.seen == [(count, True) for record in range(6) for count in (record, record + 1)]


@given(content=st.binary(max_size=300))
def test_garbage_is_no_record(content: bytes) -> None:
    """A page of anything is read without an error and says nothing."""
    assert read_page(content.ljust(PAGE_SIZE, b"\0")).records == ()


def test_an_earlier_round_is_not_read_again(tmp_path: Path) -> None:
    """What a cleared page held before does not come back, though shorter records now stand in front of it."""
    journal = open_one(tmp_path, tracks=1)
    (track,) = journal.tracks
    for nth in range(1, 50):
        track.handed(number(nth), 1)
        track.answered(number(nth), 1, reply_to(nth), AT)
    track.turn().clear()
    track.turn().clear()
    track.handed(number(99), 1)
    die(journal)
    assert fates(tmp_path) == {99: Handed(attempt=1)}


def test_a_message_in_flight_outlives_its_page(tmp_path: Path) -> None:
    """Turning takes along what has no answer yet, so clearing the page that is left forgets only outcomes."""
    journal = open_one(tmp_path, tracks=1)
    (track,) = journal.tracks
    track.handed(number(1), 1)
    track.answered(number(1), 1, TAKEN, AT)
    track.handed(number(2), 5)
    page = track.turn()
    page.clear()
    assert fates_of_the_living(journal) == {2: Handed(attempt=5)}
    track.answered(number(2), 5, TAKEN, AT)
    track.turn().clear()
    die(journal)
    assert fates(tmp_path) == {}


def fates_of_the_living(journal: Journal) -> dict[DeliveryId, RowResult]:
    """Return what would be found if the process died now."""
    copy = journal.path.parent / "elsewhere"
    copy.mkdir()
    (copy / journal.path.name).write_bytes(journal.path.read_bytes())
    return fates(copy)


def test_a_page_is_not_written_before_the_database_has_it(tmp_path: Path) -> None:
    """Turning back onto a page that was not cleared is a fault of the program, and nothing is overwritten."""
    with open_one(tmp_path, tracks=1) as journal:
        (track,) = journal.tracks
        track.handed(number(1), 1)
        track.answered(number(1), 1, TAKEN, AT)
        page = track.turn()
        with pytest.raises(RuntimeError, match="still waits"):
            track.turn()
        assert fates_of_the_living(journal) == {1: Answered(attempt=1, reply=TAKEN, at=AT)}
        page.clear()
        track.turn()


def test_a_page_holds_64_of_the_worst(tmp_path: Path) -> None:
    """Whoever is given room to hand over has room for the answer too, however long; a full page refuses before."""
    journal = open_one(tmp_path, tracks=1)
    (track,) = journal.tracks
    count = 0
    while track.has_room:
        count += 1
        track.handed(number(count), 1)
        track.answered(number(count), 1, LONGEST, AT)
    assert count >= 64
    with pytest.raises(RuntimeError, match="full"):
        track.handed(number(count + 1), 1)
    die(journal)
    assert fates(tmp_path) == {nth: Answered(attempt=1, reply=LONGEST, at=AT) for nth in range(1, count + 1)}


def test_an_ordered_end_leaves_nothing(tmp_path: Path) -> None:
    """When the database has everything the file is deleted; else it stays for the next start."""
    with open_one(tmp_path) as journal:
        journal.tracks[0].handed(number(1), 1)
        journal.tracks[0].answered(number(1), 1, TAKEN, AT)
        journal.tracks[0].turn().clear()
    assert list(tmp_path.iterdir()) == []
    with open_one(tmp_path) as journal:
        journal.tracks[1].handed(number(1), 1)
        journal.tracks[1].answered(number(1), 1, TAKEN, AT)
        journal.tracks[1].turn()
    assert fates(tmp_path) == {1: Answered(attempt=1, reply=TAKEN, at=AT)}


def test_an_empty_journal_may_be_evidence(tmp_path: Path) -> None:
    """Where rows may be marked that nobody was given, one without a record says that none of them went out."""
    open_one(tmp_path).close(keep=True)
    (one,) = adopt(tmp_path, "one", machine="here", boot="now")
    assert (one.trusted, one.fates) == (True, {})
    one.forget()


def test_a_file_of_the_owner_alone(tmp_path: Path) -> None:
    """The replies of servers may name people: only the owner reads the journal and its folder."""
    with open_one(tmp_path / "a" / "journal") as journal:
        assert (journal.path.stat().st_mode & 0o777, journal.path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
        assert journal.path.name == "one-1.journal"
        assert journal.path.stat().st_size == HEADER_SIZE + 4 * PAGE_SIZE


def test_a_number_that_comes_again(tmp_path: Path) -> None:
    """A worker of a restored database may bear a number that was borne before: neither journal is lost."""
    for delivery in (1, 2):
        journal = open_one(tmp_path)
        journal.tracks[0].handed(number(delivery), 1)
        die(journal)
    found = adopt(tmp_path, "one", machine="here", boot="now")
    assert sorted(list(one.fates) for one in found) == [[1], [2]]
    assert {one.worker for one in found} == {1}
    for one in found:
        one.let_go()


def test_no_folder_no_mail(tmp_path: Path) -> None:
    """Where the journal cannot be made, the sentence says where, why, and which setting moves it."""
    (tmp_path / "data").write_text("a file where a folder should be")
    with pytest.raises(Stop, match=r"data/journal/one-1\.journal cannot be made .*NEWSLETTER_JOURNAL_DIR"):
        open_one(tmp_path / "data" / "journal")


def test_a_full_disk_is_found_at_the_opening(tmp_path: Path) -> None:
    """No room for the whole file is a sentence before anything is sent, and leaves no half file behind."""
    ours, theirs = FORK.Pipe()
    child = FORK.Process(target=open_on_a_full_disk, args=(str(tmp_path), theirs))
    child.start()
    assert ours.poll(PATIENCE)
    said = ours.recv()
    child.join(PATIENCE)
    assert child.exitcode == 0
    assert "File too large" in said
    assert "check the room in that folder" in said
    assert list(tmp_path.iterdir()) == []


def test_the_kernel_may_not_say_which_run_it_is(tmp_path: Path) -> None:
    """Where there is no boot id it is empty, which is trusted with nothing."""
    assert boot_id(tmp_path / "none") == ""
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    assert boot_id(tmp_path / "binary") == ""
    journal = open_one(tmp_path, boot="")
    journal.tracks[0].handed(number(1), 1)
    die(journal)
    (one,) = adopt(tmp_path, "one", machine="here", boot="")
    assert not one.trusted
    one.let_go()


@pytest.mark.parametrize("seed", range(8))
def test_kill_9_while_it_is_written(tmp_path: Path, seed: int) -> None:
    """Whenever the process dies, the journal knows all that was done, and of one message per connection not the end."""
    moment = random.Random(seed).randrange(1, 4000)
    ours, theirs = FORK.Pipe(duplex=False)
    child = FORK.Process(target=write_until_killed, args=(str(tmp_path), theirs))
    child.start()
    theirs.close()
    told: dict[str, set[int]] = {"handed": set(), "answered": set(), "committed": set()}
    count = 0
    try:
        while True:
            assert ours.poll(PATIENCE)
            kind, numbers = ours.recv()
            told[kind].update(numbers)
            count += 1
            if count == moment:
                child.kill()
    except (EOFError, OSError):
        child.join(PATIENCE)
    assert child.exitcode == -9
    (left,) = adopt(tmp_path, "one")
    assert (left.trusted, left.damage) == (boot_id() != "", "")
    known = {nth: fate for nth, fate in left.fates.items() if nth not in told["committed"]}
    assert told["handed"] - told["committed"] <= known.keys()
    answered = {nth for nth, fate in known.items() if isinstance(fate, Answered)}
    assert told["answered"] - told["committed"] <= answered
    assert all(known[nth] == Answered(attempt=1, reply=reply_to(nth), at=answered_at(nth)) for nth in answered)
    assert len(known) - len(answered) <= TRACKS
    assert len(known.keys() - told["handed"]) <= TRACKS
    left.forget()
    assert list(tmp_path.iterdir()) == []


def test_two_that_adopt_at_once(tmp_path: Path) -> None:
    """Of several processes that come upon a dead worker's journal, exactly one gets it."""
    for worker in (1, 2, 3):
        journal = open_one(tmp_path, worker=worker, boot=boot_id())
        journal.tracks[0].handed(number(worker), 1)
        die(journal)
    rivals = 4
    barrier = FORK.Barrier(rivals)
    pipes = [FORK.Pipe(duplex=False) for _ in range(rivals)]
    children = [FORK.Process(target=adopt_at_once, args=(str(tmp_path), barrier, theirs)) for _, theirs in pipes]
    for child in children:
        child.start()
    found = []
    for ours, _ in pipes:
        assert ours.poll(PATIENCE)
        found += ours.recv()
    for child in children:
        child.join(PATIENCE)
    assert sorted(found) == [(1, 1), (2, 1), (3, 1)]
    assert list(tmp_path.iterdir()) == []


def test_an_age_of_work(tmp_path: Path) -> None:
    """Turning and clearing for long keeps the file as it was made, and ends with nothing left."""
    with open_one(tmp_path, tracks=1) as journal:
        size = journal.path.stat().st_size
        (track,) = journal.tracks
        for nth in range(5000):
            track.handed(number(nth), 1)
            track.answered(number(nth), 1, reply_to(nth), AT + timedelta(seconds=nth))
            if nth % 50 == 49:
                track.turn().clear()
        assert journal.path.stat().st_size == size
    assert list(tmp_path.iterdir()) == []

"""The ledger: a file that survives crashes, other processes, other databases, and a folder that cannot be written."""

from __future__ import annotations

import json
import logging
import multiprocessing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.store.ledger import Ledger, LedgerEntry, LedgerKind
from newsletter.store.ledger_reader import LedgerIndex, read_line

AT = datetime(2026, 11, 2, 14, tzinfo=UTC)


def entry(
    seq: int, *, database: str = "one", kind: LedgerKind = LedgerKind.LEFT, minute: int = 0, about: str = ""
) -> LedgerEntry:
    """Return somebody's opt-out."""
    return LedgerEntry(
        database=database,
        seq=seq,
        kind=kind,
        at=AT + timedelta(minutes=minute),
        about=about or str(seq),
        canonical=f"p{seq}@example.com",
    )


def open_ledger(folder: Path) -> Ledger:
    """Return the ledger as another process opens it."""
    return Ledger(folder, hashed=lambda canonical: f"hash of {len(canonical)}")


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """Return a ledger whose folder is not there yet."""
    return open_ledger(tmp_path / "journal")


def numbers(ledger: Ledger, seq: int, database: str = "one") -> list[int]:
    """Return what a database that counted to `seq` does not know."""
    return [one.seq for one in ledger.look().unknown(database, seq)]


def test_what_a_lagging_database_does_not_know(ledger: Ledger) -> None:
    """The lines beyond its number, in order, whatever order they were written in."""
    ledger.append([entry(1), entry(3)])
    ledger.append([entry(2)])
    assert numbers(ledger, 0) == [1, 2, 3]
    assert numbers(ledger, 2) == [3]
    assert numbers(ledger, 3) == []
    assert numbers(ledger, 9) == []


def test_no_address_reaches_the_file(ledger: Ledger) -> None:
    """The file bears hashes and ids, and only its owner may read it."""
    ledger.append([entry(1)])
    content = ledger.path.read_text()
    assert "@" not in content
    assert json.loads(content)["detail"] == {"hash": "hash of 14"}
    assert (ledger.path.stat().st_mode & 0o777, ledger.path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_a_missing_ledger_knows_nothing(ledger: Ledger) -> None:
    """Without a file nothing is held; nothing is made by looking."""
    assert numbers(ledger, 0) == []
    assert not ledger.path.parent.exists()


def test_nothing_is_written_for_nothing(ledger: Ledger) -> None:
    """What is no entry leaves no empty line."""
    ledger.append(["something else"])
    assert not ledger.path.exists()


def test_the_ledger_of_another_database(ledger: Ledger) -> None:
    """A new installation in the same folder is not held by the lines of the former one."""
    ledger.append([entry(1), entry(2)])
    assert numbers(ledger, 0, "two") == []
    ledger.append([entry(1, database="two")])
    assert numbers(ledger, 0, "two") == [1]


def test_a_torn_last_line_swallows_nothing(ledger: Ledger) -> None:
    """A crash in mid-line costs that line; the next one begins on its own."""
    ledger.append([entry(1)])
    with ledger.path.open("a") as file:
        file.write('{"database": "one", "seq": 2, "ki')
    assert numbers(ledger, 0) == [1]
    ledger.append([entry(3)])
    assert numbers(ledger, 0) == [1, 3]
    assert numbers(open_ledger(ledger.path.parent), 0) == [1, 3]


def test_a_line_that_lacks_only_its_end_counts(ledger: Ledger) -> None:
    """What can be read was done, although the crash came before the line's end; it counts once."""
    ledger.append([entry(1), entry(2)])
    whole = ledger.path.read_bytes()
    ledger.path.write_bytes(whole[:-1])
    assert numbers(ledger, 0) == [1, 2]
    ledger.append([entry(3)])
    assert numbers(ledger, 0) == [1, 2, 3]


WELL: dict[str, object] = {
    "database": "one",
    "seq": 1,
    "kind": "left",
    "at": "2026-11-02T14:00:00+00:00",
    "about": "1",
    "detail": {},
}


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "later"},
        {"at": "2026-11-02T14:00:00"},
        {"about": "x"},
        {"detail": 3},
        {"seq": None},
        {"kind": "edition", "about": "1"},
    ],
)
def test_lines_that_cannot_be_used_are_passed_over(wrong: dict[str, object]) -> None:
    """What somebody edited, or a newer program wrote, is no reason to fail later."""
    assert read_line(json.dumps(WELL).encode()) is not None
    assert read_line(json.dumps(WELL | wrong).encode()) is None


@pytest.mark.parametrize("line", [b"", b"\xff\xfe", b"[]", b"null", b"{}"])
def test_lines_that_are_no_lines_are_passed_over(line: bytes) -> None:
    """A torn line is nothing."""
    assert read_line(line) is None


@given(st.binary(max_size=200))
def test_any_bytes_are_no_trouble(line: bytes) -> None:
    """Whatever a disk gives back, reading it does not fail."""
    read_line(line)


def _write(folder: Path, start: int) -> None:
    ledger = open_ledger(folder)
    for number in range(start, start + 100):
        ledger.append([entry(number)])


def test_two_processes_append(ledger: Ledger) -> None:
    """Lines of processes that write at the same time all stand, none in another."""
    both = [multiprocessing.get_context("spawn").Process(target=_write, args=(ledger.path.parent, n)) for n in (1, 101)]
    for process in both:
        process.start()
    for process in both:
        process.join()
        assert process.exitcode == 0
    assert numbers(ledger, 0) == list(range(1, 201))
    assert ledger.path.read_bytes().count(b"\n") == 200


def test_a_folder_that_cannot_be_written_keeps_the_lines(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A deed stands without its line; the line is logged, told as a fault, and written once that is possible."""
    (tmp_path / "journal").write_text("a file where the folder should be")
    ledger = open_ledger(tmp_path / "journal")
    with caplog.at_level(logging.ERROR):
        ledger.append([entry(1)])
    assert "cannot be written" in caplog.text
    assert '"about": "1"' in caplog.text
    assert "cannot be written" in ledger.fault()
    (tmp_path / "journal").unlink()
    ledger.append([entry(2)])
    assert ledger.fault() == ""
    assert numbers(ledger, 0) == [1, 2]


def test_a_fault_ends_without_another_deed(tmp_path: Path) -> None:
    """Asking for the fault tries again by itself."""
    (tmp_path / "journal").write_text("")
    ledger = open_ledger(tmp_path / "journal")
    ledger.append([entry(1)])
    (tmp_path / "journal").unlink()
    assert ledger.fault() == ""
    assert numbers(ledger, 0) == [1]


def _fill_disk(folder: Path) -> None:
    import resource  # noqa: PLC0415

    ledger = open_ledger(folder)
    ledger.append([entry(1)])
    size = ledger.path.stat().st_size
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, limits[1]))
    ledger.append([entry(2)])
    assert ledger.fault()
    assert ledger.path.stat().st_size == size
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert ledger.fault() == ""


def test_a_full_disk_leaves_no_half_line(ledger: Ledger) -> None:
    """A line for which there is no room is taken back, kept, and written once there is."""
    child = multiprocessing.get_context("spawn").Process(target=_fill_disk, args=(ledger.path.parent,))
    child.start()
    child.join()
    assert child.exitcode == 0
    assert numbers(ledger, 0) == [1, 2]
    assert ledger.path.read_bytes().count(b"\n") == 2


def test_a_look_is_not_changed_by_what_comes_later(ledger: Ledger) -> None:
    """An opt-out between the look at the ledger and the one at the database must not seem unknown."""
    ledger.append([entry(1)])
    before = ledger.look()
    ledger.append([entry(2)])
    ledger.look()
    assert not before.lags("one", 1)
    assert list(before.unknown("one", 1)) == []
    assert [one.seq for one in before.unknown("one", 0)] == [1]


def test_another_file_under_the_name(ledger: Ledger) -> None:
    """A ledger that was put back from a backup is read from its beginning, and one that is gone is gone."""
    ledger.append([entry(1), entry(2)])
    assert numbers(ledger, 0) == [1, 2]
    lines = ledger.path.read_bytes().splitlines(keepends=True)
    other = ledger.path.with_name("other")
    other.write_bytes(lines[1] * 3)
    other.rename(ledger.path)
    assert numbers(ledger, 0) == [2]
    ledger.path.write_bytes(lines[0])
    assert numbers(ledger, 0) == [1]
    ledger.path.unlink()
    assert numbers(ledger, 0) == []


def test_a_ledger_that_did_not_grow_is_not_read_again(ledger: Ledger) -> None:
    """A hundred thousand lines are read once, not at every tick."""
    ledger.append([entry(number) for number in range(1, 1_001)])
    first = ledger.look()
    assert ledger.look() is first
    assert first.unknown("one", 3) is first.unknown("one", 3)
    ledger.append([entry(1_001)])
    assert ledger.look().top("one") == 1_001


def test_a_copy_that_numbers_on_is_a_fork(ledger: Ledger) -> None:
    """People who leave a copy before anybody noticed that it is one do not hide what it does not know."""
    ledger.append([entry(number) for number in range(1, 5)])
    # The copy counted to 2; two people left it, and it counts to 4 now, as the original did.
    ledger.append([entry(3, minute=9, about="77"), entry(4, minute=10, about="78")])
    assert ledger.look().lags("one", 4)
    assert [(one.seq, one.about) for one in ledger.look().unknown("one", 4)] == [
        (3, "3"),
        (3, "77"),
        (4, "4"),
        (4, "78"),
    ]


def test_adopting_settles_a_fork_for_the_copy_and_holds_the_original(ledger: Ledger) -> None:
    """Whoever was adopted has all; whoever counted on elsewhere lags, even after it reached the same number."""
    ledger.append([entry(1), entry(2), entry(2, minute=9, about="77")])
    ledger.append([entry(3, kind=LedgerKind.ADOPTED)])
    assert not ledger.look().lags("one", 3)
    assert ledger.look().lags("one", 2)
    ledger.append([entry(3, minute=20, about="78")])
    assert ledger.look().lags("one", 3)


@given(st.integers(0, 20), st.sets(st.integers(1, 20)), st.sets(st.integers(1, 20)))
def test_a_database_never_knows_more_than_it_counted(seq: int, forks: set[int], adopted: set[int]) -> None:
    """Forks take away from what is known, and nothing adds to it."""
    trail = LedgerIndex(top=20, forks=frozenset(forks), adopted=frozenset(adopted))
    assert 0 <= trail.known_to(seq) <= seq

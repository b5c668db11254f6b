"""A copy on the machine of its original: while the original is running it decides, sends and writes nothing."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import select

from newsletter.errors import NotNow
from newsletter.flows.adopt import adopt_database, ledger_gap
from newsletter.flows.freeze import RenderContext
from newsletter.store.anchor import Anchor
from newsletter.store.database import connect, sqlite_path
from newsletter.store.ledger import LedgerKind, read_line
from newsletter.store.schema import alert, edition, heartbeat, installation, slot
from newsletter.testing.clocks import FixedClock
from tests.edition_fixtures import TUESDAY, add_people, add_tip
from tests.sending.copied_fixtures import KEYRING, MONDAY, Newsletter, close_all, copy_database, open_newsletter


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    close_all()


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A machine with a state folder, on which newsletters live in folders of their own."""

    place: Path
    clock: FixedClock
    render_context: RenderContext

    @property
    def state(self) -> Path:
        """The state folder."""
        return self.place / "state"

    def open(self, url: str, name: str, *, state: Path | None = None) -> Newsletter:
        """Open a database as a process does, with a journal folder of its own."""
        return open_newsletter(
            url, self.place / name, self.clock, self.render_context, state=state if state is not None else self.state
        )


@pytest.fixture
def machine(tmp_path: Path, clock: FixedClock, render_context: RenderContext) -> Machine:
    """Return a machine on Monday morning."""
    clock.set(MONDAY)
    return Machine(place=tmp_path, clock=clock, render_context=render_context)


@pytest.fixture
def original(sqlite_url: str, machine: Machine) -> Newsletter:
    """Return a newsletter of three people that ticked once, and so is running."""
    newsletter = machine.open(sqlite_url, "original")
    add_people(newsletter.unit, 3)
    add_tip(newsletter.unit)
    newsletter.ticker.tick()
    return newsletter


def stop(newsletter: Newsletter) -> None:
    """End the process of a newsletter: the operating system takes its lock."""
    anchor = newsletter.home.ledger.anchor
    assert anchor is not None
    newsletter.home.ledger.anchor = None
    del anchor
    gc.collect()


def rows(newsletter: Newsletter) -> list[object]:
    """Return what a tick could have written."""
    with newsletter.unit.read() as tx:
        return [
            [tuple(row) for row in tx.execute(select(table))]
            for table in (alert, edition, heartbeat, installation, slot)
        ]


def path_of(newsletter: Newsletter) -> Path:
    """Return the database file."""
    return Path(newsletter.url.removeprefix("sqlite:///")).resolve()


def lines(file: Path) -> list[tuple[LedgerKind, int]]:
    """Return what a ledger says."""
    entries = map(read_line, file.read_bytes().splitlines()) if file.exists() else ()
    return [(entry.kind, entry.seq) for entry in entries if entry is not None]


def test_it_writes_nothing_and_says_what_it_is(machine: Machine, original: Newsletter) -> None:
    """On the Tuesday: the original freezes its edition, the copy not even a heartbeat."""
    copy = machine.open(copy_database(original.url), "copy")
    machine.clock.set(TUESDAY)
    before = rows(copy)
    assert copy.ticker.tick() is None
    assert rows(copy) == before
    assert copy.held() == (
        f"This is a copy of the installation at {path_of(original)}, which is running: nothing is decided or sent from "
        "here. To use this copy instead, stop and disable that service, then type `newsletter db adopt` here."
    )
    assert original.ticker.tick() is not None
    assert original.held() == ""
    assert copy.ticker.tick() is None
    assert rows(copy) == before


def test_what_people_do_in_it_is_no_line_of_the_shared_ledger(machine: Machine, original: Newsletter) -> None:
    """A person taken out of a copy for a trial must not hold the original."""
    copy = machine.open(copy_database(original.url), "copy")
    copy.leaves("p1@example.com")
    assert lines(copy.home.ledger.path) == [(LedgerKind.LEFT, 1)]
    assert lines(machine.state / "ledger.jsonl") == []
    original.leaves("p2@example.com")
    assert original.held() == ""
    assert original.state_of("p1@example.com") == "active"


def test_adopting_it_is_refused_while_the_original_is_running(machine: Machine, original: Newsletter) -> None:
    """The sentence says what to do and what follows; afterwards just that follows."""
    copy = machine.open(copy_database(original.url), "copy")
    with pytest.raises(NotNow) as refused:
        adopt_database(copy.unit, copy.home, KEYRING, who="pat", now=machine.clock.now())
    assert str(refused.value) == (
        f"The installation at {path_of(original)} is running. Stop and disable its service first, then try again: from "
        "then on that installation is held, and this one counts. Nothing was changed."
    )
    stop(original)
    gap = ledger_gap(copy.unit, copy.home)
    assert gap is not None
    assert f"It is a copy of the installation at {path_of(original)}, of which no process is running." in gap.matter(
        "UTC"
    )
    assert adopt_database(copy.unit, copy.home, KEYRING, who="pat", now=machine.clock.now()) is not None
    assert copy.held() == ""
    again = machine.open(original.url, "original")
    assert f"a copy of the installation at {path_of(copy)}, which is running" in again.held()
    stop(copy)
    assert "Another copy of it was made the one that counts since" in again.held()


def test_a_copy_that_was_held_first_falls_silent_when_the_original_starts(
    machine: Machine, original: Newsletter
) -> None:
    """The original was stopped for a moment: its copy does not take its place, and makes way at once."""
    stop(original)
    copy = machine.open(copy_database(original.url), "copy")
    machine.clock.set(TUESDAY)
    assert copy.ticker.tick() is None
    assert "of which no process is running" in copy.held()
    again = machine.open(original.url, "original")
    assert again.ticker.tick() is not None
    before = rows(copy)
    assert copy.ticker.tick() is None
    assert rows(copy) == before
    assert "which is running" in copy.held()


def test_of_two_copies_at_once_the_adopted_one_counts(machine: Machine, original: Newsletter) -> None:
    """Each is held for the original; once one is adopted, the other is its copy."""
    stop(original)
    ann, bob = (machine.open(copy_database(original.url), name) for name in ("ann", "bob"))
    assert ann.held()
    assert bob.held()
    adopt_database(ann.unit, ann.home, KEYRING, who="pat", now=machine.clock.now())
    assert ann.held() == ""
    assert f"a copy of the installation at {path_of(ann)}, which is running" in bob.held()


def test_a_folder_that_was_moved_goes_on(machine: Machine, original: Newsletter) -> None:
    """By `mv` or by a copy whose original was deleted: the place that is gone is no original any more."""
    stop(original)
    moved = machine.place / "moved.db"
    close_all()
    Path(copy_database(original.url).removeprefix("sqlite:///")).rename(moved)
    path_of(original).unlink()
    newsletter = machine.open(f"sqlite:///{moved}", "moved")
    assert newsletter.held() == ""
    machine.clock.set(TUESDAY)
    assert newsletter.ticker.tick() is not None


def test_another_name_of_the_same_file_is_the_same_installation(machine: Machine, original: Newsletter) -> None:
    """A symbolic link, a bind mount or a volume under another path: both processes share the place."""
    link, second = machine.place / "link.db", machine.place / "second.db"
    link.symlink_to(path_of(original))
    second.hardlink_to(path_of(original))
    for name in (link, second):
        anchor = Anchor(machine.state, file=name)
        with original.unit.read() as tx:
            identity = tx.execute(select(installation.c.identity)).scalar_one()
        assert anchor.original(identity) is None
        assert anchor.occupy(identity)


def test_a_backup_put_back_in_place_is_no_copy_of_itself(machine: Machine, original: Newsletter) -> None:
    """`cp -a` away and back, with nothing sent in between: the file is another one, its place is the same."""
    stop(original)
    backup = Path(copy_database(original.url).removeprefix("sqlite:///"))
    close_all()
    for name in (f"{path_of(original)}-wal", f"{path_of(original)}-shm"):
        Path(name).unlink(missing_ok=True)
    backup.replace(path_of(original))
    assert machine.open(original.url, "original").held() == ""


def test_another_state_folder_knows_nothing(machine: Machine, original: Newsletter) -> None:
    """Another user has a state folder of their own: what `docs/moving.md` says that no program notices."""
    copy = machine.open(copy_database(original.url), "copy", state=machine.place / "other user")
    assert copy.held() == ""


def test_a_copy_on_a_server_waits_for_the_original_file(
    machine: Machine, original: Newsletter, postgres_url: str
) -> None:
    """`db copy` to PostgreSQL: it cannot be adopted while the service still runs on the file."""
    with original.unit.read() as tx:
        identity = tx.execute(select(installation.c.identity)).scalar_one()
    assert sqlite_path(connect(postgres_url)) is None
    server = Anchor(machine.state)
    original_url = server.original(identity)
    assert original_url is not None
    assert (original_url.path, original_url.running) == (path_of(original), True)
    with pytest.raises(NotNow, match="is running"):
        server.take_over(identity)
    stop(original)
    server.take_over(identity)
    assert server.original(identity) is None


def test_a_state_folder_that_cannot_be_written_protects_nothing(machine: Machine, original: Newsletter) -> None:
    """Mail goes out all the same, and `doctor` warns."""
    blocked = machine.place / "blocked"
    blocked.write_text("a file where a folder should be")
    copy = machine.open(copy_database(original.url), "copy", state=blocked)
    assert copy.held() == ""

"""Restoring: a backup takes the place of the database, and knows at once who left since it was made.

In: a backup. Out: what was done. The database as it was is copied first; no sender runs meanwhile; what was under way
in the backup is paused. Until the ledger was read, the restored database is a copy that is held.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from newsletter.core.token import Keyring
from newsletter.errors import InputError, NotNow, Stop
from newsletter.flows.adopt import Home, LedgerGap, find_gap, take_over
from newsletter.flows.back_up import back_up, default_name, unused
from newsletter.flows.catch_up import CaughtUp
from newsletter.flows.check_key import check_key
from newsletter.store import heartbeat as heartbeats
from newsletter.store import installation as installations
from newsletter.store import postgres_tools
from newsletter.store import worker as workers
from newsletter.store.database import HEAD, Database, connect, current_revision, open_unit, sender_lock, sqlite_path
from newsletter.store.replace import keep_as_it_is, put_in_place, remove, take_copy
from newsletter.store.unit import Tx
from newsletter.store.upgrade import upgrade


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a backup is restored to."""

    database: Database
    home: Home
    keyring: Keyring
    folder: Path
    """For the copy of the database as it was."""
    environ: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What was done."""

    version: str
    """The schema revision of the backup."""
    after: str
    """That of the database now: an older backup was upgraded."""
    before: Path | None
    """The database as it was; None when there was none."""
    gap: LedgerGap
    caught_up: CaughtUp


def restore_database(place: Place, file: Path, *, who: str, now: datetime) -> Restored:
    """Do it.

    Raises `InputError` when the file is no backup of ours, or a newer one, and `NotNow` while a sender is alive.
    """
    path = sqlite_path(place.database)
    try:
        if path is not None:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with sender_lock(place.database):
            version, before = _from_file(place, file, path, now) if path else _from_dump(place, file, now)
            gap, result = _settle(place, who=who, now=now)
    except NotNow as error:
        hint = "" if "nothing was changed" in str(error) else " Stop the service, then try again; nothing was changed."
        raise NotNow(f"{error}{hint}") from error
    except OSError as error:
        raise Stop(f"{error.filename} cannot be made ({error.strerror}); check who owns the folder.") from error
    return Restored(version=version, after=HEAD, before=before, gap=gap, caught_up=result)


def _from_file(place: Place, file: Path, path: Path, now: datetime) -> tuple[str, Path | None]:
    part = path.with_name(path.name + ".restoring")
    take_copy(file, part)
    copy = connect(f"sqlite:///{part}")
    try:
        version = _judge(current_revision(copy), file)
        upgrade(copy)
        unit = open_unit(copy)
        check_key(unit, place.keyring, who="db restore", now=now)
        with unit.write() as tx:
            _refuse_beside_original(tx, place)
            # Should this process die before it has read the ledger, the restored database is held.
            installations.mark_copied(tx)
        unit.flush()
        copy.dispose()
        before = _keep_present(place, path, now)
        place.database.dispose()
        put_in_place(part, path)
    finally:
        copy.dispose()
        remove(part)
    return version, before


def _refuse_beside_original(tx: Tx, place: Place) -> None:
    original = place.home.ledger.original(installations.get(tx).identity)
    if original is not None and original.running:
        raise NotNow(
            f"This backup is of the installation at {original.path}, which is running. Stop and disable its service "
            "first: once a backup of it is restored elsewhere, it is held; nothing was changed."
        )


def _keep_present(place: Place, path: Path, now: datetime) -> Path | None:
    if not path.exists():
        return None
    to = _name(place, now)
    try:
        return back_up(place.database, to, folder=place.folder, environ=place.environ, now=now).file
    except Stop:
        # It may be damaged or empty, which is why a backup is restored; as it is, it may still be of use.
        keep_as_it_is(path, to)
        return to


def _from_dump(place: Place, file: Path, now: datetime) -> tuple[str, Path | None]:
    if not file.exists():
        raise InputError(f"There is no file {file}; nothing was changed.")
    version = _judge(postgres_tools.revision_of(place.database, file, place.environ), file)
    before = None
    if current_revision(place.database) is not None:
        to = _name(place, now)
        before = back_up(place.database, to, folder=place.folder, environ=place.environ, now=now).file
    if version < HEAD:
        postgres_tools.drop_ours(place.database)
    try:
        postgres_tools.restore(place.database, file, place.environ)
    except Stop as error:
        kept = f" The database as it was is in {before}." if before and version < HEAD else ""
        raise Stop(f"{error}{kept}") from error
    upgrade(place.database)
    return version, before


def _name(place: Place, now: datetime) -> Path:
    usual = default_name(place.database, place.folder, now)
    return unused(usual.with_name(f"{usual.stem}-before-restore{usual.suffix}"))


def _judge(version: str | None, file: Path) -> str:
    if version is None:
        raise InputError(f"{file} holds no database of this program; nothing was changed.")
    if version > HEAD:
        raise InputError(
            f"{file} is of a newer version ({version}, this program knows {HEAD}); install the newer program first. "
            "Nothing was changed."
        )
    return version


def _settle(place: Place, *, who: str, now: datetime) -> tuple[LedgerGap, CaughtUp]:
    unit = open_unit(place.database, committed=place.home.ledger.append)
    check_key(unit, place.keyring, who=who, now=now)
    with unit.write() as tx:
        installations.lock(tx)
        installations.mark_copied(tx)
        # A backup is made while the service runs; its processes are no more, for this one has the right to send.
        heartbeats.stop_all(tx, now=now)
        workers.end_all(tx, now=now)
        seen = place.home.ledger.look()
        gap = find_gap(tx, place.home, seen)
        if gap is None:
            raise AssertionError("a copied database is held")
        result = take_over(tx, place.home, place.keyring, gap, seen, who=who, action="db restore", now=now)
    unit.flush()
    return gap, result

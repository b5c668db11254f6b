"""Setting up a database, and the secret key that belongs to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from newsletter.core.token import Keyring, key_fingerprint
from newsletter.errors import Stop
from newsletter.flows.check_key import KeyStanding, check_key, key_standing
from newsletter.flows.set_up import refuse_foreign, set_up
from newsletter.flows.upgrade_database import upgrade_database
from newsletter.store import installation, log
from newsletter.store.database import HEAD, connect, current_revision, sender_lock
from newsletter.store.schema import installation as installation_table
from newsletter.store.unit import Unit
from newsletter.testing.clocks import START
from tests.conftest import SECRET

OTHER = "another secret of enough characters"
KNOWN = Keyring(current=SECRET)


def fingerprint(unit: Unit) -> str:
    """Return what the database knows of its key."""
    with unit.read() as tx:
        return installation.get(tx).key_fingerprint


def test_a_finished_database_is_left_alone(unit: Unit, database_url: str) -> None:
    """Setting up twice changes nothing and says so."""
    engine = connect(database_url)
    created = set_up(engine, KNOWN, who="test", now=START)
    upgraded = upgrade_database(engine, KNOWN, who="test", now=START)
    engine.dispose()
    assert (created.new, created.revision) == (False, HEAD)
    assert (upgraded.before, upgraded.after, upgraded.backup) == (HEAD, HEAD, None)


def test_tables_without_their_row_are_finished(unit: Unit, database_url: str) -> None:
    """A set-up that ended between the tables and the row gets its row, with the key in force."""
    with unit.write() as tx:
        tx.execute(installation_table.delete())
    with pytest.raises(Stop, match="newsletter init"):
        check_key(unit, KNOWN, who="test", now=START)
    engine = connect(database_url)
    assert set_up(engine, Keyring(current=OTHER), who="test", now=START).new
    engine.dispose()
    assert fingerprint(unit) == key_fingerprint(OTHER)


def test_nothing_becomes_a_database(tmp_path: Path) -> None:
    """The folder is made too."""
    engine = connect(f"sqlite:///{tmp_path / 'deep' / 'down' / 'newsletter.db'}")
    refuse_foreign(engine)
    assert set_up(engine, KNOWN, who="test", now=START).new
    assert current_revision(engine) == HEAD
    engine.dispose()


def test_a_fresh_key_is_not_put_beside_a_database_that_has_one(unit: Unit, database_url: str) -> None:
    """Before a new key is written down, the database is asked whether it has one."""
    engine = connect(database_url)
    with pytest.raises(Stop, match=r"Put the \.env back"):
        refuse_foreign(engine)
    engine.dispose()


def test_an_unknown_key_is_refused(unit: Unit, database_url: str) -> None:
    """It is refused by set-up and check alike, and the database keeps its own; no key is shown."""
    engine = connect(database_url)
    for call in (
        lambda: check_key(unit, Keyring(current=OTHER), who="test", now=START),
        lambda: set_up(engine, Keyring(current=OTHER, old=("a third secret, of no meaning",)), who="test", now=START),
    ):
        with pytest.raises(Stop, match="another secret key") as refused:
            call()
        assert OTHER not in str(refused.value)
        assert SECRET not in str(refused.value)
    engine.dispose()
    assert fingerprint(unit) == key_fingerprint(SECRET)


def test_a_changed_key_is_taken_over_once_and_logged(unit: Unit) -> None:
    """With the former key among the old ones the new one becomes the database's own; the former alone is refused."""
    changed = Keyring(current=OTHER, old=(SECRET,))
    check_key(unit, changed, who="operator", now=START)
    check_key(unit, changed, who="operator", now=START)
    assert fingerprint(unit) == key_fingerprint(OTHER)
    with unit.read() as tx:
        entries = [entry for entry in log.latest(tx) if entry.what == "key change"]
    assert [(entry.who, entry.at) for entry in entries] == [("operator", START)]
    assert OTHER not in entries[0].why
    with pytest.raises(Stop):
        check_key(unit, KNOWN, who="test", now=START)


@pytest.mark.parametrize(
    ("keyring", "standing"),
    [
        (KNOWN, KeyStanding.KNOWN),
        (Keyring(current=SECRET, old=(OTHER,)), KeyStanding.KNOWN),
        (Keyring(current=OTHER, old=(SECRET,)), KeyStanding.CHANGED),
        (Keyring(current=OTHER), KeyStanding.UNKNOWN),
    ],
)
def test_how_a_key_stands(keyring: Keyring, standing: KeyStanding) -> None:
    """Only the fingerprint of the present and of the old keys counts."""
    assert key_standing(key_fingerprint(SECRET), keyring) is standing


def test_an_upgrade_that_has_nothing_to_do_needs_no_rest(unit: Unit, database_url: str) -> None:
    """While a sender is alive, a database of this version may still be asked for its upgrade."""
    engine = connect(database_url)
    with sender_lock(engine):
        assert upgrade_database(engine, KNOWN, who="test", now=START).before == HEAD
    engine.dispose()

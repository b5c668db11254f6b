"""Importing subscribers, on both kinds of database."""

from __future__ import annotations

import io
import threading
from collections.abc import Mapping
from dataclasses import replace
from itertools import permutations

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from newsletter.core.import_row import RowResult
from newsletter.core.subscriber import Subscriber, SubscriberState, unsubscribe
from newsletter.core.token import Keyring, suppression_hash
from newsletter.errors import InputError
from newsletter.flows.add_subscriber import newcomer
from newsletter.flows.change_subscriber import Changes, edit_subscriber
from newsletter.flows.import_subscribers import BATCH_ROWS, ImportFile, ImportReport, import_subscribers
from newsletter.store import log as logs
from newsletter.store import subscriber as subscribers
from newsletter.store import subscriber_batch as batches
from newsletter.store import subscriber_list as lists
from newsletter.store.database import connect, open_unit
from newsletter.store.schema import consent, metadata
from newsletter.store.subscriber_list import Wanted
from newsletter.store.unit import Unit
from newsletter.testing.clocks import START
from tests.conftest import SECRET
from tests.flows.people_fixtures import KEYRING, begin_edition, outcomes, put


def bring(
    unit: Unit,
    content: str,
    *,
    name: str = "people.csv",
    source: str = "",
    dry_run: bool = False,
    strict: bool = False,
    as_state: SubscriberState | None = None,
    keyring: Keyring = KEYRING,
) -> ImportReport:
    """Import a file of this content; its counts must add up to its rows."""
    file = ImportFile(stream=io.BytesIO(content.encode()), name=name, source=source, as_state=as_state)
    report = import_subscribers(unit, keyring, file, who="pat", now=START, dry_run=dry_run, strict=strict)
    assert report.rows == sum(report.counts.values()) + report.duplicates + report.rejected
    return report


def person(unit: Unit, canonical: str) -> Subscriber:
    """Return a person who must be there."""
    with unit.read() as tx:
        stored_person = subscribers.by_canonical(tx, canonical)
    assert stored_person is not None
    return stored_person


def everything(unit: Unit) -> Mapping[str, list[tuple[object, ...]]]:
    """Return every row of every table."""
    with unit.read() as tx:
        return {table.name: [tuple(row) for row in tx.execute(select(table))] for table in metadata.sorted_tables}


def told(report: ImportReport) -> dict[str, int]:
    """Return the counts that are not zero."""
    counts = {**{fate.value: count for fate, count in report.counts.items()}, "duplicates": report.duplicates}
    return {name: count for name, count in {**counts, "rejected": report.rejected}.items() if count}


def test_people_come_in(unit: Unit) -> None:
    """Good rows become active people with everything their row says, and evidence of where that was said."""
    headings = "Email Address,First Name,TIMEZONE,TAGS,OPTIN_TIME,Company"
    content = f"{headings}\nAda@Example.org,Ada,europe/paris,vip,2021-03-01,Example\n"
    assert told(bring(unit, content, source="fair in May")) == {"added": 1}
    ada = person(unit, "ada@example.org")
    assert (ada.email, ada.first_name, ada.time_zone, ada.tags) == ("Ada@Example.org", "Ada", "Europe/Paris", ("vip",))
    assert (ada.fields, ada.state, ada.state_why) == ({"Company": "Example"}, "active", "imported from people.csv")
    with unit.read() as tx:
        [stored_consent] = subscribers.consents(tx, ada.id)
        entries = logs.latest(tx)
    assert (stored_consent.at, stored_consent.action, stored_consent.channel, stored_consent.source) == (
        START,
        "imported",
        "import",
        "fair in May",
    )
    assert stored_consent.evidence == {"optin_time": "2021-03-01", "file": "people.csv", "line": "2", "state": "active"}
    assert [(entry.who, entry.about, entry.why) for entry in entries] == [
        ("pat", "people.csv", "1 added"),
        ("pat", "people.csv", "begun: people.csv"),
    ]


def test_a_second_import_changes_nothing(unit: Unit) -> None:
    """The same file again leaves every row of every table as it is."""
    content = "email,name,tags\nada@example.org,Ada,vip\nADA@example.org,,\nben@example.org,,\nno address,,\n"
    assert told(bring(unit, content)) == {"added": 2, "duplicates": 1, "rejected": 1}
    before = everything(unit)
    assert told(bring(unit, content)) == {"unchanged": 2, "duplicates": 1, "rejected": 1}
    assert everything(unit) == before


def test_a_dry_run_tells_the_same_and_writes_nothing(unit: Unit) -> None:
    """What a dry run counts is what the import then counts, and it leaves the database alone."""
    bring(unit, "email\nold@example.org\n", as_state=SubscriberState.UNSUBSCRIBED)
    before = everything(unit)
    content = "email,name\nada@example.org,\nAda@example.org,Ada\nold@example.org,\nbad,\n"
    planned = bring(unit, content, dry_run=True)
    assert everything(unit) == before
    assert replace(planned, dry_run=False) == bring(unit, content)
    assert told(planned) == {"added": 1, "left": 1, "duplicates": 1, "rejected": 1}


def test_only_what_is_empty_is_filled(unit: Unit) -> None:
    """A name that a person gave stays; an empty one, missing tags and further fields are filled in."""
    put(unit, "ada@example.org", first_name="Ada", fields={"company": "Example"})
    report = bring(unit, "email,first_name,last_name,tags,company,floor\nada@example.org,Eve,Field,vip,Other,3\n")
    assert told(report) == {"filled": 1}
    ada = person(unit, "ada@example.org")
    assert (ada.first_name, ada.last_name, ada.tags) == ("Ada", "Field", ("vip",))
    assert ada.fields == {"company": "Example", "floor": "3"}


def test_nobody_who_left_comes_back(unit: Unit) -> None:
    """One who left stays out, and even an empty name is left alone."""
    bring(unit, "email\nada@example.org\n")
    with unit.write() as tx:
        ada = subscribers.by_canonical(tx, "ada@example.org")
        assert ada is not None
        subscribers.save_state(tx, unsubscribe(ada, now=START))
    assert told(bring(unit, "email,name\nADA@EXAMPLE.ORG,Ada\n")) == {"left": 1}
    assert (person(unit, "ada@example.org").state, person(unit, "ada@example.org").name) == ("unsubscribed", "")


@pytest.mark.parametrize("secret", [SECRET, "an older secret of enough characters"])
def test_nobody_who_was_erased_comes_back(unit: Unit, secret: str) -> None:
    """An erased address is refused, also when it was erased under an older secret."""
    with unit.write() as tx:
        hashed = suppression_hash(Keyring(current=secret), "ada@example.org")
        subscribers.suppress_hash(tx, hashed, reason="erased", now=START)
    keyring = Keyring(current=SECRET, old=("an older secret of enough characters",))
    report = bring(unit, "email\nAda@example.org\nben@example.org\n", keyring=keyring)
    assert told(report) == {"added": 1, "suppressed": 1}


def test_spellings_of_one_address(unit: Unit) -> None:
    """Another case or the other form of an international domain is the same person again."""
    report = bring(unit, "email\nada@bücher.example.org\nADA@xn--bcher-kva.example.org\nAda@BÜCHER.example.org\n")
    assert told(report) == {"added": 1, "duplicates": 2}


MAILCHIMP = {
    "subscribed.csv": "Email Address,First Name\n{active}",
    "unsubscribed.csv": "Email Address,First Name,UNSUB_TIME\n{left}",
    "cleaned.csv": "Email Address,First Name,CLEAN_TIME\n{cleaned}",
}


@pytest.mark.parametrize("order", list(permutations(MAILCHIMP)))
def test_three_files_in_any_order(unit: Unit, order: tuple[str, ...]) -> None:
    """The stronger state wins in whatever order Mailchimp's three files come."""
    every = "".join(f"{name}@example.org,N\n" for name in ("all", "two"))
    files = {
        "subscribed.csv": MAILCHIMP["subscribed.csv"].format(active=every + "one@example.org,N\n"),
        "unsubscribed.csv": MAILCHIMP["unsubscribed.csv"].format(left="all@example.org,N,2022-01-01\n"),
        "cleaned.csv": MAILCHIMP["cleaned.csv"].format(
            cleaned="".join(f"{name}@example.org,N,2022-01-02\n" for name in ("all", "two"))
        ),
    }
    for name in order:
        bring(unit, files[name], name=name)
    with unit.read() as tx:
        states = {one.email: one.state.value for one in lists.find(tx, Wanted())}
    assert states == {"all@example.org": "unsubscribed", "one@example.org": "active", "two@example.org": "bounced"}


def test_strict_is_all_or_nothing(unit: Unit) -> None:
    """With `strict` one bad row keeps everybody out, and the error names its line."""
    before = everything(unit)
    with pytest.raises(InputError, match=r"1 row of people\.csv") as raised:
        bring(unit, "email\nada@example.org\nno address\n", strict=True)
    assert raised.value.details[0].startswith("line 3: not an e-mail address")
    assert everything(unit) == before
    assert told(bring(unit, "email\nada@example.org\n", strict=True)) == {"added": 1}


class _Killed(Exception):  # noqa: N818 it stands for a signal
    pass


@pytest.mark.parametrize("strict", [False, True])
def test_an_import_that_is_killed(unit: Unit, strict: bool) -> None:  # noqa: FBT001
    """What was killed half way is simply run again; a strict import leaves nothing behind."""
    batch = BATCH_ROWS[unit.dialect]
    kept, everybody = 0 if strict else 2 * batch, 2 * batch + 500
    content = "email\n" + "".join(f"p{number}@example.org\n" for number in range(everybody))
    file = ImportFile(stream=io.BytesIO(content.encode()), name="people.csv")

    def die(rows: int) -> None:
        if rows == 2 * batch:
            raise _Killed

    with pytest.raises(_Killed):
        import_subscribers(unit, KEYRING, file, who="pat", now=START, strict=strict, progress=die)
    with unit.read() as tx:
        assert lists.count(tx, Wanted()) == kept
    expected = {"added": everybody - kept, "unchanged": kept}
    assert told(bring(unit, content)) == {name: count for name, count in expected.items() if count}
    with unit.read() as tx:
        assert tx.execute(select(func.count()).select_from(consent)).scalar_one() == everybody


def test_one_address_over_and_over(unit: Unit) -> None:
    """Rows of one address are taken in their order, within a thousand and across."""
    content = "email,name\n" + "ada@example.org,\n" * 5 + "ada@example.org,Ada\n" + "ada@example.org,Eve\n"
    assert told(bring(unit, content)) == {"added": 1, "duplicates": 6}
    assert person(unit, "ada@example.org").name == "Ada"


def test_a_useless_file(unit: Unit) -> None:
    """A file without an address column changes nothing and lists the headings it has."""
    before = everything(unit)
    with pytest.raises(InputError, match="`Emailadresse`"):
        bring(unit, "Emailadresse,Name\nada@example.org,Ada\n")
    assert everything(unit) == before


def test_every_fate_is_counted(unit: Unit) -> None:
    """A report names every fate, zeros included."""
    assert list(bring(unit, "email\n").counts) == list(RowResult)


@pytest.mark.postgres
def test_two_imports_at_the_same_time(postgres_url: str) -> None:
    """A person whom another process adds while the import runs is taken as known, and the stronger state still wins."""
    engine = connect(postgres_url)
    unit = open_unit(engine)
    added = threading.Event()

    def other() -> None:
        with unit.write() as tx:
            batches.add_new(tx, [newcomer(email="ada@example.org", canonical="ada@example.org", now=START)])
            added.set()
            # The import waits for this transaction; it ends when the server says so.
            for _ in range(100_000):
                if tx.exec_driver_sql("SELECT count(*) FROM pg_locks WHERE NOT granted").scalar_one():
                    return

    thread = threading.Thread(target=other)
    thread.start()
    assert added.wait(10)
    report = bring(unit, "email\nada@example.org\nben@example.org\n", as_state=SubscriberState.BOUNCED)
    thread.join()
    assert told(report) == {"added": 1, "stronger": 1}
    assert person(unit, "ada@example.org").state is SubscriberState.BOUNCED
    engine.dispose()


def test_waiting_mail_of_those_who_left(unit: Unit) -> None:
    """People whom a file tells to have left are taken out of the edition that is going out."""
    ada, ben = put(unit, "ada@example.org"), put(unit, "ben@example.org")
    edition = begin_edition(unit)
    bring(unit, "email\nada@example.org\n", as_state=SubscriberState.COMPLAINED)
    assert outcomes(unit, edition) == [
        (ada.id, "skipped", "left, as an imported file says", ""),
        (ben.id, "queued", "", ""),
    ]


def test_a_corrected_file(unit: Unit) -> None:
    """Names that an import wrote are corrected by a later file, those that a person edited since are not."""
    garbled = "email,first_name\nada@example.org,\xa3ukasz\nben@example.org,Zden\xeck\nada@example.org,Other\n"
    corrected = "email,first_name\nada@example.org,Łukasz\nben@example.org,Zdeněk\nada@example.org,Other\n"
    bring(unit, garbled)
    ben = person(unit, "ben@example.org")
    edit_subscriber(unit, KEYRING, ben.id, Changes(first_name="Ben"), who="pat", now=START)
    assert told(bring(unit, corrected)) == {"corrected": 1, "unchanged": 1, "duplicates": 1}
    assert [person(unit, f"{name}@example.org").first_name for name in ("ada", "ben")] == ["Łukasz", "Ben"]
    before = everything(unit)
    assert told(bring(unit, corrected)) == {"unchanged": 2, "duplicates": 1}
    assert everything(unit) == before


def test_a_question_about_consent_changes_nothing(unit: Unit) -> None:
    """A value that is not understood stops the import before its first row is written."""
    before = everything(unit)
    with pytest.raises(InputError, match="not understood"):
        bring(unit, "email,status\nada@example.org,subscribed\nben@example.org,gone fishing\n")
    assert everything(unit) == before
    report = bring(unit, "email,status\nada@example.org,subscribed\nben@example.org,blocklisted\n")
    assert (report.consent, report.states) == ("`status`", {"active": 1, "unsubscribed": 1})
    assert person(unit, "ben@example.org").state is SubscriberState.UNSUBSCRIBED


def test_the_next_rows_are_read_while_these_are_written(unit: Unit) -> None:
    """A bad row of the second transaction is found before the first one is reported as written."""
    batch = BATCH_ROWS[unit.dialect]
    content = "email\n" + "".join(f"p{number}@example.com\n" for number in range(batch + 500)) + "nobody\n"
    events: list[str] = []
    file = ImportFile(stream=io.BytesIO(content.encode()), name="people.csv")
    import_subscribers(
        unit,
        KEYRING,
        file,
        who="pat",
        now=START,
        reject=lambda _reader, row: events.append(f"line {row.line} rejected"),
        progress=lambda rows: events.append(f"{rows} rows written"),
    )
    assert events == [f"line {batch + 502} rejected", f"{batch} rows written", f"{batch + 501} rows written"]


def test_an_error_of_the_database_ends_the_import(sqlite_unit: Unit) -> None:
    """What the database refuses is raised, though the next rows were read meanwhile, and its rows are not written."""
    batch = BATCH_ROWS["sqlite"]
    with sqlite_unit.write() as tx:
        tx.exec_driver_sql(
            f"CREATE TRIGGER refuse BEFORE INSERT ON consent WHEN NEW.subscriber_id > {batch + 500}"
            " BEGIN SELECT RAISE(ABORT, 'refused'); END"
        )
    written: list[int] = []
    content = "email\n" + "".join(f"p{number}@example.com\n" for number in range(3 * batch + 500))
    file = ImportFile(stream=io.BytesIO(content.encode()), name="people.csv")
    with pytest.raises(IntegrityError, match="refused"):
        import_subscribers(sqlite_unit, KEYRING, file, who="pat", now=START, progress=written.append)
    with sqlite_unit.read() as tx:
        assert (written, lists.count(tx, Wanted())) == ([batch], batch)

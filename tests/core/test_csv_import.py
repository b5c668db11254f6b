"""The rows of a subscriber file, without a file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.core.csv_import import (
    EXPORT_HEADINGS,
    ColumnChoices,
    Layout,
    clean,
    neutralise,
    read_headings,
    restore,
    settle_layout,
    survey,
)
from newsletter.core.csv_row import BadRow, GoodRow, read_row
from newsletter.core.subscriber import SubscriberState
from newsletter.errors import InputError

ZONES = {"europe/paris": "Europe/Paris"}


def headings(
    *cells: str,
    mapping: dict[str, str] | None = None,
    as_state: SubscriberState | None = None,
    file_name: str = "people.csv",
) -> Layout:
    """Read a header line."""
    choices = ColumnChoices(targets=mapping or {})
    return read_headings(cells, file_name=file_name, choices=choices, as_state=as_state)


def settled(layout: Layout, *rows: tuple[str, ...]) -> Layout:
    """Read all rows of the file once, as an import does before it takes the first one."""
    seen = survey(layout)
    if seen is not None:
        for row in rows:
            seen.add(row[: len(layout.headings)])
    return settle_layout(layout, seen)


def good(layout: Layout, *cells: str) -> GoodRow:
    """Read a row that must be good, alone in its file."""
    row = read_row(settled(layout, cells), 2, cells, ZONES)
    assert isinstance(row, GoodRow), row
    return row


def bad(layout: Layout, *cells: str) -> str:
    """Read a row that must be bad, and return the reason."""
    row = read_row(layout, 2, cells, ZONES)
    assert isinstance(row, BadRow), row
    assert row.cells == cells
    return row.reason


@pytest.mark.parametrize("first", "=+-@\t\r\n\0\uff1d\uff0b\uff0d\uff20")
def test_formulas_are_neutralised(first: str) -> None:
    """A cell that a spreadsheet would run gets an apostrophe, and gets rid of it on the way back."""
    assert neutralise(f"{first}1+1") == f"'{first}1+1"
    assert restore(f"'{first}1+1") == f"{first}1+1"


@pytest.mark.parametrize("cell", ["", "Ada", "'", "'tis", "1-2", "ada@example.org"])
def test_other_cells_stay(cell: str) -> None:
    """A cell that is no formula stays as it is, also with an apostrophe of its own."""
    assert neutralise(cell) == restore(cell) == cell


@given(st.text() | st.from_regex("'*[=+@-].*"))
def test_neutralising_is_exact(cell: str) -> None:
    """Whatever a cell holds, it comes back; and what goes out never begins like a formula."""
    assert restore(neutralise(cell)) == cell
    assert neutralise(cell)[:1] not in {*"=+-@\t\r\n\0\uff1d\uff0b\uff0d\uff20"}


def test_headings_of_mailchimp() -> None:
    """Mailchimp's headings are known; when somebody agreed becomes evidence, other columns become fields."""
    layout = headings("Email Address", "First Name", "Last Name", "TAGS", "OPTIN_TIME", "OPTIN_IP", "TIMEZONE", "NOTES")
    row = good(
        layout, "ada@example.org", "Ada", "L", '"VIP","Paris, north"', "2021-03-01", "192.0.2.1", "europe/paris", "n"
    )
    assert (row.first_name, row.last_name, row.time_zone) == ("Ada", "L", "Europe/Paris")
    assert row.tags == ("VIP", "Paris, north")
    assert row.evidence == {"optin_time": "2021-03-01", "optin_ip": "192.0.2.1"}
    assert row.fields == {"NOTES": "n"}


@pytest.mark.parametrize(
    ("column", "as_state", "state"),
    [
        ("CONFIRM_TIME", None, SubscriberState.ACTIVE),
        ("UNSUB_TIME", None, SubscriberState.UNSUBSCRIBED),
        ("CLEAN_TIME", None, SubscriberState.BOUNCED),
        ("CONFIRM_TIME", SubscriberState.COMPLAINED, SubscriberState.COMPLAINED),
        ("CLEAN_TIME", SubscriberState.UNSUBSCRIBED, SubscriberState.UNSUBSCRIBED),
    ],
)
def test_the_kind_of_a_file(column: str, as_state: SubscriberState | None, state: SubscriberState) -> None:
    """The columns tell whether the people of a file are active, left or bounced, unless a person says otherwise."""
    layout = headings("Email Address", column, as_state=as_state)
    assert good(layout, "ada@example.org", "2021-03-01").state is state


def test_mapping() -> None:
    """A heading that is not known is named by --map; what it displaces is kept as a field."""
    layout = headings("Name", " E-Mailadresse ", "email", mapping={"email": "e-mailadresse"})
    row = good(layout, "Ada", "ada@example.org", "old@example.org")
    assert (row.address.email, row.name, row.fields) == ("ada@example.org", "Ada", {"email": "old@example.org"})


@pytest.mark.parametrize(
    ("cells", "mapping", "message"),
    [
        (("Name", "Mail"), {}, "no column `email`.*`Name`, `Mail`.*--map email=HEADING"),
        (("email", "Email"), {}, "the same heading twice: `email`, `Email`"),
        (("email", "Email Address"), {}, "two columns for email: `email`, `Email Address`.*--map email="),
        (("Mail",), {"email": "Post"}, "no such heading; it has: `Mail`"),
        (("ada@example.org", "Ada"), {}, "has no headings: its first line holds the address `ada@example.org`"),
        (("ada@example.org",), {"email": "ada@example.org"}, "has no headings"),
        (("email",), {"email": "email", "name": "EMAIL"}, "the same heading for two things"),
        (("email", *map(str, range(200))), {}, "201 columns"),
        (("\x1b[31mMail",), {}, r"`\[31mMail`"),
    ],
)
def test_wrong_headings(cells: tuple[str, ...], mapping: dict[str, str], message: str) -> None:
    """A header that leaves a doubt refuses the file and says what to do."""
    with pytest.raises(InputError, match=message) as caught:
        headings(*cells, mapping=mapping)
    assert str(caught.value).isprintable()


def test_the_number_of_cells() -> None:
    """Too few cells and too many refuse the row; empty ones at the end are what spreadsheets add."""
    layout = headings("email", "name")
    assert bad(layout, "ada@example.org").startswith("1 cells instead of 2")
    assert bad(layout, "ada@example.org", "L", "Ada").startswith("3 cells instead of 2")
    assert good(layout, "ada@example.org", "Ada", "", "").name == "Ada"
    assert read_row(layout, 2, ("", "", ""), ZONES) is None
    assert read_row(layout, 2, (), ZONES) is None
    assert read_row(layout, 2, ("  ", "\t\xa0"), ZONES) is None
    assert read_row(layout, 2, ("\x1a",), ZONES) is None


def test_bad_values() -> None:
    """A wrong address and values beyond reason refuse the row."""
    layout = headings("email", "name", "tags", "city")
    assert "no @ sign" in bad(layout, "ada", "", "", "")
    assert bad(layout, "ada@example.org", "x" * 201, "", "") == "name is longer than 200 characters"
    assert bad(layout, "ada@example.org", "", "x" * 101, "") == "tags is longer than 100 characters"
    assert bad(layout, "ada@example.org", "", ",".join(map(str, range(101))), "") == "more than 100 tags"
    assert bad(layout, "ada@example.org", "", "", "x" * 2001) == "city is longer than 2000 characters"


def test_an_unknown_zone_costs_nobody_her_mail() -> None:
    """A row with an unknown time zone goes in without it, and a note says so."""
    row = good(headings("email", "time_zone"), "ada@example.org", "Mars/North")
    assert row.time_zone == ""
    assert row.notes == ("the time zone 'Mars/North' is not known and was left out",)


def test_text_is_cleaned() -> None:
    """Control characters become blanks, hidden and turning ones go, joined emoji stay, and all is NFC."""
    assert good(headings("email", "name"), "ada@example.org", " Zoe\u0308\r\nBcc: x\x1b\u202e ").name == "Zoë Bcc: x"
    assert clean("\u2028a\u200bb") == "ab"
    assert clean("👩\u200d🚀") == "👩\u200d🚀"


@given(st.text())
def test_clean_text_fits_into_a_header(text: str) -> None:
    """Nothing that could break a header survives, and cleaning twice changes nothing."""
    cleaned = clean(text)
    assert not any(ord(char) < 32 or 127 <= ord(char) < 160 or char in "\u2028\u2029" for char in cleaned)
    assert clean(cleaned) == cleaned


def test_a_file_of_our_own_comes_back() -> None:
    """In our own export formulas are restored and each row keeps its state, also beside `--as active`."""
    layout = headings(*EXPORT_HEADINGS, "city", as_state=SubscriberState.ACTIVE)
    rest = ("", "", "", "", "unsubscribed", "2026-01-05", "one-click", "2025-01-05", "'=Paris")
    row = good(layout, "'+ada@example.org", "'-A-", *rest)
    assert (row.address.email, row.name, row.fields) == ("+ada@example.org", "-A-", {"city": "=Paris"})
    assert row.state is SubscriberState.UNSUBSCRIBED
    assert row.evidence == {"state_since": "2026-01-05", "state_why": "one-click", "created_at": "2025-01-05"}


def test_a_stronger_word_wins_over_a_file_of_our_own() -> None:
    """`--as complained` counts for every row of our own export, whatever the row says."""
    layout = headings(*EXPORT_HEADINGS, as_state=SubscriberState.COMPLAINED)
    row = good(layout, "ada@example.org", *[""] * 5, "active", "", "", "")
    assert row.state is SubscriberState.COMPLAINED


@pytest.mark.parametrize("state", list(SubscriberState))
def test_a_file_of_our_own_promotes_nobody(state: SubscriberState) -> None:
    """Without `--as` a row of our own export has exactly the state it says, `pending` too."""
    cells = ["ada@example.org", *[""] * 9]
    cells[EXPORT_HEADINGS.index("state")] = state.value
    assert good(headings(*EXPORT_HEADINGS), *cells).state is state


def test_elsewhere_an_apostrophe_belongs_to_the_text() -> None:
    """A file that is not ours is taken as it is, and an odd state in one of ours refuses the row."""
    assert good(headings("email", "name"), "ada@example.org", "'-A-").name == "'-A-"
    assert "state 'gone'" in bad(headings(*EXPORT_HEADINGS), "ada@example.org", *[""] * 5, "gone", "", "", "")


@pytest.mark.parametrize("message", list(SubscriberState))
@pytest.mark.parametrize("heading", ["state", " State", "STATE"])
def test_a_state_counts_in_any_file(heading: str, message: SubscriberState) -> None:
    """One of our words in a column `state` is the state of its row, in any case, and no field."""
    layout = headings("email", "name", heading, "city")
    row = good(layout, "ada@example.org", "Ada", f" {message.value.title()}\xa0", "Paris")
    assert (row.state, row.fields) == (message, {"city": "Paris"})


@pytest.mark.parametrize("changed", ["without a column", "in another order", "with another in front"])
def test_our_export_with_other_columns_brings_nobody_back(changed: str) -> None:
    """Somebody who left stays out, whatever became of the columns of our export on the way."""
    cells = dict.fromkeys(EXPORT_HEADINGS, "") | {"email": "ada@example.org", "state": "unsubscribed"}
    if changed == "without a column":
        del cells["last_name"]
    elif changed == "in another order":
        cells = dict(reversed(cells.items()))
    else:
        cells = {"line": "7", **cells}
    row = good(headings(*cells), *cells.values())
    assert row.state is SubscriberState.UNSUBSCRIBED
    assert "state" not in row.fields


@pytest.mark.parametrize("word", ["Bavaria", "CA", "ON"])
def test_another_state_is_a_field(word: str) -> None:
    """A column `State` without any word about consent, such as a part of a postal address, stays a field."""
    row = good(headings("email", "State"), "ada@example.org", word)
    assert (row.state, row.fields) == (SubscriberState.ACTIVE, {"State": word})


@pytest.mark.parametrize(
    ("column", "as_state", "message", "state"),
    [
        ("city", None, "", SubscriberState.ACTIVE),
        ("UNSUB_TIME", None, "", SubscriberState.UNSUBSCRIBED),
        ("UNSUB_TIME", None, "active", SubscriberState.UNSUBSCRIBED),
        ("CLEAN_TIME", None, "complained", SubscriberState.COMPLAINED),
        ("CLEAN_TIME", SubscriberState.COMPLAINED, "", SubscriberState.COMPLAINED),
        ("city", SubscriberState.BOUNCED, "CA", SubscriberState.BOUNCED),
        ("city", SubscriberState.ACTIVE, "pending", SubscriberState.PENDING),
        ("city", SubscriberState.ACTIVE, "unsubscribed", SubscriberState.UNSUBSCRIBED),
        ("city", SubscriberState.COMPLAINED, "unsubscribed", SubscriberState.COMPLAINED),
    ],
)
def test_the_stronger_of_row_and_file(
    column: str, as_state: SubscriberState | None, message: str, state: SubscriberState
) -> None:
    """`--as` and the kind of a file are for rows that tell nothing; the others they can only strengthen."""
    assert good(headings("email", column, "state", as_state=as_state), "ada@example.org", "", message).state is state


def test_a_mapped_column_tells_no_state() -> None:
    """A column that `--map` names is what it says, also if its heading is `state`."""
    row = good(headings("email", "state", mapping={"last_name": "state"}), "ada@example.org", "paused")
    assert (row.state, row.last_name) == (SubscriberState.ACTIVE, "paused")


@pytest.mark.parametrize("empty", ["NULL", r"\N"])
def test_what_databases_write_for_nothing(empty: str) -> None:
    """NULL and backslash-N are empty values, and a note tells of NULL, which might be a name."""
    row = good(headings("email", "first_name", "city"), "ada@example.org", empty, empty)
    assert (row.first_name, row.fields) == ("", {})
    assert row.notes == (("first_name `NULL` was read as empty",) if empty == "NULL" else ())
    assert good(headings("email", "last_name"), "ada@example.org", "Null").last_name == "Null"


@pytest.mark.parametrize("placeholder", ["null", "None", "N/A", "#N/A", "NaN", "undefined", "(null)", "-", "#REF!"])
def test_a_placeholder_is_no_name(placeholder: str) -> None:
    """A greeting has no word that a program writes for a missing name; another column keeps its own words."""
    row = good(headings("email", "first_name", "grade"), "ada@example.org", placeholder, "-")
    assert (row.first_name, row.notes) == ("", (f"first_name `{placeholder}` was read as empty",))
    assert row.fields == {"grade": "-"}


@pytest.mark.parametrize("name", ["Null", "Nil", "Na", "Nan", "No"])
def test_a_short_name_stays(name: str) -> None:
    """People have these names."""
    assert good(headings("email", "first_name"), "ada@example.org", name).first_name == name


def test_a_misspelt_domain_is_noted() -> None:
    """A domain one letter away from a common one gets a note, and the address stays as it is."""
    row = good(headings("email"), "ada@gmial.com")
    assert (row.address.email, row.notes) == ("ada@gmial.com", ("ada@gmial.com: did you mean gmail.com?",))

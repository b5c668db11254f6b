"""The short ways through a subscriber file give what the general ways give."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from newsletter.core.csv_import import Layout, read_headings, settle_layout, survey
from newsletter.core.csv_row import RowParser, read_row, survey_records
from newsletter.core.subscriber import SubscriberState
from newsletter.errors import InputError

ZONES = {"europe/paris": "Europe/Paris"}
HEADINGS = ("first_name", "last_name", "name", "time_zone", "tags", "company", "Notes", "OPTIN_TIME")
CONSENT = ("status", "unsubscribed", "Confirmed", "newsletter", "state")
CELLS = st.sampled_from(
    [
        *("", " ", "Ada", " Of Tips ", "Zoë", "NULL", r"\N", "-", "N/A", "tab\there", "\u2028", "x" * 201, "Nowhere"),
        *("Europe/paris", "vip, b; a", '"x","y, z"', ",".join(map(str, range(101))), "2024-05-01", "0", "yes", "no"),
        *("active", "subscribed", "unsubscribed", "bounced", "blue", "opted out; vip", "CA", "\x1a"),
    ]
)
ADDRESSES = st.sampled_from(
    ["", "ada@example.org", " Ada@EXAMPLE.org", "b@gmial.com", "ü@example.org", "no address", "a..b@example.org"]
)


@st.composite
def files(draw: st.DrawFn) -> tuple[tuple[str, ...], list[list[str]]]:
    """Return headings and rows, some of which are too short or too long."""
    others = draw(st.lists(st.sampled_from((*HEADINGS, *CONSENT)), max_size=6, unique=True))
    rows = draw(st.lists(st.tuples(ADDRESSES, st.lists(CELLS, min_size=len(others), max_size=len(others))), max_size=9))
    width = st.sampled_from([0, 0, 0, 0, 1, -1])
    spoilt = [(address, cells, draw(width)) for address, cells in rows]
    return ("email", *others), [
        [address, *cells[: len(cells) + min(extra, 0)], *["x"] * max(extra, 0)] for address, cells, extra in spoilt
    ]


def settled(layout: Layout, rows: list[list[str]], *, at_once: bool) -> Layout | str:
    """Return the layout after the survey, or the reason why the file is stopped."""
    seen = survey(layout)
    for block in ([rows] if at_once else [[row] for row in rows]) if seen is not None else ():
        survey_records(layout, seen, block)
    try:
        return settle_layout(layout, seen)
    except InputError as fault:
        return f"{fault} {fault.details}"


@given(files(), st.sampled_from([None, SubscriberState.ACTIVE, SubscriberState.UNSUBSCRIBED]))
def test_ordinary_rows_read_the_same(
    file: tuple[tuple[str, ...], list[list[str]]], as_state: SubscriberState | None
) -> None:
    """A row of printable ASCII is the same person, with the same notes or the same fault, by the short way."""
    headings, rows = file
    layout = settled(read_headings(headings, file_name="p.csv", as_state=as_state), rows, at_once=True)
    if isinstance(layout, str):
        return
    parser = RowParser(layout, ZONES)
    for line, cells in enumerate(rows, 2):
        assert parser.read(line, cells) == read_row(layout, line, cells, ZONES)


@given(files())
def test_a_survey_by_the_block_finds_the_same(file: tuple[tuple[str, ...], list[list[str]]]) -> None:
    """The consent columns, and the values that are not understood, are the same by the block and row by row."""
    headings, rows = file
    layouts = [settled(read_headings(headings, file_name="p.csv"), rows, at_once=at_once) for at_once in (True, False)]
    assert layouts[0] == layouts[1]


def test_a_survey_by_the_block_finds_free_text() -> None:
    """A column of many values turns into free text in the middle of a block, as it does row by row."""
    headings = ("email", "status", "labels")
    rows = [[f"p{n}@example.org", "blue" if n > 28 else "active", f"label {n}"] for n in range(30)]
    rows.insert(25, ["q@example.org", "active", "vip; unsubscribed"])
    rows.append(["r@example.org", "blue", "opted out"])
    layouts = [settled(read_headings(headings, file_name="p.csv"), rows, at_once=at_once) for at_once in (True, False)]
    assert layouts[0] == layouts[1]
    assert "`status`: `blue` in 1 row" in str(layouts[0])

"""Exports of other services, against a corpus that was written before the rules: people who left are never active."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from newsletter.core.csv_import import read_headings, settle_layout, survey
from newsletter.core.csv_row import GoodRow, read_row
from newsletter.core.subscriber import SubscriberState
from newsletter.errors import InputError

CORPUS = Path(__file__).parent / "held_out" / "exports.txt"
LETTERS = {
    SubscriberState.ACTIVE: "a",
    SubscriberState.UNSUBSCRIBED: "u",
    SubscriberState.BOUNCED: "b",
    SubscriberState.COMPLAINED: "c",
    SubscriberState.PENDING: "p",
    SubscriberState.PAUSED: "z",
}
SAMPLES = [block.partition("\n") for block in CORPUS.read_text(encoding="utf-8").split("\n=== ")[1:]]


def states(file_name: str, text: str) -> str:
    """Return the state of each row as a letter; a question where the import stops."""
    first = text.partition("\n")[0]
    rows = list(csv.reader(io.StringIO(text), delimiter=";" if first.count(";") > first.count(",") else ","))
    # What an operator says with `--map email=HEADING`.
    headings = ["email" if "@" in cell else heading for heading, cell in zip(*rows[:2], strict=True)]
    try:
        layout = read_headings(tuple(headings), file_name=file_name)
        seen = survey(layout)
        if seen is not None:
            for row in rows[1:]:
                seen.add(row)
        layout = settle_layout(layout, seen)
    except InputError:
        return "?"
    read = [read_row(layout, number, row, {}) for number, row in enumerate(rows[1:], start=2)]
    assert all(isinstance(row, GoodRow) for row in read), read
    return "".join(LETTERS[row.state] for row in read if isinstance(row, GoodRow))


@pytest.mark.parametrize(("head", "_", "text"), SAMPLES, ids=[head.partition(" | ")[0] for head, _, _ in SAMPLES])
def test_people_who_left_elsewhere_are_never_active(head: str, _: str, text: str) -> None:
    """Each row has the state that the export means, or the import stops with a question."""
    _, file_name, right = head.split(" | ")
    assert states(file_name, text) in right.split(" or ")


def test_a_column_about_something_else_asks_nothing() -> None:
    """A yes and a no about text messages, the form of the mail or a figure is no matter of consent to mail."""
    headings = "email,accepts_sms_marketing,htmlemail,mail_format,newsletter_count,vip,likes_coffee"
    text = f"{headings}\np0@example.org,no,1,0,0,no,yes\np1@example.org,yes,0,1,1,yes,no\n"
    assert states("people.csv", text) == "aa"

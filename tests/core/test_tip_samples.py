"""The tips and subscribers that come with the project: what `newsletter demo` and a first look are made of."""

from __future__ import annotations

import csv
import re
from collections import Counter
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from newsletter.core.address import parse_address
from newsletter.core.message import MergeField, split_merge_fields
from newsletter.core.tip import TipDraft, TipPart, TipStatus
from newsletter.core.tip_file import parse_tip_file, render_tip_file

DATA = Path(__file__).parents[2] / "data"
FILES = sorted((DATA / "tips").glob("*.md"))


def read(path: Path) -> TipDraft:
    """Return the draft of a sample file."""
    return parse_tip_file(path.read_text(encoding="utf-8"), file_name=path.name)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_sample_is_a_good_tip(path: Path) -> None:
    """Each file has no fault, is named after its slug, is approved, and is short enough for a coffee."""
    draft = read(path)
    assert re.fullmatch(r"\d\d-", path.name.removesuffix(f"{draft.slug}.md"))
    assert draft.status is TipStatus.APPROVED
    assert 90 <= len(draft.body.split()) <= 200
    assert "**Try this week:**" in draft.body or draft.pin
    assert parse_tip_file(render_tip_file(draft), file_name=path.name) == draft


def test_the_samples_show_every_source_of_a_slot() -> None:
    """There is a queue, a complete series in order, a pin on a Tuesday, and evergreens with and without a season."""
    drafts = [read(path) for path in FILES]
    assert len({draft.slug for draft in drafts}) == len(drafts) == 18
    parts = [draft.part for draft in drafts if draft.part]
    assert parts == [TipPart(series="difficult-conversations", number=number) for number in (1, 2, 3)]
    assert [draft.pin for draft in drafts if draft.pin] == [date(2026, 12, 22)]
    assert date(2026, 12, 22).weekday() == 1
    evergreens = Counter(draft.season is not None for draft in drafts if draft.evergreen)
    assert evergreens == {True: 2, False: 4}


def test_the_samples_show_merge_fields_links_and_typography() -> None:
    """A first look at the mails shows what personalising, links and typographic signs become."""
    drafts = [read(path) for path in FILES]
    personal = [
        draft for draft in drafts if any(isinstance(part, MergeField) for part in split_merge_fields(draft.body))
    ]
    assert len(personal) >= 4
    assert any("{{" in draft.subject for draft in drafts)
    assert any(draft.body.count("](https://example.com/") >= 3 for draft in drafts)
    assert any("\u2013" in draft.title and "\u2019" in draft.title and "\u201c" in draft.title for draft in drafts)


def test_the_sample_subscribers_have_good_addresses_and_zones() -> None:
    """25 people, each address under a domain reserved for examples and no two alike, each zone known."""
    with (DATA / "subscribers.csv").open(encoding="utf-8", newline="") as file:
        people = list(csv.DictReader(file))
    assert len(people) == 25
    addresses = {parse_address(person["email"]).canonical for person in people}
    assert len(addresses) == 25
    assert all(re.search(r"[@.]example\.(com|org|net)$", address) for address in addresses)
    assert len({ZoneInfo(person["time_zone"]).key for person in people}) > 15
    assert {tuple(person) for person in people} == {
        ("email", "name", "first_name", "last_name", "time_zone", "tags", "company"),
    }


def test_the_sample_subscribers_have_names_that_break_careless_code() -> None:
    """Accents, other scripts, an apostrophe, a comma, an international domain and a missing name are all there."""
    text = (DATA / "subscribers.csv").read_text(encoding="utf-8")
    for name in ("Chloé", "花", "Γεωργία", "O'Nell", '"Reader, Sam"', "@bücher.", ",,,,Europe/Berlin"):
        assert name in text

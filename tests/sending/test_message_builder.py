"""The values of one person as her mail will show them, taken from the row that is marked for her."""

from __future__ import annotations

import pytest

from newsletter.core.delivery import DeliveryId
from newsletter.core.edition import EditionId
from newsletter.core.message import MergeField
from newsletter.core.subscriber import SubscriberId
from newsletter.store.claims import ClaimedDelivery
from newsletter.testing.clocks import START

ADA = ClaimedDelivery(
    id=DeliveryId(1),
    edition=EditionId(1),
    subscriber_id=SubscriberId(1),
    attempts=1,
    first_attempt_at=START,
    email="ada@example.org",
    name="Ada Field",
    first_name="Ada",
    last_name="Field",
    fields={"Company Name": "Example", "first_name": "from a column"},
)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("field.company_name", "Example"),
        ("field.Company Name", "Example"),
        ("first_name", "Ada"),
        ("name", "Ada Field"),
        ("email", "ada@example.org"),
        ("field.floor", "fallback"),
    ],
)
def test_each_merge_field_finds_its_value(name: str, value: str) -> None:
    """A column of an import fills its field in the mail, and none can take the place of a name."""
    field = MergeField(name=name, fallback="fallback")
    assert field.value_of(ADA, address=ADA.email, unsubscribe_url="") == value

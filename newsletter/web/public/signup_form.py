"""The form of a sign-up: what was typed, and what is wrong with it in sentences.

In: the fields of a request. Out: a form that is either complete or says what is missing. Nothing is looked up, so a
mistake tells nothing about who is on the list.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from newsletter.core.address import Address, parse_address
from newsletter.core.cadence import is_zone
from newsletter.core.csv_import import clean
from newsletter.core.token import Keyring, read_form_stamp
from newsletter.errors import InputError
from newsletter.web.public.frame import PublicFrame

FIRST_NAME_LENGTH_MAX = 100
FILL_IN_MIN = timedelta(seconds=3)
"""No person reads and fills in the form faster."""
FORM_AGE_MAX = timedelta(days=2)
"""A page may come from a cache, and people leave pages open; a stamp must still not serve for ever."""
SIGNUP_FIELDS = ("email", "first_name", "time_zone")
TRAP_FIELD = "website"
"""A field that no person sees, and that programs fill in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignupForm:
    """What was typed."""

    email: str = ""
    first_name: str = ""
    time_zone: str = ""
    address: Address | None = None
    suspect: str = ""
    mistakes: Mapping[str, str] = field(default_factory=dict)
    """Sentences by the field that they stand below; `form` stands above all of them."""


def read_signup_form(
    frame: PublicFrame, keyring: Keyring, fields: Mapping[str, str], *, own_form: bool, now: datetime
) -> SignupForm:
    """Read a form; one of the operator's other sites (not `own_form`) bears no stamp."""
    mistakes: dict[str, str] = {}
    email = fields.get("email", "").strip()
    address = read_address(frame, email, mistakes)
    first_name = clean(fields.get("first_name", ""))
    if len(first_name) > FIRST_NAME_LENGTH_MAX:
        mistakes["first_name"] = frame.words("mistakes", "too_long", count=str(FIRST_NAME_LENGTH_MAX))
    time_zone = fields.get("time_zone", "")
    if time_zone and not is_zone(time_zone):
        mistakes["time_zone"] = frame.words("mistakes", "time_zone")
    if own_form and (hurry := _timing(keyring, fields.get("shown", ""), now)):
        mistakes["form"] = frame.words("mistakes", hurry)
    return SignupForm(
        email=email[:320],
        first_name=first_name[:FIRST_NAME_LENGTH_MAX],
        time_zone=time_zone if is_zone(time_zone) else "",
        address=address,
        suspect="the hidden field was filled in" if fields.get(TRAP_FIELD) else "",
        mistakes=mistakes,
    )


def read_address(frame: PublicFrame, email: str, mistakes: dict[str, str]) -> Address | None:
    """Read an address that somebody typed; what is wrong with it becomes the sentence of `email`."""
    if not email:
        mistakes["email"] = frame.words("mistakes", "email_missing")
        return None
    try:
        address = parse_address(email)
    except InputError as error:
        mistakes["email"] = frame.words("mistakes", "email_wrong", reason=str(error))
        return None
    if address.needs_smtputf8:
        mistakes["email"] = frame.words("mistakes", "email_letters")
        return None
    return address


def _timing(keyring: Keyring, stamp: str, now: datetime) -> str:
    shown_at = read_form_stamp(keyring, stamp)
    if shown_at is None or now - shown_at > FORM_AGE_MAX:
        return "too_old"
    return "too_quick" if now - shown_at < FILL_IN_MIN else ""

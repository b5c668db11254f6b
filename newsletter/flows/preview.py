"""A preview: a tip rendered as one reader would get it, before anything is frozen.

In: a tip in any state, and the reader whose values are shown. Out: the compiled message, which passed every gate of the
freeze. It writes no row, and its unsubscribe link is a sample.
"""

from __future__ import annotations

from datetime import date, datetime

from newsletter.core.address import parse_address
from newsletter.core.message import Recipient, full_name
from newsletter.core.series import SeriesPlace
from newsletter.core.subscriber import Subscriber
from newsletter.core.tip import Tip, TipDraft
from newsletter.errors import InputError
from newsletter.flows.freeze import RenderContext, new_nonce
from newsletter.render.edition import render_edition
from newsletter.render.mime import CompiledMessage, compile_message
from newsletter.store import subscriber as subscribers
from newsletter.store.unit import Unit

SAMPLE_EMAIL = "reader@example.com"


def compile_tip(
    render_context: RenderContext, tip: Tip | TipDraft, *, on: date, series: SeriesPlace | None = None
) -> CompiledMessage:
    """Render a tip and pass it through every gate; raise `InputError` for what could not be frozen."""
    rendered = render_edition(
        tip,
        render_context.publication,
        render_context.templates,
        nonce=new_nonce(),
        date=on,
        series=series,
    )
    return compile_message(rendered, render_context.publication, providers=render_context.providers)


def find_reader(unit: Unit, email: str) -> Subscriber:
    """Return the subscriber whose values a preview shall show."""
    address = parse_address(email)
    with unit.read() as tx:
        subscriber = subscribers.by_canonical(tx, address.canonical)
    if subscriber is None:
        raise InputError(f"there is no subscriber {email}; leave --as out to see the mail with sample values")
    return subscriber


def recipient_of(render_context: RenderContext, reader: Subscriber | None, *, now: datetime) -> Recipient:
    """Return the values of a reader, or sample ones."""
    publication = render_context.publication
    # A working link in a file that is passed around for review would let any reviewer unsubscribe that person.
    unsubscribe = f"{publication.base_url}/u/preview"
    message_id = f"preview@{publication.from_email.rpartition('@')[2]}"
    if reader is None:
        own = {"first_name": "Robin", "last_name": "Reader", "name": "Robin Reader", "email": SAMPLE_EMAIL}
        return Recipient(
            email=SAMPLE_EMAIL,
            name=own["name"],
            fields=own,
            unsubscribe_url=unsubscribe,
            message_id=message_id,
            date=now,
        )
    own = {
        "first_name": reader.first_name,
        "last_name": reader.last_name,
        "name": full_name(reader),
        "email": reader.email,
    }
    return Recipient(
        email=parse_address(reader.email).smtp,
        name=full_name(reader),
        fields={**reader.fields, **own},
        unsubscribe_url=unsubscribe,
        message_id=message_id,
        date=now,
    )

"""The headers whose value a mail provider repeats in its webhook."""

from __future__ import annotations

from datetime import UTC, date, datetime
from email import message_from_bytes
from email.policy import SMTP

import pytest

from newsletter.core.message import Publication, Recipient
from newsletter.core.tip import TipDraft
from newsletter.render.edition import render_edition
from newsletter.render.environment import make_environment
from newsletter.render.headers import PROVIDER_HEADERS
from newsletter.render.mime import CompiledMessage, compile_message
from newsletter.settings.webhooks import WEBHOOK_SETTINGS

TOKEN = "AbCdEfGh_123-AbCdEfGh_123-AbCdEfGh_1"
VALUES = {
    "ses": f"newsletter={TOKEN}",
    "mailgun": f'{{"newsletter": "{TOKEN}"}}',
    "sendgrid": f'{{"unique_args": {{"newsletter": "{TOKEN}"}}}}',
    "sparkpost": f'{{"metadata": {{"newsletter": "{TOKEN}"}}}}',
}
AT = datetime(2026, 11, 24, 14, 0, 3, tzinfo=UTC)


class Ann:
    """A person as a claim has them."""

    email, name, first_name, last_name = "ann@example.org", "Ann Example", "", ""
    fields: dict[str, str] = {}  # noqa: RUF012 - a row has them


def compiled(publication: Publication, *providers: str) -> CompiledMessage:
    """Return an edition for these providers, as it comes back from the database."""
    draft = TipDraft(slug="a", title="A tip", subject="A tip", body="Hello.")
    rendered = render_edition(draft, publication, make_environment(None), nonce="n0nce", date=date(2026, 11, 24))
    return CompiledMessage.from_json(compile_message(rendered, publication, providers=providers).to_json())


@pytest.mark.parametrize("provider", list(WEBHOOK_SETTINGS))
def test_a_provider_gets_the_token_in_its_own_header(publication: Publication, provider: str) -> None:
    """It is one header, in short lines, and says the same in both ways to a message; the token is that of the link."""
    edition = compiled(publication, provider)
    link = f"https://news.example.com/u/{TOKEN}"
    spliced = edition.personal(Ann(), address=Ann.email, unsubscribe_url=link, message_id="1.x@example.com", date=AT)
    recipient = Recipient(email=Ann.email, name=Ann.name, unsubscribe_url=link, message_id="1.x@example.com", date=AT)
    assert spliced.content == edition.splice(recipient)
    message = message_from_bytes(spliced.content, policy=SMTP)
    name = PROVIDER_HEADERS[provider][0]
    assert message.get_all(name) == [VALUES.get(provider, TOKEN)]
    head = spliced.content.partition(b"\r\n\r\n")[0]
    assert max(len(line) for line in head.split(b"\r\n") if TOKEN.encode() in line and b"/u/" not in line) <= 78


def test_without_a_webhook_there_is_no_such_header(publication: Publication) -> None:
    """An edition for nobody's webhook bears none of them."""
    head = compiled(publication).content.head
    assert [name for name, _ in PROVIDER_HEADERS.values() if f"{name}:" in head] == []

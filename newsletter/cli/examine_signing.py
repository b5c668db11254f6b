"""The examination of `newsletter doctor` that concerns DKIM: who signs the mails, and with what.

In: the application. Out: findings. Whether the record is published is found out by `examine_dns.py`.
"""

from __future__ import annotations

from collections.abc import Iterator

from newsletter.cli.finding import Finding, fail, ok
from newsletter.errors import NewsletterError
from newsletter.wiring import Application

_SAMPLE = b"From: a@example.com\r\nSubject: a sample\r\n\r\nIt is signed and thrown away.\r\n"


def signing(application: Application) -> Iterator[Finding]:
    """Read the keys and sign a sample with them."""
    try:
        signer = application.signer
    except NewsletterError as error:
        yield fail("signing", str(error))
        return
    if signer is None:
        yield ok(
            "signing",
            "the mails are not signed here (DKIM); if the mail server does not sign them either, "
            "set NEWSLETTER_DKIM_KEY_FILE",
        )
        return
    signer(_SAMPLE)
    for seal in signer.seals:
        text = f"DKIM as {seal.domain}, {seal.key.plain}; a sample was signed"
        yield ok("signing", f"{text}. The record stands at {seal.name}")

"""The examination of `newsletter doctor` that concerns the DNS: what receivers look up about the sender.

In: the application. Out: findings, each with the record to publish. Names that are reserved for examples are not looked
up, unless the settings name servers to ask.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

from newsletter.cli.examine import is_reserved
from newsletter.cli.finding import Finding, Level, ok
from newsletter.core.sender_dns import DkimName, SenderDomains, judge_sender
from newsletter.errors import NewsletterError
from newsletter.settings.values import is_loopback
from newsletter.transport.dns import DnsLookup
from newsletter.wiring import Application

SPF_INCLUDES = {
    "ses": "amazonses.com",
    "sendgrid": "sendgrid.net",
    "mailgun": "mailgun.org",
    "gmail": "_spf.google.com",
    "office365": "spf.protection.outlook.com",
}
"""What the providers of NEWSLETTER_SMTP_PRESET document for the SPF record."""


def sender_dns(application: Application) -> Iterator[Finding]:
    """Look at SPF, DKIM, DMARC, MX, PTR and the web address, as receivers do."""
    domains = sender_domains(application)
    servers = application.settings.dns_servers
    if is_reserved(domains.from_domain) and not servers:
        yield ok("DNS", f"{domains.from_domain} is a name for examples, and was not looked up")
        return
    for verdict in judge_sender(domains, DnsLookup(servers)):
        yield Finding(level=Level(verdict.level.value), about=verdict.about, text=verdict.text, todo=verdict.publish)


def sender_domains(application: Application) -> SenderDomains:
    """Return the names that receivers look up."""
    settings = application.settings
    from_domain = settings.from_email.rpartition("@")[2]
    host = urlsplit(settings.base_url).hostname or ""
    return SenderDomains(
        from_domain=from_domain,
        envelope_domain=settings.bounce_domain or from_domain,
        reply_domain=(settings.reply_to or settings.from_email).rpartition("@")[2],
        keys=_keys(application),
        spf_include=SPF_INCLUDES.get(settings.smtp_preset, ""),
        ehlo_name=(settings.smtp_ehlo_name or socket.getfqdn()) if is_loopback(settings.smtp_host) else "",
        public_host="" if is_loopback(host) or is_reserved(host) else host,
    )


def _keys(application: Application) -> tuple[DkimName, ...]:
    try:
        signer = application.signer
    except NewsletterError:
        # The examination of signing has said it.
        return ()
    if signer is None:
        return ()
    return tuple(DkimName(name=seal.name, domain=seal.domain, record=seal.key.record()) for seal in signer.seals)

"""What `newsletter demo` plays on: a clock that can be turned, settings that no file holds, a mail server's moods.

In: a folder. Out: an application in it that can reach only the mail server beside it, and mails as files.
"""

from __future__ import annotations

import email
import email.policy
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from newsletter.core.subscriber import Subscriber
from newsletter.testing.catcher import Catcher, Caught, Step

DEMO_ADMIN = "admin@example.com"


@dataclass(slots=True)
class FakeReplies:
    """How the mail server behaves: it refuses one address, asks one to come again, and takes everything else."""

    gone: str = ""
    later: str = ""

    def choose(self, people: Sequence[Subscriber]) -> None:
        """Pick the two from the people of the demo."""
        plain = [person.email for person in people if person.email.isascii()]
        self.gone, self.later = plain[len(plain) // 3], plain[2 * len(plain) // 3]

    def __call__(self, step: Step, address: str, nth: int) -> str | None:
        """Answer a recipient."""
        if step is not Step.RCPT:
            return None
        if address == self.gone:
            return f"550 5.1.1 <{address}>: no such mailbox here"
        if address == self.later and nth == 1:
            return f"451 4.7.1 <{address}>: greylisted, please try again later"
        return None


def stage_settings(server: Catcher, *, web_port: int | None = None) -> Mapping[str, str]:
    """Return the settings of the demo, as its environment; nothing of the person who runs it is looked at.

    With a port the links of the mails point to pages that this machine serves there.
    """
    pages = {
        "NEWSLETTER_BASE_URL": f"http://127.0.0.1:{web_port}",
        "NEWSLETTER_WEB_PORT": str(web_port),
        "NEWSLETTER_WEB_PAGES": "all",
        "NEWSLETTER_ADMIN_EMAILS": DEMO_ADMIN,
    }
    return {
        "NEWSLETTER_NAME": "Tip of the Week",
        "NEWSLETTER_FROM": "tips@news.example.com",
        "NEWSLETTER_POSTAL_ADDRESS": "Example Society, 1 Example Street, Springfield",
        "NEWSLETTER_BASE_URL": "https://news.example.com",
        "NEWSLETTER_SECRET_KEY": secrets.token_urlsafe(32),
        "NEWSLETTER_STATE_DIR": "state",
        "NEWSLETTER_SMTP_HOST": server.host,
        "NEWSLETTER_SMTP_PORT": str(server.port),
        "NEWSLETTER_SMTP_SECURITY": "none",
        **(pages if web_port is not None else {}),
    }


def write_parts(mails: Sequence[Caught]) -> list[Path]:
    """Write the HTML and the text of each mail beside its `.eml`; return the HTML files."""
    pages = []
    for mail in mails:
        if mail.path is None:
            continue
        message = email.message_from_bytes(mail.content, policy=email.policy.default)
        for kind, ending in (("html", ".html"), ("plain", ".txt")):
            part = message.get_body((kind,))
            if part is not None:
                mail.path.with_suffix(ending).write_text(part.get_content(), encoding="utf-8")
        pages.append(mail.path.with_suffix(".html"))
    return pages

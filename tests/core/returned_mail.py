"""What the written mails of the corpus are made of: a sample, and the mail of ours that it returns."""

from __future__ import annotations

from dataclasses import dataclass

VERP = "b+0123456789abcdefghjkm@bounces.example.com"
OPT_OUT = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRob"
MESSAGE_ID = "12.0123456789abcdefghjkmnpq@example.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One mail and what is to be read in it."""

    name: str
    kind: str
    code: int = 0
    enhanced: str = ""
    words: str = ""
    """A piece of what the server said."""
    rule_kind: str = ""
    """The class that the table of replies gives it."""
    text: str
    traced: bool = True
    """Whether the bounce address can be found in it."""

    def raw(self, *, verp: str = VERP, optout: str = OPT_OUT, message_id: str = MESSAGE_ID) -> bytes:
        """Return the mail with lines as the wire ends them."""
        text = self.text.replace("{verp}", verp).replace("{optout}", optout).replace("{id}", message_id)
        return text.replace("\n", "\r\n").encode("utf-8")


RETURNED = """\
Return-Path: <{verp}>
From: Tip of the Week <tips@example.com>
To: ann@example.org
Subject: A tip about the number 550 5.1.1
Message-ID: <{id}>
List-Unsubscribe: <https://news.example.com/u/{optout}>
"""

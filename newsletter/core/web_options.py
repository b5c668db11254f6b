"""What the web part is allowed to show, and whom it believes.

In: settings, through the wiring. Out: a frozen value.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network

from newsletter.core.access import Roster

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True, kw_only=True)
class WebOptions:
    """The options of the web part; without any it has the opt-out and the links of notices alone."""

    public: bool = False
    """Whether the pages for signing up are there."""
    archive: bool = False
    """Whether the tips that went out are there; needs the public pages."""
    admin: bool = False
    """Whether the admin area is there."""
    roster: Roster = field(default_factory=Roster)
    """Who may sign in to it."""
    trusted_proxies: tuple[Network, ...] = ()
    """Whose `X-Forwarded-For` counts."""
    form_origins: tuple[str, ...] = ()
    """Sites of the operator whose forms are taken, as `https://www.example.com`."""
    privacy_url: str = ""
    """A privacy policy elsewhere; empty where the page of the newsletter is the one."""
    imprint: str = ""
    """Lines of the imprint beside name and postal address."""
    keep_deliveries_days: int = 730

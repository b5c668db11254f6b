"""The time zone of this machine, as `newsletter init` proposes it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from newsletter.settings.model import normal_text


def machine_zone(environ: Mapping[str, str]) -> str:
    """Return the IANA name of this machine's zone, or nothing where neither `TZ` nor `/etc` has one."""
    for zone in (environ.get("TZ", "").lstrip(":"), _zone_of_link(), _zone_of_file()):
        if zone and is_zone(zone):
            return zone
    return ""


def is_zone(text: str) -> bool:
    """Tell whether a text is the name of a time zone."""
    try:
        normal_text("NEWSLETTER_TIME_ZONE", text)
    except ValueError:
        return False
    return True


def _zone_of_link() -> str:
    parts = Path("/etc/localtime").resolve().parts
    return "/".join(parts[parts.index("zoneinfo") + 1 :]) if "zoneinfo" in parts else ""


def _zone_of_file() -> str:
    try:
        return Path("/etc/timezone").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""

"""The relays as the settings describe them: the names of their settings, and the limits that apply to each.

In: settings. Out: setting prefixes, the preferred relay first, and the limits of each. `wiring.py` builds the `Relay`.
"""

from __future__ import annotations

from dataclasses import replace

from newsletter.settings.model import Settings
from newsletter.settings.presets import PRESETS, Preset


def relay_prefixes(settings: Settings) -> tuple[str, ...]:
    """Return the prefix of each relay's settings, the preferred relay's first."""
    return ("", "fallback_") if settings.fallback_smtp_host else ("",)


def relay_limits(settings: Settings, prefix: str) -> Preset:
    """Return the limits of one relay: those of its preset, overridden by the operator's own settings."""
    own = {"connections": "smtp_connections", "messages": "smtp_max_messages", "seconds": "smtp_max_seconds"}
    overrides = {name: getattr(settings, key) for name, key in own.items() if key in settings.model_fields_set}
    return replace(PRESETS[getattr(settings, f"{prefix}smtp_preset")], **overrides)

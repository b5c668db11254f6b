"""The mail servers as the settings describe them: how each is reached, and how much it bears.

In: settings. Out: a `Relay` for each server, the preferred one first, and its terms. Part of the wiring.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from newsletter.clock import Clock
from newsletter.config import Settings
from newsletter.transport.base import DOT_TIMEOUT, Relay, Security
from newsletter.transport.presets import PRESETS, Preset
from newsletter.transport.token_command import TokenCommand


def servers(settings: Settings) -> tuple[str, ...]:
    """Return what the settings of each mail server begin with, those of the preferred one first."""
    return ("", "fallback_") if settings.fallback_smtp_host else ("",)


def relay_of(settings: Settings, which: str, clock: Clock) -> Relay:
    """Read one mail server off the settings that begin with `which`."""

    def given(key: str) -> Any:  # noqa: ANN401 - each setting is of a kind of its own.
        return getattr(settings, f"{which}smtp_{key}")

    bears = terms(settings, which)
    command = "" if which else settings.smtp_token_command
    return Relay(
        host=given("host"),
        port=given("port"),
        security=Security(given("security")),
        username=given("username"),
        password=given("password").get_secret_value() if given("password") else "",
        tokens=TokenCommand(command, monotonic=clock.monotonic) if command else None,
        ca_file=str(given("ca_file") or ""),
        ehlo_name=settings.smtp_ehlo_name,
        timeout=float(settings.smtp_timeout_seconds),
        dot_timeout=max(DOT_TIMEOUT, float(settings.smtp_timeout_seconds)),
        max_messages=bears.messages,
        max_seconds=float(bears.seconds),
    )


def terms(settings: Settings, which: str) -> Preset:
    """Return how much one mail server bears: as its preset says, unless the operator says otherwise."""
    own = {"connections": "smtp_connections", "messages": "smtp_max_messages", "seconds": "smtp_max_seconds"}
    given = {name: getattr(settings, key) for name, key in own.items() if key in settings.model_fields_set}
    return replace(PRESETS[getattr(settings, f"{which}smtp_preset")], **given)

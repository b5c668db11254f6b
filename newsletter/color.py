"""Colours of a mail: contrast and mixtures.

In: colours as `#rrggbb`. Out: ratios and colours. The contrast is that of WCAG 2.2 (relative luminance, 1.4.3).
"""

from __future__ import annotations

MAIL_BACKGROUND = "#f3f1ec"
"""Behind the card of a mail, as `templates/email/edition/body.html` has it; text in the accent colour stands on it."""
TEXT_CONTRAST_MIN = 4.5

_LINEAR_SHARE_MAX = 0.04045


def contrast(first: str, second: str) -> float:
    """Return the contrast ratio of two colours, from 1 to 21."""
    lighter, darker = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def mix(first: str, second: str, share: float) -> str:
    """Return the first colour with a share (0 to 1) of the second in it."""
    pairs = zip(_channels(first), _channels(second), strict=True)
    return "#" + "".join(f"{round(low + (high - low) * share):02x}" for low, high in pairs)


def lighten(color: str, background: str, ratio: float) -> str:
    """Return the colour, mixed with as little white as gives this contrast on a dark background."""
    steps = (mix(color, "#ffffff", step / 20) for step in range(21))
    return next((step for step in steps if contrast(step, background) >= ratio), "#ffffff")


def _channels(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def _luminance(color: str) -> float:
    shares = (channel / 255 for channel in _channels(color))
    red, green, blue = (
        share / 12.92 if share <= _LINEAR_SHARE_MAX else ((share + 0.055) / 1.055) ** 2.4 for share in shares
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue

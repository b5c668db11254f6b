"""The look of a mail: its colours, derived from one accent colour, and its logo.

In: the accent colour as `#rrggbb`. Out: the colours by their place in the templates, in the light and in the dark.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from newsletter.color import lighten, mix

DARK_CARD = "#1c2124"
DARK_CONTRAST_MIN = 7.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MailColors:
    """The colours that follow from the accent colour."""

    accent: str
    """Links, the name of the newsletter, the button, the line at the top of the card."""
    accent_soft: str
    """Lines beside quotes and below the heads of tables."""
    dark_accent: str
    dark_accent_soft: str

    @classmethod
    def of(cls, accent: str) -> Self:
        """Derive the look from an accent colour."""
        dark = lighten(accent, DARK_CARD, DARK_CONTRAST_MIN)
        return cls(
            accent=accent,
            accent_soft=mix(accent, "#ffffff", 0.5),
            dark_accent=dark,
            dark_accent_soft=mix(dark, DARK_CARD, 0.45),
        )

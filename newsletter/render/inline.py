"""CSS inlining: once per edition, by premailer, with its access to the network turned off.

In: a whole HTML document with two style blocks, the basics and, marked `data-premailer="ignore"`, what must stay a
style sheet (media queries, dark mode, Outlook's `[data-ogsc]`). Out: the document, the basics in `style` attributes.
"""

from __future__ import annotations

import logging


def inline_css(html: str) -> str:
    """Inline the first style block; see `docs/the-mail.md` for why each option has this value."""
    # It brings a hundred modules along, which only a command that renders needs.
    from premailer import Premailer  # noqa: PLC0415

    inlined = Premailer(
        html,
        strip_important=False,
        allow_network=False,
        disable_validation=True,
        cssutils_logging_level=logging.CRITICAL,
        remove_classes=False,
        keep_style_tags=False,
        # It would write `height="auto"`; the templates and `render/picture.py` write the numbers that Outlook needs.
        disable_basic_attributes=["width", "height"],
    ).transform()
    return str(inlined)

"""A preview: one person's message as files to look at.

In: a compiled message and a recipient. Out: file contents by file name. It writes nothing.
"""

from __future__ import annotations

from newsletter.core.message import Recipient
from newsletter.render.mime import CompiledMessage


def preview_files(compiled: CompiledMessage, recipient: Recipient) -> dict[str, bytes]:
    """Return `preview.html`, `preview.txt` and `preview.eml`; the last opens in any mail program."""
    return {
        "preview.html": compiled.html(recipient).encode(),
        "preview.txt": compiled.text(recipient).encode(),
        "preview.eml": compiled.splice(recipient),
    }

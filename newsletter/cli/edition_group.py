"""All commands of `newsletter edition`, which are written in four modules."""

from __future__ import annotations

from newsletter.cli import follow_up, proof, sending
from newsletter.cli.edition import app

__all__ = ["app"]

app.command("send")(sending.send)
app.command("watch")(sending.watch)
app.command("replace")(follow_up.replace)
app.command("correct")(follow_up.correct)
app.command("proof")(proof.proof)

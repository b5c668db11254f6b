# ruff: noqa: INP001 - a script, no package.
"""Run `newsletter edition send` on a terminal of its own, and keep a moment of it as `docs/images/live.svg`.

The mail server is one on this machine that asks for patience now and then.

python docs/take_live_picture.py
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from rich.console import Console
from rich.text import Text
from take_demo_picture import COLUMNS, on_terminal

from newsletter.testing.catcher import Catcher, Keep, Step

PICTURE = Path(__file__).parent / "images" / "live.svg"
PEOPLE = 3_000
TAKES = threading.Event()
SETTINGS = """
NEWSLETTER_FROM=tips@example.com
NEWSLETTER_POSTAL_ADDRESS='Example Society, 1 Example Street, Springfield'
NEWSLETTER_BASE_URL=https://news.example.com
NEWSLETTER_SECRET_KEY='only for a picture, never for a list'
NEWSLETTER_SMTP_HOST=127.0.0.1
NEWSLETTER_SMTP_PORT={port}
NEWSLETTER_SMTP_SECURITY=none
NEWSLETTER_SMTP_CONNECTIONS=8
"""
TIP = """---
title: Name your branches
status: approved
---
Hello {{ first_name|there }}, a short name says more than a number.
"""


def main() -> None:
    """Take the picture."""
    count = 0

    def script(step: Step, _address: str, nth: int) -> str | None:
        nonlocal count
        if step is not Step.DOT:
            return None
        count += 1
        TAKES.wait(0.003)
        if count in {1000, 1200}:
            return "454 Throttling failure: Maximum sending rate exceeded."
        return "450 4.2.1 Try again in a few minutes" if count % 97 == 0 and nth == 1 else None

    with tempfile.TemporaryDirectory() as folder, Catcher(script=script, keep=Keep.COUNTS) as server:
        home = Path(folder)
        (home / ".env").write_text(SETTINGS.format(port=server.port))
        (home / "name-your-branches.md").write_text(TIP)
        people = "".join(f"p{number}@example.com,Person {number}\n" for number in range(PEOPLE))
        (home / "people.csv").write_text(f"email,name\n{people}")
        for words in (
            ("db", "upgrade"),
            ("subscriber", "import", str(home / "people.csv")),
            ("tip", "add", str(home / "name-your-branches.md")),
        ):
            subprocess.run([*_newsletter(folder), *words], check=True, stdout=subprocess.DEVNULL)  # noqa: S603 ours
        shown = on_terminal([*_newsletter(folder), "edition", "send", "--now", "--yes"], may_fail=True)
    _keep(_moment(shown))


def _newsletter(folder: str) -> list[str]:
    return [sys.executable, "-m", "newsletter", "-C", folder]


def _moment(shown: str) -> str:
    """Return the frame that tells most, of those in the middle."""
    frames = re.split(r"(?:\x1b\[1A\x1b\[2K)+|\r\x1b\[2K", shown.replace("\x1b[?25l", "").replace("\x1b[?25h", ""))
    # Without those above which a line of the log came to stand.
    middle = [frame for frame in frames[len(frames) // 4 : -len(frames) // 4] if frame.lstrip().startswith("\x1b[1m20")]
    return max(middle, key=lambda frame: frame.count("\n"))


def _keep(frame: str) -> None:
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text("$ newsletter edition send --now", style="bold green"))
    console.print(Text.from_ansi(frame.replace("\r", "").strip("\n")))
    picture = console.export_svg(title="newsletter edition send", unique_id="live")
    # A picture of ours loads no font from elsewhere; any fixed-width one will do.
    PICTURE.write_text(re.sub(r"\s*@font-face \{.*?\}", "", picture, flags=re.DOTALL), encoding="utf-8")
    print(PICTURE)  # noqa: T201


if __name__ == "__main__":
    main()

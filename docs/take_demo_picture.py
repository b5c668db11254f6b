# ruff: noqa: INP001 - a script, no package.
"""Run `newsletter demo` on a terminal of its own and keep what it shows as `docs/images/demo.svg`.

python docs/take_demo_picture.py
"""

from __future__ import annotations

import io
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
from fcntl import ioctl
from pathlib import Path

from rich.console import Console
from rich.text import Text

PICTURE = Path(__file__).parent / "images" / "demo.svg"
COLUMNS = 102
SHOWN_AS = "/tmp/newsletter-demo"  # noqa: S108 a name in a picture


def main() -> None:
    """Take the picture."""
    with tempfile.TemporaryDirectory() as folder:
        home = str(Path(folder, "demo"))
        shown = on_terminal([sys.executable, "-m", "newsletter", "demo", "--keep", home]).replace(home, SHOWN_AS)
    # Of each line that was drawn several times, such as the bar, the last drawing counts.
    lines = [re.sub(r".*\r(?=.)", "", line.rstrip("\r")) for line in shown.split("\n")]
    lines = [re.sub(r"\x1b\[\?25[hl]|\x1b\[2K", "", line) for line in lines]
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text("$ newsletter demo", style="bold green"))
    console.print(Text.from_ansi("\n".join(lines).rstrip()))
    PICTURE.parent.mkdir(exist_ok=True)
    picture = console.export_svg(title="newsletter demo", unique_id="demo")
    # A picture of ours loads no font from elsewhere; any fixed-width one will do.
    picture = re.sub(r"\s*@font-face \{.*?\}", "", picture, flags=re.DOTALL)
    PICTURE.write_text(picture, encoding="utf-8")
    print(PICTURE)  # noqa: T201


def on_terminal(command: list[str], *, may_fail: bool = False) -> str:
    """Run a command on a terminal of its own, and return what it showed."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 60, COLUMNS, 0, 0))
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs)  # noqa: S603 our own command
    os.close(theirs)
    shown = b""
    try:
        while data := os.read(ours, 65536):
            shown += data
    except OSError:
        pass  # Linux says so when the other end is closed.
    if process.wait() != 0 and not may_fail:
        raise SystemExit(shown.decode())
    return shown.decode()


if __name__ == "__main__":
    main()

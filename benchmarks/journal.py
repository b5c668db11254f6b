"""What the journal costs a message: `python benchmarks/journal.py`.

Two records a message, with the commits of a sending process between them, in a fresh file on the disk of `--folder`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from newsletter.core.delivery import DeliveryId
from newsletter.core.reply import Phase, Reply
from newsletter.journal.writer import Journal

REPLY = Reply(phase=Phase.DOT, code=250, enhanced="2.0.0", text="Ok: queued as 4ZKx3q1Yt1z9vBd")
MESSAGES = 100_000
RUN = 150
"""Messages between two commits, as ten connections have them."""


def microseconds(folder: Path) -> float:
    """Return the processor time of the records of one message, rotation included."""
    at = datetime.now(UTC)
    with Journal.open(folder, identity="benchmark", worker=1) as journal:
        began = time.process_time()
        for first in range(0, MESSAGES, RUN):
            run = [DeliveryId(first + nth) for nth in range(RUN)]
            for delivery in run:
                journal.handed(delivery, 1)
                journal.answered(delivery, 1, REPLY, at)
            journal.recorded(run)
        seconds = time.process_time() - began
    return seconds / MESSAGES * 1e6


def main() -> None:
    """Measure five times and print the median."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="where the file is made; without it, the system's folder")
    with tempfile.TemporaryDirectory(dir=parser.parse_args().folder) as folder:
        turns = [microseconds(Path(folder)) for _ in range(5)]
    print(f"{median(turns):.2f} µs of processor time a message for its two records (from {min(turns):.2f})")


if __name__ == "__main__":
    main()

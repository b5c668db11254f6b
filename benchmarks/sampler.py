"""Where CPU time goes: every few milliseconds each thread is asked what it did since, by its own CPU clock.

The clock of a thread runs on in C too, in SQLite or a hash function, so waiting for the network counts nothing and the
database counts what it costs. Time is put to the deepest part of ours that is on the stack.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import defaultdict
from types import FrameType

EVERY = 0.004
PARTS = (
    ("sqlalchemy/", "database: SQLAlchemy and the driver"),
    ("psycopg", "database: SQLAlchemy and the driver"),
    ("newsletter/store/", "database: SQLAlchemy and the driver"),
    ("newsletter/engine/journal", "journal"),
    ("newsletter/transport/", "SMTP"),
    ("newsletter/render/", "splicing, links and Message-IDs"),
    ("newsletter/core/postmark", "splicing, links and Message-IDs"),
    ("newsletter/core/message", "splicing, links and Message-IDs"),
    ("newsletter/core/", "judging replies and settling"),
    ("newsletter/engine/desk", "desk: feeding and collecting outcomes"),
    ("newsletter/engine/feed", "desk: feeding and collecting outcomes"),
    ("newsletter/engine/", "couriers: all that ties it together"),
)
REST = "all else: start, freeze, waiting for one another"


class Sampler:
    """Adds up the CPU seconds of all other threads by part."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.stop = threading.Event()
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.files: defaultdict[str, float] = defaultdict(float)
        self._before: dict[int, float] = {}

    def run(self) -> None:
        """Sample until told to stop."""
        own = threading.get_ident()
        while not self.stop.wait(EVERY):
            for thread, frame in sys._current_frames().items():  # noqa: SLF001 - there is no other way.
                if thread != own:
                    self._look(thread, frame)

    def _look(self, thread: int, frame: FrameType) -> None:
        try:
            now = time.clock_gettime(time.pthread_getcpuclockid(thread))
        except OSError:
            return
        spent = now - self._before.get(thread, now)
        self._before[thread] = now
        if spent > 0:
            part, place = _place(frame)
            self.seconds[part] += spent
            self.files[place] += spent


def _place(frame: FrameType | None) -> tuple[str, str]:
    while frame is not None:
        name = frame.f_code.co_filename
        for mark, part in PARTS:
            if mark in name:
                return part, f"{name.rpartition('newsletter/')[2][-60:]}:{frame.f_code.co_name}:{frame.f_lineno}"
        frame = frame.f_back
    return REST, REST

"""Where CPU time goes: steps of a message are wrapped from outside, and each is told what it used itself.

By the CPU clock of the thread, so waiting for the network counts nothing, and SQLite in C what it costs. A step that
calls another is not told the other's time. Looking costs something too, about a microsecond a step.
"""

from __future__ import annotations

import importlib
import threading
import time
from collections import defaultdict
from functools import wraps

STEPS = (
    ("newsletter.engine.post", "Post.envelope", "splicing, links, Message-ID"),
    ("newsletter.engine.post", "Post.settled", "judging and settling"),
    ("newsletter.engine.journal", "Track.handed", "journal"),
    ("newsletter.engine.journal", "Track.answered", "journal"),
    ("newsletter.engine.desk", "Desk.run", "desk: runs dealt out, outcomes collected"),
    ("newsletter.transport.smtp", "SmtpConnection.hand_over", "SMTP: content and envelopes out"),
    ("newsletter.transport.smtp", "SmtpConnection.answer", "SMTP: answers in"),
    ("newsletter.flows.freeze", "freeze", "freeze"),
    ("newsletter.engine.courier", "Courier.run", "couriers: what ties it together"),
    ("sqlalchemy.engine", "Connection.execute", "database"),
    ("sqlalchemy.engine", "Connection.exec_driver_sql", "database"),
    ("sqlalchemy.engine.base", "RootTransaction.commit", "database"),
    ("sqlalchemy.engine", "CursorResult.all", "database"),
    ("sqlalchemy.engine", "ScalarResult.all", "database"),
)
"""Module, what to wrap, and the part it belongs to. Whoever rewrites a step changes its line here."""


class Stopwatch:
    """Adds up the CPU seconds of each part."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._lock = threading.Lock()
        self._here = threading.local()

    def put_on(self) -> None:
        """Wrap every step."""
        for module, name, part in STEPS:
            owner: object = importlib.import_module(module)
            *path, last = name.split(".")
            for one in path:
                owner = getattr(owner, one)
            self._wrap(owner, last, part)

    def _wrap(self, owner: object, name: str, part: str) -> None:
        original = getattr(owner, name)

        @wraps(original)
        def timed(*arguments: object, **named: object) -> object:
            inner_before = getattr(self._here, "inner", 0.0)
            self._here.inner = 0.0
            began = time.thread_time()
            try:
                return original(*arguments, **named)
            finally:
                spent = time.thread_time() - began
                with self._lock:
                    self.seconds[part] += spent - self._here.inner
                self._here.inner = inner_before + spent

        setattr(owner, name, timed)

"""Where CPU time goes: steps of a message are wrapped from outside, and each is told what it used itself.

By the CPU clock of the thread, so waiting for the network counts nothing, and SQLite in C what it costs. A step that
calls another is not told the other's time, nor one that waits what others do in its thread meanwhile. Looking costs
something too, about a microsecond a step.
"""

from __future__ import annotations

import importlib
import threading
import time
from collections import defaultdict
from functools import wraps

from greenlet import getcurrent, settrace

STEPS = (
    ("newsletter.sending.message_builder", "MessageBuilder.build", "splicing, links, Message-ID"),
    ("newsletter.sending.message_builder", "MessageBuilder.result", "judging and settling"),
    ("newsletter.journal.writer", "Journal.handed", "journal"),
    ("newsletter.journal.writer", "Journal.answered", "journal"),
    ("newsletter.sending.committer", "GroupCommitter.run", "committer: claims handed out, outcomes collected"),
    ("newsletter.transport.smtp", "SmtpConnection.hand_over", "SMTP: content and envelopes out"),
    ("newsletter.transport.smtp", "SmtpConnection.answer", "SMTP: answers in"),
    ("newsletter.flows.freeze", "freeze", "freeze"),
    ("newsletter.sending.connection_worker", "ConnectionWorker.run", "connection workers"),
    ("newsletter.sending.sender", "_Connections._serve", "event loop"),
    ("sqlalchemy.engine", "Connection.execute", "database"),
    ("sqlalchemy.engine", "Connection.exec_driver_sql", "database"),
    ("sqlalchemy.engine.base", "RootTransaction.commit", "database"),
    ("sqlalchemy.engine", "CursorResult.all", "database"),
    ("sqlalchemy.engine", "ScalarResult.all", "database"),
)
"""Module, what to wrap, and the part it belongs to. Whoever rewrites a step changes its line here."""


class Spent:
    """The CPU time of each conversation of one thread."""

    def __init__(self) -> None:
        """Begin to watch who has its turn in this thread."""
        self.inner: defaultdict[object, float] = defaultdict(float)
        self._until_now: defaultdict[object, float] = defaultdict(float)
        self._since = time.thread_time()
        settrace(self._turn)

    def _turn(self, _event: str, change: tuple[object, object]) -> None:
        now = time.thread_time()
        self._until_now[change[0]] += now - self._since
        self._since = now

    def own(self, line: object) -> float:
        """Return what one has used so far, the present one included."""
        return self._until_now[line] + time.thread_time() - self._since


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
            for module_name in path:
                owner = getattr(owner, module_name)
            self._wrap(owner, last, part)

    def _wrap(self, owner: object, name: str, part: str) -> None:
        original = getattr(owner, name)

        @wraps(original)
        def timed(*arguments: object, **named: object) -> object:
            spent = getattr(self._here, "spent", None) or self._watch()
            line = getcurrent()
            inner_before, spent.inner[line] = spent.inner[line], 0.0
            began = spent.own(line)
            try:
                return original(*arguments, **named)
            finally:
                used = spent.own(line) - began
                with self._lock:
                    self.seconds[part] += used - spent.inner[line]
                spent.inner[line] = inner_before + used

        setattr(owner, name, timed)

    def _watch(self) -> Spent:
        self._here.spent = Spent()
        return self._here.spent

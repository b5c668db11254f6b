"""Starting and joining what works in one pass: committer, connections and revocation watcher, in one event loop.

In: a pass, ready to begin. Out: when all have finished, or how many messages were cut off without an answer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import partial

from newsletter.clock import Clock
from newsletter.event_loop import run_greenlets
from newsletter.sending.committer import GroupCommitter
from newsletter.sending.connection_worker import ConnectionWorker
from newsletter.sending.revocation import RevocationWatcher

JOIN_SECONDS = 10.0
"""How long all connections together may take to finish once they were hung up."""


@dataclass(slots=True, kw_only=True)
class ConnectionGroup:
    """The greenlets of one pass, and the thread that runs them."""

    committer: GroupCommitter
    connection_workers: Sequence[ConnectionWorker]
    revocation_watcher: RevocationWatcher
    _running: int = 0
    """How many connections have not finished."""
    _finished: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _faults: list[BaseException] = field(default_factory=list)

    @contextmanager
    def going(self) -> Iterator[None]:
        """Run the event loop in a thread of its own; at the end no new request is committed."""
        self._running = len(self.connection_workers)
        self._thread = _started("connections", self._serve)
        try:
            yield
        finally:
            self._finished.set()
            # A commit under way is finished, also when a connection is abandoned.
            self.committer.ended.wait(JOIN_SECONDS)

    def wait(self, stop: threading.Event, clock: Clock, *, drain_seconds: float, meanwhile: Callable[[], None]) -> int:
        """Wait for the connections; once a stop is asked for, no longer than messages in flight may take.

        Returns how many messages were cut off without an answer; `meanwhile` is called now and then.
        """
        assert self._thread is not None  # noqa: S101 it is asked while they are going
        stopped_at: float | None = None
        while self._thread.is_alive():
            self._thread.join(0.05)
            if not stop.is_set():
                meanwhile()
                continue
            for connection_worker in self.connection_workers:
                # A session that is still being opened has no message in flight: nothing is to be waited for.
                connection_worker.pool.abort_opening()
            stopped_at = clock.monotonic() if stopped_at is None else stopped_at
            if clock.monotonic() - stopped_at > drain_seconds:
                # Hanging up makes each of them return with what is known: no reply was read.
                for connection_worker in self.connection_workers:
                    connection_worker.abort()
                self._thread.join(JOIN_SECONDS)
                return sum(connection_worker.unanswered for connection_worker in self.connection_workers)
        return 0

    @property
    def all_finished(self) -> bool:
        """Tell whether every connection has finished."""
        gone = self._thread is None or not self._thread.is_alive()
        return gone and not self._running

    @property
    def outcome_unrecorded(self) -> bool:
        """Tell whether an outcome may be in the journal only."""
        return bool(self._faults) or any(
            connection_worker.outcome_unrecorded for connection_worker in self.connection_workers
        )

    @property
    def bugs(self) -> list[BaseException]:
        """Return the unexpected exceptions."""
        bugs = (
            self.committer.bug,
            *(connection_worker.bug for connection_worker in self.connection_workers),
            *self._faults,
        )
        return [bug for bug in bugs if bug is not None]

    def _serve(self) -> None:
        """Run the event loop; the committer ends last, once nothing else submits a request."""
        try:
            run_greenlets(
                [
                    self.committer.run,
                    self._watch,
                    *(partial(self._go, connection_worker) for connection_worker in self.connection_workers),
                ]
            )
        except BaseException as fault:  # noqa: BLE001 it is raised again in the thread that waits for this one
            self._faults.append(fault)

    def _go(self, connection_worker: ConnectionWorker) -> None:
        try:
            connection_worker.run()
        except Exception as fault:  # noqa: BLE001 as above; the others finish what they hold
            self._faults.append(fault)
        self._running -= 1
        if not self._running:
            self._finished.set()

    def _watch(self) -> None:
        try:
            self.revocation_watcher.run(self._finished)
        finally:
            self.committer.close()


def _started(name: str, work: Callable[[], None]) -> threading.Thread:
    """Start a thread; its lines of the log bear what this thread bound: the part of the service."""
    thread = threading.Thread(target=copy_context().run, args=(work,), name=name, daemon=True)
    thread.start()
    return thread

"""A home folder as an operator has it, and real processes of the command line that work in it.

The processes are forked from a server that has imported the program already: each is a process of its own, with its
own signals and its own death, but it starts in a few hundredths of a second.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from newsletter.core.delivery import DeliveryState
from newsletter.core.edition import Edition
from newsletter.core.receipt import Receipt
from newsletter.store import edition as editions
from newsletter.store import report
from newsletter.store.database import connect, open_unit
from newsletter.store.unit import Unit
from newsletter.testing.catcher import Script, Step
from tests.conftest import SECRET, SHIFTED

PATIENCE = 60.0
"""Seconds after which a test gives up on a process; none is slept through."""

FORK = multiprocessing.get_context("forkserver")
FORK.set_forkserver_preload(
    [
        "premailer",
        "newsletter.cli.edition_group",
        "newsletter.cli.liveness",
        "newsletter.cli.logs",
        "newsletter.cli.main",
        "newsletter.cli.service",
        "newsletter.cli.status",
        "newsletter.cli.supervisor",
        "newsletter.flows.overview",
        "newsletter.operations.ticker",
        "newsletter.schedule.scheduler",
        "newsletter.sending.job_worker",
        "newsletter.sending.sender_loop",
        "newsletter.settings.loader",
        "newsletter.store.report",
        "newsletter.web.app",
        "newsletter.web.serve",
        "newsletter.wiring",
    ]
)


def settings(port: int, database_url: str, **more: object) -> str:
    """Return the text of a `.env` for a mail server on this machine."""
    values: dict[str, object] = {
        "FROM": "tips@news.example.com",
        "POSTAL_ADDRESS": "Example Society, 1 Example Street, Springfield",
        "BASE_URL": "https://news.example.com",
        "SECRET_KEY": SECRET,
        "DATABASE_URL": database_url.replace("postgresql+psycopg:", "postgresql:"),
        "SMTP_HOST": "127.0.0.1",
        "SMTP_PORT": port,
        "SMTP_SECURITY": "none",
        "SMTP_CONNECTIONS": 4,
        "STATE_DIR": "state",
    } | more
    return "".join(f"NEWSLETTER_{name}='{value}'\n" for name, value in values.items())


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as wire:
        wire.bind(("127.0.0.1", 0))
        port: int = wire.getsockname()[1]
        return port


def command(folder: str, arguments: Sequence[str], out: str) -> None:
    """Run the command line in this process, which is a child of its own; its words go to a file."""
    from newsletter.cli.main import main  # noqa: PLC0415 - in the child only

    speak_to(out)
    sys.argv = ["newsletter", "-C", folder, *arguments]
    main(SHIFTED)


def speak_to(out: str) -> None:
    """Let what this process prints go to a file."""
    handle = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(handle, 1)
    os.dup2(handle, 2)


@dataclass(kw_only=True)
class Running:
    """One process, and what it said."""

    process: ForkServerProcess
    out: Path

    def wait(self) -> int:
        """Wait for its end and return its exit code; negative is the signal that ended it."""
        self.process.join(PATIENCE)
        code = self.process.exitcode
        assert code is not None, f"still running: {self.words}"
        return code

    def kill(self) -> None:
        """End it as `kill -9` does."""
        self.process.kill()
        assert self.wait() == -9, self.words

    def stop(self) -> None:
        """Tell it to end, as a service manager does, and check that it ends in order.

        One that has not yet begun has nothing to put in order: it dies of the signal, without a word.
        """
        self.process.terminate()
        code, words = self.wait(), self.words
        assert code == 0 or (code, words) == (-signal.SIGTERM, ""), f"{code}: {words}"

    @property
    def words(self) -> str:
        """What it printed so far."""
        return self.out.read_text() if self.out.exists() else ""


def until(condition: Callable[[], bool], running: Running, missing: str) -> None:
    """Wait for a condition as long as a process lives; `missing` says what did not come."""
    for _ in range(int(PATIENCE * 20)):
        if condition():
            return
        running.process.join(0.05)
    raise AssertionError(f"{missing}: {running.words}")


@dataclass(kw_only=True)
class Home:
    """A folder with its `.env`, and the database it names."""

    folder: Path
    unit: Unit
    _started: int = 0

    @classmethod
    def make(cls, folder: Path, database_url: str, port: int, **more: object) -> Home:
        """Write the `.env`; the database exists already."""
        folder.mkdir(exist_ok=True)
        (folder / ".env").write_text(settings(port, database_url, **more))
        return cls(folder=folder, unit=open_unit(connect(database_url)))

    def start(self, *arguments: str) -> Running:
        """Start a command."""
        return self.start_other(command, str(self.folder), arguments)

    def start_other(self, target: Callable[..., None], *arguments: object) -> Running:
        """Start a function of ours in a process of its own; its last argument is where it may speak to."""
        self._started += 1
        out = self.folder / f"out.{self._started}"
        process = FORK.Process(target=target, args=(*arguments, str(out)), daemon=True)
        process.start()
        return Running(process=process, out=out)

    def run(self, *arguments: str) -> tuple[int, str]:
        """Run a command to its end; return its exit code and its words."""
        running = self.start(*arguments)
        return running.wait(), running.words

    def ask(self, *arguments: str) -> list[dict[str, object]]:
        """Run a command that shows data and return the data."""
        code, words = self.run(*arguments, "--json")
        assert code == 0, words
        shown = json.loads(words)
        return shown if isinstance(shown, list) else [shown]

    def edition(self) -> Edition:
        """Return the newest edition."""
        with self.unit.read() as tx:
            return editions.latest(tx, count=1)[0]

    def receipt(self) -> Receipt:
        """Return the report of the newest edition as it is now."""
        with self.unit.read() as tx:
            return report.receipt(tx, editions.latest(tx, count=1)[0])

    def rows(self) -> dict[str, report.DeliveryRow]:
        """Return the deliveries of the newest edition by address."""
        with self.unit.read() as tx:
            return {row.email: row for row in report.rows(tx, edition_id=editions.latest(tx, count=1)[0].id)}

    def states(self) -> dict[str, DeliveryState]:
        """Return the state of each delivery of the newest edition by address."""
        return {email: row.state for email, row in self.rows().items()}


@dataclass
class Watch:
    """A script for the catcher that counts whole messages, so that a test can act at the nth of them.

    With `hold` the server answers nothing from the nth message on, until `release`: whatever a test does in between
    happens in mid-edition, however slow the machine is.
    """

    script: Script | None = None
    count: int = 0
    _held_from: int | None = None
    _released: threading.Event = field(default_factory=threading.Event)
    _goals: list[tuple[int, threading.Event]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, step: Step, address: str, nth: int) -> str | None:
        """Count, and do as the script says."""
        if step is Step.DOT:
            with self._lock:
                self.count += 1
                for goal, reached in self._goals:
                    if self.count >= goal:
                        reached.set()
                held = self._held_from is not None and self.count >= self._held_from
            if held:
                # In the one thread of the server, so that no other connection goes on either.
                self._released.wait(PATIENCE)
        return self.script(step, address, nth) if self.script else None

    def at(self, goal: int) -> threading.Event:
        """Return an event that is set when so many messages have come."""
        reached = threading.Event()
        with self._lock:
            self._goals.append((goal, reached))
            if self.count >= goal:
                reached.set()
        return reached

    def hold(self, goal: int) -> None:
        """Answer no message from this one on."""
        with self._lock:
            self._held_from = goal
            self._released.clear()

    def release(self) -> None:
        """Go on."""
        with self._lock:
            self._held_from = None
            self._released.set()

    def wait_for(self, goal: int) -> None:
        """Wait until so many messages have come."""
        assert self.at(goal).wait(PATIENCE), f"only {self.count} of {goal} messages came"

"""One measurement in a process of its own: `python trial.py NAME '{"json": "arguments"}'` prints one line of JSON.

A fresh process each time, so that peak memory is that of this measurement, and no run warms another one up.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import peers
from world import SECRET, World, freeze_next

from newsletter.core.message import Recipient
from newsletter.core.token import Keyring
from newsletter.engine.courier import Post
from newsletter.engine.desk import Desk
from newsletter.engine.service import send_until_idle
from newsletter.flows.import_subscribers import ImportFile, import_subscribers
from newsletter.render.mime import CompiledMessage
from newsletter.store import edition as editions
from newsletter.transport.smtp import SmtpConnection

Figures = dict[str, Any]


def run(trial: Callable[..., Figures], **arguments: object) -> Figures:
    """Run one measurement in a fresh process and return its figures."""
    command = [sys.executable, __file__, trial.__name__, json.dumps(arguments, default=str)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent)
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


def prepare(*, home: str, people: int) -> Figures:
    """Make a database."""
    World(home=Path(home)).prepare(people)
    return {}


def edition(*, home: str, port: int, people: int, connections: int, shares: bool = False) -> Figures:
    """Send one whole edition through the engine; `rate` counts from `started_at` to `finished_at`, freeze included."""
    app = World(home=Path(home), port=port, connections=connections).application()
    parts = _watched_parts() if shares else Counter[str]()
    cpu, began = time.process_time(), time.perf_counter()
    frozen = freeze_next(app)
    freeze_seconds = time.perf_counter() - began
    with app.sender_lock():
        done = send_until_idle(app.sender(), threading.Event())
    cpu = time.process_time() - cpu
    with app.unit.read() as tx:
        closed = editions.by_id(tx, frozen.id)
    if closed.finished_at is None or done.trouble or done.counts["accepted"] != people:  # type: ignore[index]
        raise SystemExit(f"the edition did not go out: {done}")
    seconds = (closed.finished_at - closed.started_at).total_seconds()
    return {
        "seconds": seconds,
        "rate": people / seconds,
        "freeze_seconds": freeze_seconds,
        "cpu_ms": cpu / people * 1000,
        "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "desk_wall_share": done.book_seconds / seconds,
        "parts_ms": {name: value / people * 1000 for name, value in parts.items()},
    }


def _watched_parts() -> Counter[str]:
    """Wrap the steps of a message from outside and return where their CPU time is added up."""
    seconds: Counter[str] = Counter()
    lock = threading.Lock()

    def watch(owner: type, method: str, name: str) -> None:
        original = getattr(owner, method)

        def timed(*arguments: object, **named: object) -> object:
            began = time.thread_time()
            try:
                return original(*arguments, **named)
            finally:
                spent = time.thread_time() - began
                with lock:
                    seconds[name] += spent

        setattr(owner, method, timed)

    watch(Desk, "exchange", "feeding and logging")
    watch(Post, "envelope", "splicing")
    watch(Post, "settled", "judging")
    watch(SmtpConnection, "send", "SMTP")
    return seconds


def sample(*, home: str) -> Figures:
    """Freeze an edition and tell how large one message of it is; the database is left with the edition."""
    return {"bytes": len(_content(home))}


def _content(home: str) -> bytes:
    app = World(home=Path(home)).application()
    frozen = freeze_next(app)
    with app.unit.read() as tx:
        message = CompiledMessage.from_json(editions.content(tx, frozen.id))
    return message.splice(
        Recipient(
            email="reader1@example.com",
            name="Reader 1",
            fields={"first_name": "Reader1"},
            unsubscribe_url=f"https://news.example.com/u/{'x' * 36}",
            message_id=f"{'x' * 26}@news.example.com",
            date=app.clock.now(),
        )
    )


def smtplib(*, home: str, port: int, people: int, connections: int) -> Figures:
    """Send the bytes of one message of ours as often as the edition has people."""
    return peers.bare_smtplib(port, _content(home), count=people, connections=connections)


def loop(*, home: str, port: int, people: int) -> Figures:
    """Run the loop that renders every person's mail anew."""
    return peers.classic_loop(port, World(home=Path(home)).application(), count=people)


def freezing(*, home: str) -> Figures:
    """Freeze an edition for everybody in the database."""
    app = World(home=Path(home)).application()
    began = time.perf_counter()
    frozen = freeze_next(app)
    return {"seconds": time.perf_counter() - began, "people": frozen.audience}


def importing(*, home: str, file: str) -> Figures:
    """Import a CSV file into an empty installation."""
    app = World(home=Path(home)).application()
    unit = app.unit
    began = time.perf_counter()
    with Path(file).open("rb") as stream:
        report = import_subscribers(
            unit,
            Keyring(current=SECRET),
            ImportFile(stream=stream, name="people.csv", source="a benchmark"),
            who="benchmark",
            now=app.clock.now(),
        )
    seconds = time.perf_counter() - began
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"rows": report.rows, "rate": report.rows / seconds, "rss_mb": rss}


TRIALS: dict[str, Callable[..., Figures]] = {
    trial.__name__: trial for trial in (prepare, edition, sample, smtplib, loop, freezing, importing)
}

if __name__ == "__main__":
    print(json.dumps(TRIALS[sys.argv[1]](**json.loads(sys.argv[2]))))

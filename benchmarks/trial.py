"""One measurement in a process of its own: `python trial.py NAME '{"json": "arguments"}'` prints one line of JSON.

A fresh process each time, so that no run warms another one up.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import peers
from sink import HOST
from stopwatch import Stopwatch
from world import World, freeze_next

from newsletter.core.message import Recipient
from newsletter.render.mime import CompiledMessage
from newsletter.store import edition as editions

Figures = dict[str, Any]


def run(trial: Callable[..., Figures], **arguments: object) -> Figures:
    """Run one measurement in a fresh process and return its figures."""
    command = [sys.executable, __file__, trial.__name__, json.dumps(arguments, default=str)]
    result = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent)
    figures: Figures = json.loads(result.stdout.splitlines()[-1])
    return figures


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


def freezing(*, home: str, url: str) -> Figures:
    """Freeze an edition for everybody in the database."""
    app = World(home=Path(home), url=url).application()
    began = time.perf_counter()
    frozen = freeze_next(app)
    return {"seconds": time.perf_counter() - began, "people": frozen.audience}


def profile(*, home: str, url: str, port: int, connections: int) -> Figures:
    """Send an edition by the command line, in this process, and tell where its CPU time went."""
    from newsletter.cli.main import main  # noqa: PLC0415 - the other measurements must not load it.

    world = World(home=Path(home), url=url, port=port, connections=connections)
    os.environ.update(world.settings())
    os.chdir(home)
    sys.argv = ["newsletter", "edition", "send", "--now", "--yes", "--json"]
    watch = Stopwatch()
    watch.put_on()
    began = time.process_time()
    try:
        with Path("said.txt").open("w") as output_file, redirect_stdout(output_file):
            main()
    except SystemExit as ended:
        if ended.code:
            raise
    whole = time.process_time() - began
    return {"seconds": {**watch.seconds, "all else": whole - sum(watch.seconds.values())}}


def first_after_restart(*, home: str, url: str, port: int) -> Figures:
    """Restart the sender of an edition that was killed, and tell when the mail server has the first message."""
    arrived = threading.Event()
    ready = threading.Event()
    threading.Thread(target=peers.small_sink, args=(port, ready.set, arrived.set), daemon=True).start()
    ready.wait()
    world = World(home=Path(home), url=url, port=port)
    began = time.perf_counter()
    process = world.start("run", "--only", "sender")
    came = arrived.wait(60)
    seconds = time.perf_counter() - began
    process.kill()
    process.wait()
    if not came:
        raise SystemExit(f"no message came to {HOST}:{port} within a minute")
    return {"seconds": seconds}


TRIALS: dict[str, Callable[..., Figures]] = {
    trial.__name__: trial for trial in (sample, smtplib, loop, freezing, profile, first_after_restart)
}

if __name__ == "__main__":
    print(json.dumps(TRIALS[sys.argv[1]](**json.loads(sys.argv[2]))))

"""A mail server that throws everything away, in a process of its own.

Postfix's `smtp-sink` where it is installed; otherwise a small one of ours, started by `python sink.py PORT`. Ours is
slower, and a benchmark that used it says so.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

HOST = "127.0.0.1"
TRIES = 100


@dataclass(frozen=True, slots=True)
class Sink:
    """A running sink."""

    name: str
    port: int


@contextmanager
def running(*, pipelining: bool = True) -> Iterator[Sink]:
    """Start a sink, and end it afterwards; without `pipelining` it does not offer that."""
    port = free_port()
    program = shutil.which("smtp-sink") or shutil.which("smtp-sink", path="/usr/sbin")
    if program:
        name, command = (
            "Postfix smtp-sink",
            [program, *_user(), *([] if pipelining else ["-p"]), f"{HOST}:{port}", "1000"],
        )
    else:
        offer = "pipelining" if pipelining else "nothing"
        name = "the sink of this script (smtp-sink is not installed)"
        command = [sys.executable, __file__, str(port), offer]
    process = subprocess.Popen(command, cwd=Path(__file__).parent)
    try:
        wait_for(port)
        yield Sink(name, port)
    finally:
        process.terminate()
        process.wait(10)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def wait_for(port: int) -> None:
    """Wait until somebody listens."""
    for _ in range(TRIES):
        with socket.socket() as probe:
            probe.settimeout(0.1)
            if probe.connect_ex((HOST, port)) == 0:
                return
        # Refusals come at once, so the wait is a time-out on a socket that nobody answers.
        with socket.socket(type=socket.SOCK_DGRAM) as idle:
            idle.settimeout(0.05)
            idle.bind((HOST, 0))
            try:
                idle.recv(1)
            except TimeoutError:
                continue
    raise SystemExit("the sink does not start")


def _user() -> list[str]:
    # As root it must be told whom to become.
    return ["-u", "nobody"] if os.geteuid() == 0 else []


Took = Callable[[], None]


async def converse(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, pipelining: bool = True, took: Took = lambda: None
) -> None:
    """Say yes to everything; `took` is called for each message."""
    writer.write(b"220 sink ESMTP\r\n")
    try:
        while line := await reader.readline():
            verb = line[:4].upper()
            if verb == b"DATA":
                writer.write(b"354 go on\r\n")
                await writer.drain()
                await reader.readuntil(b"\r\n.\r\n")
                took()
            elif verb == b"EHLO":
                writer.write(b"250-sink\r\n250-PIPELINING\r\n" if pipelining else b"250-sink\r\n")
            elif verb == b"QUIT":
                writer.write(b"221 bye\r\n")
                return
            writer.write(b"250 ok\r\n")
    except (ConnectionError, asyncio.IncompleteReadError):
        return
    finally:
        writer.close()


async def _serve(port: int, offer: str) -> None:
    server = await asyncio.start_server(partial(converse, pipelining=offer == "pipelining"), HOST, port, limit=2**24)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), sys.argv[2]))

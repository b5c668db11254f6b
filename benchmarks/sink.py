"""A mail server that throws everything away, in a process of its own.

Postfix's `smtp-sink` where it is installed; otherwise a small one of ours, started by `python sink.py PORT`. Ours is
slower, and a benchmark that used it says so.
"""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HOST = "127.0.0.1"
TRIES = 100


@dataclass(frozen=True, slots=True)
class Sink:
    """A running sink."""

    name: str
    port: int


@contextmanager
def running() -> Iterator[Sink]:
    """Start a sink, and end it afterwards."""
    port = _free_port()
    program = shutil.which("smtp-sink") or shutil.which("smtp-sink", path="/usr/sbin")
    if program:
        name, command = "Postfix smtp-sink", [program, "-u", "nobody", f"{HOST}:{port}", "1000"]
    else:
        name, command = "the sink of this script (smtp-sink is not installed)", [sys.executable, __file__, str(port)]
    process = subprocess.Popen(command, cwd=Path(__file__).parent)
    try:
        _wait_for(port)
        yield Sink(name, port)
    finally:
        process.terminate()
        process.wait(10)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int) -> None:
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


async def _converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say yes to everything."""
    writer.write(b"220 sink ESMTP\r\n")
    try:
        while line := await reader.readline():
            verb = line[:4].upper()
            if verb == b"DATA":
                writer.write(b"354 go on\r\n")
                await reader.readuntil(b"\r\n.\r\n")
            elif verb == b"EHLO":
                writer.write(b"250-sink\r\n250-PIPELINING\r\n")
            elif verb == b"QUIT":
                writer.write(b"221 bye\r\n")
                return
            writer.write(b"250 ok\r\n")
    except (ConnectionError, asyncio.IncompleteReadError):
        return
    finally:
        writer.close()


async def _serve(port: int) -> None:
    server = await asyncio.start_server(_converse, HOST, port, limit=2**24)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))

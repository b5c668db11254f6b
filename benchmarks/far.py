"""A wire of some length: a proxy in a process of its own that delays what passes, each way by half a round trip.

`python far.py PORT TO_PORT MILLISECONDS`. Only the time that bytes take is delayed, not how many are under way.
"""

from __future__ import annotations

import asyncio
import smtplib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from sink import HOST, free_port, wait_for

CHUNK = 2**18
ROUNDS = 100
ENVELOPE = b"MAIL FROM:<b+1@example.com>\r\nRCPT TO:<reader@example.org>\r\nDATA\r\n"


@contextmanager
def away(to_port: int, milliseconds: int) -> Iterator[int]:
    """Put a port so far away from us, and give the near end."""
    port = free_port()
    command = [sys.executable, __file__, str(port), str(to_port), str(milliseconds)]
    process = subprocess.Popen(command, cwd=Path(__file__).parent)
    try:
        wait_for(port)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def round_trip(port: int, connections: int, size: int) -> float:
    """Measure what a message of that size and its answer take, in seconds, over so many connections at once.

    The envelope of the next one rides along, as ours does; nothing else is done, so that this is the wire alone. Under
    load the proxy is a millisecond slower than for a single command.
    """
    line = b"x" * 70 + b"\r\n"
    message = line * (size // len(line)) + b".\r\n" + ENVELOPE
    seconds: list[float] = []
    threads = [threading.Thread(target=_talk, args=(port, message, seconds)) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return median(seconds)


def _talk(port: int, message: bytes, seconds: list[float]) -> None:
    with smtplib.SMTP(HOST, port, "localhost") as smtp:
        smtp.ehlo()
        sock = smtp.sock
        assert sock is not None  # noqa: S101 it is connected
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(ENVELOPE)
        _hear(sock, 3)
        for _ in range(ROUNDS):
            began = time.perf_counter()
            sock.sendall(message)
            _hear(sock, 4)
            seconds.append(time.perf_counter() - began)
        sock.sendall(b".\r\n")
        _hear(sock, 1)


def _hear(sock: socket.socket, replies: int) -> None:
    heard = 0
    while heard < replies:
        heard += sock.recv(CHUNK).count(b"\n")


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    """Read at once, and write each piece when it is due."""
    loop = asyncio.get_running_loop()
    waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def read() -> None:
        while data := await reader.read(CHUNK):
            waiting.put_nowait((loop.time() + delay, data))
        waiting.put_nowait((loop.time() + delay, b""))

    reading = asyncio.create_task(read())
    try:
        while True:
            due, data = await waiting.get()
            await asyncio.sleep(due - loop.time())
            if not data:
                break
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        reading.cancel()
        writer.close()


async def _serve(port: int, to_port: int, delay: float) -> None:
    async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(HOST, to_port)
        await asyncio.gather(_pass_on(reader, far_writer, delay), _pass_on(far_reader, writer, delay))

    server = await asyncio.start_server(join, HOST, port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]) / 2000))

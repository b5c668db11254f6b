"""A wire of some length: a proxy in a process of its own that delays what passes, each way by half a round trip.

`python far.py PORT TO_PORT MILLISECONDS`. Only the time that bytes take is delayed, not how many are under way.
"""

from __future__ import annotations

import asyncio
import smtplib
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from sink import HOST, free_port, wait_for

CHUNK = 2**18


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


def round_trip(port: int) -> float:
    """Measure what a command and its reply take, in seconds."""
    with smtplib.SMTP(HOST, port, "localhost") as smtp:
        smtp.ehlo()
        return median(_timed(smtp) for _ in range(9))


def _timed(smtp: smtplib.SMTP) -> float:
    began = time.perf_counter()
    smtp.noop()
    return time.perf_counter() - began


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

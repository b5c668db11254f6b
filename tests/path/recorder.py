"""A mail server in a process of its own that writes down what it was really given; it outlives every killed sender.

It offers PIPELINING, takes everything, and lets a seeded time pass before it answers a whole message. Its file is the
judge: a line is written when the final dot was read, before the answer, so it knows of every message that anybody may
have got.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import re
import select
from collections import Counter
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.path.home import FORK, PATIENCE

_DOT = b"\r\n.\r\n"
_MESSAGE_ID = re.compile(rb"^Message-ID:\s*(\S+)", re.IGNORECASE | re.MULTILINE)
_ADDRESS = re.compile(rb"<([^>]*)>")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """One message that arrived whole."""

    rcpt: str
    message_id: str
    digest: str
    """Of all its bytes: two with the same are the very same message."""
    connection: int


class Recorder:
    """The server as a test sees it; inside the block it listens on `port`."""

    def __init__(self, folder: Path, *, slowness: float = 0.0, pipelining: bool = True, seed: int = 0) -> None:
        """Take where to write; an answer comes after up to `slowness` seconds."""
        self.file = folder / "received"
        self.port = 0
        self.count = 0
        """Messages known to have arrived."""
        self._how = (slowness, pipelining, seed)

    def __enter__(self) -> Self:
        """Start it."""
        self._wire, theirs = FORK.Pipe(duplex=False)
        self._process = FORK.Process(target=serve, args=(str(self.file), *self._how, theirs), daemon=True)
        self._process.start()
        theirs.close()
        assert self._wire.poll(PATIENCE)
        self.port = self._wire.recv()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        self._process.kill()
        self._process.join()
        self._wire.close()

    def wait_for(self, goal: int, patience: float = PATIENCE) -> bool:
        """Wait until so many messages have come; tell whether they have."""
        while self.count < goal:
            ready, _, _ = select.select([self._wire], [], [], patience)
            if not ready:
                return False
            self.count += len(os.read(self._wire.fileno(), 65_536))
        return True

    def catch_up(self) -> int:
        """Count all that has come by now."""
        while select.select([self._wire], [], [], 0)[0]:
            self.count += len(os.read(self._wire.fileno(), 65_536))
        return self.count

    @property
    def mails(self) -> list[Mail]:
        """Every message, in order of arrival."""
        lines = self.file.read_text().splitlines() if self.file.exists() else []
        parts = [line.split("\t") for line in lines]
        return [Mail(rcpt=a, message_id=b, digest=c, connection=int(d)) for a, b, c, d in parts]

    @property
    def got(self) -> Counter[str]:
        """How many messages each address got."""
        return Counter(mail.rcpt for mail in self.mails)


def serve(file: str, slowness: float, pipelining: bool, seed: int, wire: Connection) -> None:  # noqa: FBT001 - a process's arguments have no names
    """Be the server, until it is killed."""
    asyncio.run(_serve(file, slowness, wire, pipelining=pipelining, chance=random.Random(seed)))


async def _serve(file: str, slowness: float, wire: Connection, *, pipelining: bool, chance: random.Random) -> None:
    log = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    numbers = iter(range(1, 1_000_000))

    def received(line: str) -> None:
        os.write(log, line.encode())
        os.write(wire.fileno(), b".")

    def session() -> _Session:
        return _Session(next(numbers), received, lambda: chance.uniform(0, slowness), pipelining=pipelining)

    server = await asyncio.get_running_loop().create_server(session, "127.0.0.1", 0)
    wire.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()


class _Session(asyncio.Protocol):
    """One connection: commands and contents as they come, however they are packed."""

    def __init__(self, number: int, received: object, pause: object, *, pipelining: bool) -> None:
        self._number = number
        self._received = received
        self._pause = pause
        self._pipelining = pipelining
        self._buffer = b""
        self._rcpt = ""
        self._in_content = False
        self._waits = False
        self._wire: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._wire = transport
        self._say("220 recorder.example.org ESMTP")

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._work()

    def _work(self) -> None:
        while not self._waits and (self._content() if self._in_content else self._command()):
            pass

    def _command(self) -> bool:
        line, separator, rest = self._buffer.partition(b"\r\n")
        if not separator:
            return False
        self._buffer = rest
        match line[:4].upper():
            case b"EHLO":
                offers = ["PIPELINING"] if self._pipelining else []
                for word in ["recorder.example.org", *offers, "8BITMIME", "ENHANCEDSTATUSCODES"]:
                    self._say(f"250-{word}")
                self._say("250 SIZE 33554432")
            case b"RCPT":
                address = _ADDRESS.search(line)
                self._rcpt = address[1].decode() if address else ""
                self._say("250 2.1.5 right")
            case b"DATA" if self._rcpt:
                self._in_content = True
                self._say("354 go on")
            case b"DATA":
                self._say("503 5.5.1 whom is it for?")
            case b"QUIT":
                self._say("221 2.0.0 good bye")
                if self._wire is not None:
                    self._wire.close()
            case _:
                self._say("250 2.0.0 right")
        return True

    def _content(self) -> bool:
        content, separator, rest = self._buffer.partition(_DOT)
        if not separator:
            return False
        self._buffer = rest
        self._in_content = False
        message_id = _MESSAGE_ID.search(content)
        words = (self._rcpt, message_id[1].decode() if message_id else "", hashlib.sha256(content).hexdigest())
        assert callable(self._received)
        assert callable(self._pause)
        self._received("\t".join([*words, str(self._number)]) + "\n")
        self._rcpt = ""
        pause = self._pause()
        if pause:
            self._waits = True
            asyncio.get_running_loop().call_later(pause, self._answer)
        else:
            self._say("250 2.0.0 taken")
        return True

    def _answer(self) -> None:
        self._waits = False
        self._say("250 2.0.0 taken")
        self._work()

    def _say(self, line: str) -> None:
        if self._wire is not None and not self._wire.is_closing():
            self._wire.write(line.encode() + b"\r\n")

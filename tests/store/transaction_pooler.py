"""A connection pooler in transaction mode in front of PostgreSQL: what PgBouncer does, and no more than a test needs.

Each client speaks to a backend from its first message to the end of its transaction; then the next client has it.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_SSL, _GSS, _CANCEL = 80877103, 80877104, 80877102
_IDLE = b"I"
_WAITS_FOR_ANSWER = {b"Q", b"S"}
"""Messages after which the server sends its own up to ReadyForQuery."""


class Stream:
    """One socket, message by message (PostgreSQL's protocol 3.0)."""

    def __init__(self, sock: socket.socket) -> None:
        """Take over a connected socket."""
        self.sock = sock
        self._file = sock.makefile("rb")

    def read(self, *, typed: bool = True) -> tuple[bytes, bytes]:
        """Return the type and the body of the next message; the first one of a client has no type."""
        kind = self._file.read(1) if typed else b""
        head = self._file.read(4)
        if len(head) < 4:
            raise ConnectionError
        return kind, self._file.read(struct.unpack("!I", head)[0] - 4)

    def write(self, kind: bytes, body: bytes) -> None:
        """Send a message."""
        self.sock.sendall(kind + struct.pack("!I", len(body) + 4) + body)

    def close(self) -> None:
        """Hang up."""
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self._file.close()
        self.sock.close()


class TransactionPooler:
    """Backends that idle, and the clients that take them by turns."""

    def __init__(self, server: Path) -> None:
        """Stand in front of the server with this socket."""
        self._server = server
        self._idle: list[Stream] = []
        self._streams: list[Stream] = []
        self._greeting: list[tuple[bytes, bytes]] = []
        self._lock = threading.Lock()

    def serve(self, sock: socket.socket) -> None:
        """Serve one client until it hangs up."""
        client = self._opened(sock)
        with suppress(OSError, ConnectionError):
            startup = self._start(client)
            backend = None
            while True:
                kind, body = client.read()
                if kind == b"X":
                    break
                if backend is None:
                    backend = self._take(startup)
                backend.write(kind, body)
                if kind in _WAITS_FOR_ANSWER and self._answer(backend, client) == _IDLE:
                    with self._lock:
                        self._idle.append(backend)
                    backend = None
        client.close()

    def close(self) -> None:
        """Hang up everywhere."""
        for stream in self._streams:
            stream.close()

    def _start(self, client: Stream) -> bytes:
        while True:
            _, startup = client.read(typed=False)
            if struct.unpack("!I", startup[:4])[0] not in {_SSL, _GSS}:
                break
            client.sock.sendall(b"N")
        backend = self._take(startup)
        with self._lock:
            self._idle.append(backend)
        for kind, body in self._greeting:
            # The number of the process is the pooler's own, as PgBouncer's is.
            client.write(kind, struct.pack("!II", 1, 1) if kind == b"K" else body)
        return startup

    def _take(self, startup: bytes) -> Stream:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(str(self._server))
        backend = self._opened(sock)
        backend.write(b"", startup)
        greeting = []
        while not greeting or greeting[-1][0] != b"Z":
            greeting.append(backend.read())
        self._greeting = greeting
        return backend

    def _answer(self, backend: Stream, client: Stream) -> bytes:
        while True:
            kind, body = backend.read()
            client.write(kind, body)
            if kind == b"Z":
                return body

    def _opened(self, sock: socket.socket) -> Stream:
        stream = Stream(sock)
        with self._lock:
            self._streams.append(stream)
        return stream


@contextmanager
def pooling(server: Path) -> Iterator[int]:
    """Run a pooler in front of a server's socket; give its port."""
    pooler = TransactionPooler(server)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            with suppress(OSError):
                while True:
                    sock, _ = listener.accept()
                    threading.Thread(target=pooler.serve, args=(sock,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    pooler.close()

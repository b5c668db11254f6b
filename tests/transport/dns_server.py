"""A DNS server of a test: on loopback, over UDP and TCP, with records that the test writes."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

Zone = Mapping[tuple[str, str], Sequence[str]]
"""Records by name and type, as they are written in a zone file."""


@dataclass
class DnsServer:
    """A server at work."""

    zone: Zone
    silent: bool = False
    """Answers nothing at all."""
    tcp_only: bool = False
    """Says over UDP that the answer is too long for it."""
    port: int = 0
    asked: list[tuple[str, str]] = field(default_factory=list)

    @property
    def address(self) -> str:
        """Return where it listens."""
        return f"127.0.0.1:{self.port}"

    def answer(self, wire: bytes, *, udp: bool) -> bytes:
        """Return the answer to a question."""
        query = dns.message.from_wire(wire)
        question = query.question[0]
        name, kind = question.name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        response = dns.message.make_response(query)
        if udp and self.tcp_only:
            response.flags |= dns.flags.TC
            return response.to_wire()
        records = self.zone.get((name, kind), ())
        if records:
            response.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, *records))
        elif not any(known == name or known.endswith(f".{name}") for known, _ in self.zone):
            response.set_rcode(dns.rcode.NXDOMAIN)
        return response.to_wire()


@contextmanager
def serving(server: DnsServer) -> Iterator[DnsServer]:
    """Run a server for as long as the block lasts."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
        tcp.bind(("127.0.0.1", 0))
        server.port = tcp.getsockname()[1]
        udp.bind(("127.0.0.1", server.port))
        tcp.listen()
        threads = [
            threading.Thread(target=target, args=(server, wire), daemon=True)
            for target, wire in ((_udp, udp), (_tcp, tcp))
        ]
        for thread in threads:
            thread.start()
        yield server
        udp.close()
        tcp.close()


def _udp(server: DnsServer, wire: socket.socket) -> None:
    while True:
        try:
            data, client = wire.recvfrom(4096)
            if not server.silent:
                wire.sendto(server.answer(data, udp=True), client)
        except OSError:
            return


def _tcp(server: DnsServer, listener: socket.socket) -> None:
    while True:
        try:
            wire, _ = listener.accept()
        except OSError:
            return
        with wire:
            if server.silent:
                continue
            head = wire.recv(2, socket.MSG_WAITALL)
            if len(head) < 2:
                continue
            data = wire.recv(struct.unpack("!H", head)[0], socket.MSG_WAITALL)
            response = server.answer(data, udp=False)
            wire.sendall(struct.pack("!H", len(response)) + response)

"""Looking names up in the DNS, with time limits.

In: a name and a type of record. Out: a `DnsAnswer`; nothing is raised, whatever a server says or does not. After two
look-ups without an answer the rest is not tried, since a person is waiting.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

import dns.exception
import dns.name
import dns.rdata
import dns.resolver
import dns.reversename
from dns.rdtypes.ANY.MX import MX
from dns.rdtypes.ANY.TXT import TXT

from newsletter.core.sender_dns import DnsAnswer, DnsStatus

LOOKUP_SECONDS = 4.0
TCP_SECONDS = 3.0
FAILURES_MAX = 2
DEFAULT_PORT = 53


class DnsLookup:
    """Asks the servers of the system, or others; each name is asked for once."""

    def __init__(self, servers: Sequence[str] = (), *, seconds: float = LOOKUP_SECONDS) -> None:
        """Take servers as `192.0.2.1` or `192.0.2.1:5353`; none are those of the system."""
        self._seconds = seconds
        self._failures_count = 0
        self._known: dict[tuple[str, str], DnsAnswer] = {}
        self._resolver: dns.resolver.Resolver | None = None
        try:
            self._resolver = dns.resolver.Resolver(configure=not servers)
        except dns.resolver.NoResolverConfiguration:
            return
        if servers:
            pairs = [_address_of(server) for server in servers]
            self._resolver.nameservers = [host for host, _ in pairs]
            self._resolver.nameserver_ports = dict(pairs)

    def __call__(self, name: str, kind: str) -> DnsAnswer:
        """Look a name up; for `PTR` it is an address."""
        key = (name.lower(), kind)
        if key not in self._known:
            self._known[key] = self._ask(name, kind)
        return self._known[key]

    def _ask(self, name: str, kind: str) -> DnsAnswer:
        if self._resolver is None or self._failures_count >= FAILURES_MAX:
            return DnsAnswer(status=DnsStatus.FAILED)
        try:
            question = dns.reversename.from_address(name) if kind == "PTR" else dns.name.from_text(name)
        except (dns.exception.DNSException, ValueError, UnicodeError):
            return DnsAnswer(status=DnsStatus.NO_NAME)
        # A network that drops UDP lets TCP through at times.
        for tcp, seconds in ((False, self._seconds), (True, min(TCP_SECONDS, self._seconds))):
            try:
                answer = self._resolver.resolve(question, kind, tcp=tcp, lifetime=seconds, search=False)
            except dns.resolver.NXDOMAIN:
                return DnsAnswer(status=DnsStatus.NO_NAME)
            except dns.resolver.NoAnswer:
                return DnsAnswer(status=DnsStatus.NOTHING)
            except (dns.exception.DNSException, OSError):
                continue
            return DnsAnswer(status=DnsStatus.FOUND, values=tuple(_text(record) for record in answer))
        self._failures_count += 1
        return DnsAnswer(status=DnsStatus.FAILED)


def _text(record: dns.rdata.Rdata) -> str:
    """Return a record as the rules read it: the strings of a TXT joined, the host of an MX, a name without its dot."""
    if isinstance(record, TXT):
        return b"".join(record.strings).decode("utf-8", "replace")
    if isinstance(record, MX):
        exchange = record.exchange.to_text(omit_final_dot=True)
        return exchange if exchange != "@" else "."
    return record.to_text().rstrip(".")


def _address_of(server: str) -> tuple[str, int]:
    host, _, port = server.rpartition(":") if server.count(":") == 1 else (server, "", "")
    return str(ip_address(host)), int(port or DEFAULT_PORT)

"""The network of a client, as far as it can be believed.

In: the connection, and what proxies say. Out: `192.0.2.0/24` or `2001:db8::/56`, never a whole address: that is what a
provider gives to one household or one office, and enough for a limit and for evidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from starlette.requests import Request

from newsletter.core.web_options import Network

IPV4_PREFIX_BITS = 24
IPV6_PREFIX_BITS = 56
UNKNOWN_NETWORK = "unknown"


def client_network(request: Request, trusted: Sequence[Network]) -> str:
    """Return the network of the client: the first address, from the right, that is no trusted proxy."""
    forwarded = ",".join(request.headers.getlist("X-Forwarded-For")).split(",")
    host = request.client.host if request.client else ""
    return network_of(host, [item.strip() for item in forwarded if item.strip()], trusted)


def network_of(host: str, forwarded: Sequence[str], trusted: Sequence[Network]) -> str:
    """Return the network behind a connection from `host`; `forwarded` holds one address a proxy, the nearest last."""
    address = _address(host)
    for text in reversed(forwarded):
        if address is None or not any(address in network for network in trusted):
            break
        further = _address(text)
        if further is None:
            break
        address = further
    if address is None:
        return UNKNOWN_NETWORK
    bits = IPV4_PREFIX_BITS if address.version == 4 else IPV6_PREFIX_BITS  # noqa: PLR2004 - the version of the protocol
    return str(ip_network((address, bits), strict=False))


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text.strip("[]"))
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address

"""Where a request comes from, as far as it can be believed."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from newsletter.web.client_address import network_of

LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
PROXIES = (*LOOPBACK, ip_network("10.0.0.0/8"))


@pytest.mark.parametrize(
    ("host", "forwarded", "trusted", "network"),
    [
        ("192.0.2.7", [], LOOPBACK, "192.0.2.0/24"),
        ("2001:db8:1:2ff::7", [], LOOPBACK, "2001:db8:1:200::/56"),
        ("::ffff:192.0.2.7", [], LOOPBACK, "192.0.2.0/24"),
        ("127.0.0.1", ["192.0.2.7"], LOOPBACK, "192.0.2.0/24"),
        # A stranger may write into the header whatever they like: only what a trusted proxy added counts.
        ("127.0.0.1", ["203.0.113.9", "192.0.2.7"], LOOPBACK, "192.0.2.0/24"),
        ("192.0.2.7", ["203.0.113.9"], LOOPBACK, "192.0.2.0/24"),
        ("127.0.0.1", ["192.0.2.7", "10.1.2.3"], PROXIES, "192.0.2.0/24"),
        ("127.0.0.1", ["192.0.2.7", "10.1.2.3"], LOOPBACK, "10.1.2.0/24"),
        ("127.0.0.1", ["<script>"], LOOPBACK, "127.0.0.0/24"),
        ("127.0.0.1", [], LOOPBACK, "127.0.0.0/24"),
        ("", ["192.0.2.7"], LOOPBACK, "unknown"),
    ],
)
def test_the_network_of_a_client(host: str, forwarded: list[str], trusted: tuple[object, ...], network: str) -> None:
    """The first address from the right that is no trusted proxy, and of it only the network."""
    assert network_of(host, forwarded, trusted) == network  # type: ignore[arg-type]

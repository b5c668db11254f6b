"""What tells one machine from another, on machines with systemd and in containers."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from newsletter.store.ledger import machine_id


def test_a_machine_with_systemd_has_its_id(tmp_path: Path) -> None:
    """The id of systemd stays when the host is renamed, so it comes first."""
    place = tmp_path / "machine-id"
    place.write_text("0123456789abcdef0123456789abcdef\n")
    assert machine_id(place) == "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize("content", [None, b"", b"uninitialized\n", b"\xff\xfe", b"0123456789ABCDEF0123456789abcdef"])
def test_a_container_is_known_by_its_host_name(tmp_path: Path, content: bytes | None) -> None:
    """What an image has instead of an id is the same in every container, and tells nothing."""
    place = tmp_path / "machine-id"
    if content is not None:
        place.write_bytes(content)
    assert machine_id(place) == socket.gethostname()

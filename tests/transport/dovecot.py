"""A real Dovecot for a test: its own configuration and Maildir in a folder, on two ports of this machine."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from newsletter.transport.imap import ImapAccount

USER, PASSWORD = "bounces", "a-password-of-thirty-two-letters"

MAIL_OWNER = pwd.getpwnam("nobody")
"""Owns the mails: Dovecot serves nobody's mail as root."""

CONFIG = """\
base_dir = {folder}/run
log_path = {folder}/log
protocols = imap
listen = 127.0.0.1
first_valid_uid = 1
first_valid_gid = 1
mail_location = maildir:{folder}/mail
mail_plugins =
mailbox_list_index = no
ssl = {ssl}
ssl_cert = <{folder}/cert.pem
ssl_key = <{folder}/key.pem
disable_plaintext_auth = no
imap_capability = {capability}
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}
}}
service anvil {{
  chroot =
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {tls_port}
    ssl = yes
  }}
}}
"""


def program() -> str | None:
    """Return the path of Dovecot; a user's search path may lack the place of servers."""
    return shutil.which("dovecot", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


needs_dovecot = pytest.mark.skipif(
    program() is None or os.geteuid() != 0, reason="needs the package dovecot-imapd, and root, who alone may start it"
)


@dataclass(frozen=True, slots=True)
class Dovecot:
    """A server at work."""

    folder: Path
    port: int
    tls_port: int

    @property
    def ca_file(self) -> str:
        """Return the file of the authority that signed its certificate."""
        return str(self.folder / "ca.pem")

    def account(self, **changed: object) -> ImapAccount:
        """Return the account of its one user, over TLS."""
        values: dict[str, object] = {
            "host": "localhost",
            "port": self.tls_port,
            "username": USER,
            "password": PASSWORD,
            "ca_file": self.ca_file,
            "timeout": 30.0,
        }
        return ImapAccount(**{**values, **changed})  # type: ignore[arg-type]

    def put(self, name: str, raw: bytes) -> None:
        """Put a mail into the mailbox; mails are numbered in the order in which the server first looks."""
        place = self.folder / "mail" / "new"
        (place / name).write_bytes(raw)
        os.chown(place / name, MAIL_OWNER.pw_uid, MAIL_OWNER.pw_gid)

    def names(self, folder: str = "") -> list[str]:
        """Return the mails of a folder, by the names they were put under."""
        place = self.folder / "mail" / (f".{folder}" if folder else "")
        files = [path for sub in ("new", "cur") for path in (place / sub).glob("*")] if place.exists() else []
        return sorted(path.name.partition(":")[0] for path in files)

    def settings(self) -> dict[str, str]:
        """Return the settings of a newsletter that reads this mailbox."""
        return {
            "IMAP_HOST": "localhost",
            "IMAP_PORT": str(self.tls_port),
            "IMAP_USERNAME": USER,
            "IMAP_PASSWORD": PASSWORD,
            "IMAP_CA_FILE": self.ca_file,
        }


def _free_ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]


@contextmanager
def running(*, capability: str = "", ssl: str = "yes") -> Iterator[Dovecot]:
    """Run a server for as long as the block lasts; `capability` replaces what it says it can do."""
    folder = Path(tempfile.mkdtemp(prefix="nl-dovecot-"))  # A short path: the name of a socket has 107 characters.
    folder.chmod(0o755)  # The package's own users answer the connections.
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(folder / "cert.pem", append=True)
    for name in ("mail", "mail/new", "mail/cur", "mail/tmp"):
        (folder / name).mkdir()
        os.chown(folder / name, MAIL_OWNER.pw_uid, MAIL_OWNER.pw_gid)
    port, tls_port = _free_ports()
    config = folder / "dovecot.conf"
    values = {
        "folder": folder,
        "uid": MAIL_OWNER.pw_uid,
        "gid": MAIL_OWNER.pw_gid,
        "password": PASSWORD,
        "port": port,
        "tls_port": tls_port,
        "capability": capability,
        "ssl": ssl,
    }
    config.write_text(CONFIG.format(**values))
    program_path = program()
    assert program_path is not None
    process = subprocess.Popen([program_path, "-F", "-c", str(config)], stderr=subprocess.PIPE)
    try:
        _wait(process, tls_port, folder)
        yield Dovecot(folder=folder, port=port, tls_port=tls_port)
    finally:
        process.terminate()
        process.wait(30)
        assert process.stderr is not None
        process.stderr.close()
        shutil.rmtree(folder, ignore_errors=True)


def _wait(process: subprocess.Popen[bytes], port: int, folder: Path) -> None:
    """Wait until it listens."""
    pause = threading.Event()
    for _ in range(300):
        if process.poll() is not None:
            assert process.stderr is not None
            pytest.fail(f"Dovecot ended: {process.stderr.read().decode()} {(folder / 'log').read_text()}")
        with socket.socket() as wire:
            if wire.connect_ex(("127.0.0.1", port)) == 0:
                return
        pause.wait(0.1)
    pytest.fail(f"Dovecot does not listen: {(folder / 'log').read_text()}")

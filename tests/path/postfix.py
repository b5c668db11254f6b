"""A real Postfix for a test: its own configuration, queue and mailboxes in a folder, on a port of this machine.

It knows no DNS, sends nothing on, and delivers into one Maildir per address; what lies there is the judge.
"""

from __future__ import annotations

import email
import os
import pwd
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import pytest

from tests.path.home import PATIENCE, free_port

BOUNCES = "bounces.example.org"
"""Whatever comes to this domain lies in the mailbox `bounces`."""

MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
inet_interfaces = loopback-only
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
myhostname = mail.example.net
mydestination =
alias_maps =
alias_database =
local_recipient_maps =
disable_dns_lookups = yes
default_transport = error:no mail leaves this test
relay_transport = error:no mail leaves this test
virtual_mailbox_domains = example.com, {bounces}
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = texthash:{folder}/etc/mailboxes
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
virtual_transport = virtual
smtpd_reject_unlisted_recipient = {refuse}
"""

MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""


def program() -> str | None:
    """Return the path of Postfix; a user's search path may lack the place of servers."""
    return shutil.which("postfix", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


needs_postfix = pytest.mark.skipif(
    program() is None or os.geteuid() != 0, reason="needs the package postfix, and root, who alone may start it"
)


@dataclass(frozen=True, kw_only=True)
class Postfix:
    """One that runs, or can."""

    folder: Path
    port: int

    def start(self) -> None:
        """Start it; when this returns it listens."""
        self._do("start")

    def stop(self) -> None:
        """Stop it at once; what it has taken stays in its queue."""
        self._do("stop")

    def mail(self, mailbox: str) -> list[bytes]:
        """Return what lies in a mailbox, with the line ends it came with."""
        return [
            path.read_bytes().replace(b"\n", b"\r\n")
            for path in sorted((self.folder / "mail").glob(f"{mailbox}/new/*"))
        ]

    def parsed(self, mailbox: str) -> list[EmailMessage]:
        """Return what lies in a mailbox as a mail program reads it."""
        mails = [email.message_from_bytes(raw, policy=default) for raw in self.mail(mailbox)]
        assert all(isinstance(one, EmailMessage) for one in mails)
        return mails  # type: ignore[return-value]

    @property
    def log(self) -> str:
        """What it says of itself."""
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def drain(self) -> None:
        """Wait until nothing is under way any more."""
        wait_for(lambda: not self._queued(), lambda: self.log[-3000:])

    def _queued(self) -> bool:
        places = (self.folder / "queue" / name for name in ("incoming", "active", "maildrop"))
        return any(path.is_file() for place in places for path in place.rglob("*"))

    def _do(self, verb: str) -> None:
        path = program()
        assert path is not None
        ran = subprocess.run(
            [path, "-c", str(self.folder / "etc"), verb], capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        assert ran.returncode == 0, f"{ran.stdout}{ran.stderr}{self.log}"


def wait_for(there: Callable[[], bool], story: Callable[[], str]) -> None:
    """Look until something is there."""
    never = threading.Event()
    end = time.monotonic() + PATIENCE
    while not there():
        assert time.monotonic() < end, story()
        never.wait(0.05)


@contextmanager
def running(mailboxes: Iterable[str], *, refuse_unknown: bool = True) -> Iterator[Postfix]:
    """Run one with a mailbox for each name at example.com; others are refused at once, or bounce later."""
    # Not below pytest's own folder: that one is closed to the users as which parts of Postfix run.
    folder = Path(tempfile.mkdtemp(prefix="nl-postfix-"))
    postfix = Postfix(folder=folder, port=free_port())
    nobody = pwd.getpwnam("nobody")
    values = {"folder": folder, "port": postfix.port, "bounces": BOUNCES, "uid": nobody.pw_uid, "gid": nobody.pw_gid}
    folder.chmod(0o755)
    for name, owner in (("etc", "root"), ("queue", "root"), ("data", "postfix"), ("mail", "nobody")):
        (folder / name).mkdir()
        shutil.chown(folder / name, owner)
    (folder / "etc/main.cf").write_text(MAIN.format(refuse="yes" if refuse_unknown else "no", **values))
    (folder / "etc/master.cf").write_text(MASTER.format(**values))
    lines = [f"{name}@example.com {name}/\n" for name in mailboxes]
    (folder / "etc/mailboxes").write_text("".join(lines) + f"@{BOUNCES} bounces/\n")
    try:
        postfix.start()
        yield postfix
    finally:
        if "is running" in _status(folder):
            postfix.stop()
        shutil.rmtree(folder)


def _status(folder: Path) -> str:
    path = program()
    assert path is not None
    ran = subprocess.run(
        [path, "-c", str(folder / "etc"), "status"], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    return f"{ran.stdout}{ran.stderr}" + ("is running" if ran.returncode == 0 else "")

"""A mailbox by IMAP: what lies in its folder, one mail after the other, and moving mails to other folders.

In: an account. Out: numbers and bytes of mails; nothing is deleted, and nothing is marked as read. The standard library
speaks the protocol: six commands are needed, and its buffer holds one answer at a time. RFC 3501, RFC 6851 (MOVE), RFC
4315 (UIDPLUS).
"""

from __future__ import annotations

import imaplib
import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from newsletter.errors import NotNow, Stop, words_of
from newsletter.transport.token_command import TokenCommand, TokenFailure

IMAP_SECONDS = 60.0
MAIL_BYTES_MAX = 1_000_001
"""Bytes of a mail that are fetched; one more than are read (`core/mail_parts.py`)."""

_UID = re.compile(rb"\bUID (\d+)\b")
_SIZE = re.compile(rb"\bRFC822\.SIZE (\d+)\b")
_EXISTS = re.compile(rb"\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImapAccount:
    """Where a mailbox is, and how to log in."""

    host: str
    port: int = 993
    security: str = "tls"
    """`tls`, `starttls`, or `none` for this machine alone."""
    username: str
    password: str = field(default="", repr=False)
    tokens: TokenCommand | None = None
    """Gives tokens for XOAUTH2, in place of a password."""
    ca_file: str = ""
    folder: str = "INBOX"
    timeout: float = IMAP_SECONDS

    @property
    def name(self) -> str:
        """Return what tells this mailbox from others."""
        return f"{self.username}@{self.host}:{self.port}/{self.folder}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMail:
    """One mail of the folder."""

    uid: int
    size: int
    """Bytes, as the server says."""


class ImapMailbox:
    """An open folder of a mailbox; as a context manager it logs out when the block is left."""

    def __init__(self, account: ImapAccount) -> None:
        """Connect, log in and open the folder; raises `NotNow` or, where an operator must act, `Stop`."""
        self._account = account
        self._client = _connect(account)
        try:
            _log_in(self._client, account)
            self._offers = _offers_of(self._client, account)
            self.count = self._select()
            self.validity = int(_text(self._client.response("UIDVALIDITY")[1] or []))
        except (imaplib.IMAP4.error, OSError, KeyError, ValueError) as error:
            self._hang_up()
            raise NotNow(f"The mailbox {account.name} cannot be opened: {_words(error)}.") from error
        except BaseException:
            self._hang_up()
            raise

    def first(self, limit: int) -> Sequence[StoredMail]:
        """Return the oldest mails of the folder."""
        if not self.count:
            return []
        rows = self._call("FETCH", f"1:{min(limit, self.count)}", "(UID RFC822.SIZE)")
        mails = []
        for row in rows:
            uid, size = _UID.search(row) if isinstance(row, bytes) else None, _SIZE.search(row or b"")
            if uid and size:
                mails.append(StoredMail(uid=int(uid[1]), size=int(size[1])))
        return mails

    def read(self, uid: int) -> bytes | None:
        """Return the beginning of a mail; None when it is there no more. It stays unread for others."""
        rows = self._call("UID", "FETCH", str(uid), f"(BODY.PEEK[]<0.{MAIL_BYTES_MAX}>)")
        return next((bytes(row[1]) for row in rows if isinstance(row, tuple)), None)

    def make_folder(self, name: str) -> None:
        """Make a folder where it is missing."""
        try:
            status, _ = self._client.create(_quoted(name))
            if status == "OK":
                self._client.subscribe(_quoted(name))
        except (imaplib.IMAP4.error, OSError) as error:
            raise NotNow(f"The folder {name} cannot be made: {_words(error)}.") from error

    def move(self, uids: Sequence[int], folder: str) -> None:
        """Move mails to a folder; those that are there no more are left out."""
        if not uids:
            return
        numbers = ",".join(map(str, uids))
        if "MOVE" in self._offers:
            self._call("UID", "MOVE", numbers, _quoted(folder))
        else:
            self._call("UID", "COPY", numbers, _quoted(folder))
            self._call("UID", "STORE", numbers, "+FLAGS.SILENT", r"(\Deleted)")
            self._call("UID", "EXPUNGE", numbers)
        # What the library keeps of each mail that went would grow with the folder.
        self._client.response("EXPUNGE")
        self._client.response("VANISHED")
        self.count = self._select()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Log out."""
        self._hang_up()

    def _select(self) -> int:
        """Open the folder, and return how many mails it holds."""
        status, data = self._client.select(_quoted(self._account.folder))
        if status != "OK":
            raise Stop(f"There is no folder {self._account.folder} in the mailbox: {_text(data)[:200]}.")
        match = _EXISTS.search(data[0] or b"")
        return int(match[0]) if match else 0

    def _call(self, command: str, *words: str) -> list[Any]:
        """Send a command, and return its untagged answers."""
        try:
            if command == "UID":
                status, data = self._client.uid(words[0], *words[1:])
            else:
                status, data = self._client.fetch(words[0], words[1])
        except (imaplib.IMAP4.error, OSError) as error:
            raise NotNow(f"The mailbox {self._account.name} does not answer: {_words(error)}.") from error
        if status != "OK":
            raise NotNow(f"The mailbox {self._account.name} refused {command} {words[0]}: {_text(data)[:200]}.")
        return list(data)

    def _hang_up(self) -> None:
        try:
            self._client.logout()
        except (imaplib.IMAP4.error, OSError):
            # The connection is gone already.
            return


def _connect(account: ImapAccount) -> imaplib.IMAP4:
    context = ssl.create_default_context(cafile=account.ca_file or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        if account.security == "tls":
            return imaplib.IMAP4_SSL(account.host, account.port, ssl_context=context, timeout=account.timeout)
        client = imaplib.IMAP4(account.host, account.port, timeout=account.timeout)
        if account.security == "starttls":
            client.starttls(context)
    except ssl.SSLCertVerificationError as error:
        raise Stop(f"The certificate of {account.host} is not valid: {error.verify_message}.") from error
    except (imaplib.IMAP4.error, OSError) as error:
        raise NotNow(f"{account.host}:{account.port} does not answer: {_words(error)}.") from error
    return client


def _log_in(client: imaplib.IMAP4, account: ImapAccount) -> None:
    try:
        if account.tokens is None:
            client.login(account.username, account.password)
            return
        login = f"user={account.username}\x01auth=Bearer {account.tokens.fetch()}\x01\x01".encode()
        # A refusal comes as a challenge, which an empty answer ends (Google, "OAuth 2.0 mechanism").
        client.authenticate("XOAUTH2", lambda challenge: b"" if challenge else login)
    except TokenFailure as failure:
        raise NotNow(f"There is no token for the mailbox: {failure}.") from failure
    except imaplib.IMAP4.abort:
        raise
    except imaplib.IMAP4.error as error:
        if account.tokens is not None and account.tokens.forget():
            raise NotNow(f"{account.host} refuses the token: {_words(error)}.") from error
        raise Stop(f"{account.host} refuses the login of {account.username}: {_words(error)}.") from error


def _offers_of(client: imaplib.IMAP4, account: ImapAccount) -> frozenset[str]:
    """Return what the server can do after the login, which may be more than before."""
    offers = frozenset(_text(client.capability()[1]).upper().split())
    if not offers & {"MOVE", "UIDPLUS"}:
        raise Stop(f"{account.host} can neither MOVE mails (RFC 6851) nor expunge single ones (UIDPLUS).")
    return offers


def _quoted(name: str) -> str:
    escaped = name.replace("\\", r"\\").replace('"', r"\"")
    return f'"{escaped}"'


def _text(data: Sequence[Any]) -> str:
    return " ".join(part.decode("utf-8", "replace") for part in data if isinstance(part, bytes))[:2_000]


def _words(error: Exception) -> str:
    first = error.args[0] if error.args else ""
    return (first.decode("utf-8", "replace") if isinstance(first, bytes) else words_of(error))[:200].rstrip(".")

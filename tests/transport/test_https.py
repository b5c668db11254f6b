"""Fetching one file over https: verified TLS, no redirect, a limit on its size."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import trustme

from newsletter.errors import NotNow
from newsletter.transport.https import FETCH_BYTES_MAX, fetch_https


class Handler(BaseHTTPRequestHandler):
    """Answers by the path."""

    def do_GET(self) -> None:
        """Give a file, too large a file, or a redirect."""
        body = b"x" * (FETCH_BYTES_MAX + 1) if self.path == "/large" else self.path.encode()
        self.send_response(302 if self.path == "/moved" else 200)
        self.send_header("Location", "/small")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_words: object) -> None:
        """Stay silent."""


@pytest.fixture
def authority() -> trustme.CA:
    """Return a certificate authority."""
    return trustme.CA()


@pytest.fixture
def server(authority: trustme.CA) -> Iterator[str]:
    """Run a server with a certificate for localhost; return its address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    httpd = HTTPServer(("127.0.0.1", 0), Handler)
    httpd.socket = context.wrap_socket(httpd.socket, server_side=True)
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"https://localhost:{httpd.server_port}"
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def test_a_file_is_fetched(server: str, authority: trustme.CA) -> None:
    """With its query, over TLS that is verified."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    assert fetch_https(f"{server}/small?a=b", context=context) == b"/small?a=b"


@pytest.mark.parametrize("path", ["/moved", "/large"])
def test_a_redirect_or_a_large_file_is_refused(server: str, authority: trustme.CA, path: str) -> None:
    """The address that was checked is the one that answers, and with little."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with pytest.raises(NotNow):
        fetch_https(server + path, context=context)


def test_a_certificate_of_nobody_is_refused(server: str) -> None:
    """Whoever sits in between is noticed."""
    with pytest.raises(NotNow, match="does not answer"):
        fetch_https(f"{server}/small")

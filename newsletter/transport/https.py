"""Fetching one small file over https, such as a certificate: verified TLS, no redirect, no proxy, a limit on its size.

In: an address whose host the caller has checked. Out: bytes, or `NotNow`. Used for addresses of Amazon SNS alone, which
`core/webhooks/ses.py` holds to the hosts of Amazon.
"""

from __future__ import annotations

import http.client
import ssl
from urllib.parse import urlsplit

from newsletter.errors import NotNow, words_of

FETCH_SECONDS = 5.0
FETCH_BYTES_MAX = 100_000
_OK_STATUS = 200


def fetch_https(url: str, *, context: ssl.SSLContext | None = None) -> bytes:
    """Fetch a file; raises `NotNow` when the server does not give it. `context` is for a test's own authority."""
    parts = urlsplit(url)
    connection = http.client.HTTPSConnection(
        parts.hostname or "", parts.port, timeout=FETCH_SECONDS, context=context or ssl.create_default_context()
    )
    try:
        connection.request("GET", f"{parts.path}?{parts.query}" if parts.query else parts.path)
        response = connection.getresponse()
        body = response.read(FETCH_BYTES_MAX + 1)
    except (OSError, http.client.HTTPException) as error:
        raise NotNow(f"{parts.hostname} does not answer ({words_of(error)}).") from error
    finally:
        connection.close()
    if response.status != _OK_STATUS or len(body) > FETCH_BYTES_MAX:
        raise NotNow(f"{parts.hostname} answered {response.status}, {len(body)} bytes.")
    return body

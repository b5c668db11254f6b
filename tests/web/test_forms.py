"""The fields of a form, whatever was sent."""

from __future__ import annotations

import asyncio

import pytest
from starlette.requests import Request

from newsletter.web.forms import read_fields


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/x-www-form-urlencoded", b"tip=a%00b&tip=c&empty=&=x"),
        ("application/json", b'{"tip": "a\\u0000b", "count": 1, "list": []}'),
        ("application/json", b'{"tip": "ab", "half": "\\ud800"}'),
    ],
)
def test_a_field_has_no_nul(content_type: str, body: bytes) -> None:
    """PostgreSQL stores no NUL, so no field has one: a question to it would fail as a whole."""

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    scope = {"type": "http", "method": "POST", "headers": [(b"content-type", content_type.encode())]}
    fields = asyncio.run(_read(Request(scope, receive)))
    assert fields["tip"] == "ab"
    assert fields.get("half", "?") == "?"


async def _read(request: Request) -> dict[str, str]:
    return dict(await read_fields(request))

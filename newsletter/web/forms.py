"""Forms: the fields of a request, however it was sent, and no more of it than a form can have.

In: a request. Out: fields by name, the first value of each. A body that is too long is cut, and what cannot be read is
no field; the page then asks for what is missing.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from urllib.parse import parse_qs

from starlette.requests import ClientDisconnect, Request

FORM_BYTES_MAX = 16 * 1024
FORM_SECONDS_MAX = 5.0
FORM_FIELDS_MAX = 20
JSON_TYPE = "application/json"


# Some programs take the full stop or the bracket behind a link for a part of it, and some proxies add a slash.
_TOKEN = re.compile(r"([A-Za-z0-9_-]+)\W{0,3}")


def path_token(request: Request) -> str:
    """Return the token in the path of a request; empty when there is none, which is no genuine one."""
    match = _TOKEN.fullmatch(request.path_params.get("token", ""))
    return match[1] if match else ""


def is_json(request: Request) -> bool:
    """Tell whether a request holds JSON and wants some back."""
    return request.headers.get("Content-Type", "").partition(";")[0].strip().lower() == JSON_TYPE


async def read_fields(request: Request) -> Mapping[str, str]:
    """Return the fields of a form, or of a JSON object of texts, without NUL, which PostgreSQL refuses.

    Half of a surrogate pair, which JSON can name, becomes a question mark: no database stores it.
    """
    texts = await _read_texts(request)
    return {name: value.replace("\0", "").encode("utf-8", "replace").decode() for name, value in texts.items()}


async def _read_texts(request: Request) -> Mapping[str, str]:
    body = await read_beginning(request, bytes_max=FORM_BYTES_MAX, seconds_max=FORM_SECONDS_MAX)
    try:
        text = body.decode()
        if not is_json(request):
            return {name: values[0] for name, values in parse_qs(text, max_num_fields=FORM_FIELDS_MAX).items()}
        values = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(values, dict):
        return {}
    return {str(name): value for name, value in values.items() if isinstance(value, str)}


async def read_beginning(request: Request, *, bytes_max: int, seconds_max: float) -> bytes:
    """Read no more than the beginning of a body; what is wrong with it is the business of the caller."""
    read = b""
    try:
        async with asyncio.timeout(seconds_max):
            async for part in request.stream():
                read += part[: bytes_max - len(read)]
                if len(read) >= bytes_max:
                    break
    except (ClientDisconnect, TimeoutError):
        # What was sent so far is all there is.
        pass
    return read

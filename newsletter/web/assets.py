"""Static files by the hash of their content: a browser keeps each one for ever, and a changed file has a new name.

In: the templates, an operator's own first. Out: the address of each file, and its bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from jinja2 import Environment
from jinja2.exceptions import TemplateNotFound
from starlette.requests import Request
from starlette.responses import Response

from newsletter.errors import InputError

ASSET_NAMES = ("site.css", "admin.css", "subscribe.js", "confirm.js")
ASSET_SECONDS = 31_536_000

_KINDS = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8"}


@dataclass(frozen=True, slots=True)
class _Asset:
    content: bytes
    kind: str


class Assets:
    """The files, read once when the service starts."""

    def __init__(self, templates: Environment, base_path: str) -> None:
        self._files: dict[str, _Asset] = {}
        urls: dict[str, str] = {}
        for name in ASSET_NAMES:
            content = _read(templates, f"web/{name}").encode()
            stem, _, extension = name.partition(".")
            hashed = f"{stem}.{hashlib.sha256(content).hexdigest()[:12]}.{extension}"
            self._files[hashed] = _Asset(content, _KINDS[extension])
            urls[stem if extension == "css" else name.replace(".", "_")] = f"{base_path}/static/{hashed}"
        self.urls: Mapping[str, str] = urls
        """Addresses by name: `site`, `admin`, `subscribe_js`, `confirm_js`."""

    async def __call__(self, request: Request) -> Response:
        """Answer one request."""
        asset = self._files.get(request.path_params["name"])
        if asset is None:
            return Response(status_code=404, headers={"Cache-Control": "no-store"})
        headers = {"Cache-Control": f"public, max-age={ASSET_SECONDS}, immutable", "X-Content-Type-Options": "nosniff"}
        return Response(asset.content, media_type=asset.kind, headers=headers)


def _read(templates: Environment, name: str) -> str:
    try:
        return templates.loader.get_source(templates, name)[0] if templates.loader else ""
    except TemplateNotFound as error:
        raise InputError(f"there is no template {error.name}; restore it") from error

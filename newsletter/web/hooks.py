"""The webhooks of mail providers: `POST /hooks/PROVIDER` tells what became of mails after the provider took them.

In: a request of a provider. Out: 200 once all of it is committed; 401 for a wrong signature or password, 400 for a body
that cannot be read, 413 for one that is too long, 503 with `Retry-After` while the database does not answer. A refused
request changes nothing, and of its content nothing is logged.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Protocol

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from newsletter.core.breaker import BreakerLimits
from newsletter.core.webhooks.base import (
    HookContent,
    HookRefusedError,
    HookRequest,
    HookUnreadableError,
    ProviderWebhook,
)
from newsletter.errors import NewsletterError
from newsletter.flows.take_webhook import take_webhook
from newsletter.web.responses import KIND_HEADERS, RETRY_SECONDS, ResponseKind
from newsletter.web.site import Area, Busy, Site

logger = logging.getLogger(__name__)

HOOK_BODY_SECONDS = 10.0
"""How long the body of a webhook may take to come."""
HOOK_BODIES_MAX = 8
"""Bodies that are held at a time: more of them would take memory before anybody knows who sent them."""


class HookParts(Protocol):
    """What the webhooks need; `wiring.Application` has it."""

    @property
    def webhooks(self) -> Mapping[str, ProviderWebhook]:
        """The webhooks in use, by the name of the provider."""
        ...

    @property
    def breaker_limits(self) -> BreakerLimits:
        """Where an edition is paused."""
        ...

    @property
    def confirm_subscription(self) -> Callable[[str], object]:
        """What confirms a subscription by fetching an address."""
        ...


class HookEndpoint:
    """The answers of `/hooks/{provider}`."""

    def __init__(self, site: Site, parts: HookParts) -> None:
        self._site = site
        self._webhooks = parts.webhooks
        self._limits = parts.breaker_limits
        self._confirm = parts.confirm_subscription
        self._bodies_count = 0

    async def __call__(self, request: Request) -> Response:
        """Answer one request."""
        webhook = self._webhooks.get(request.path_params.get("provider", ""))
        if webhook is None:
            return _answer(404, "There is no such webhook here.")
        if request.method != "POST":
            return Response(status_code=405, headers={**KIND_HEADERS[ResponseKind.ADMIN], "Allow": "POST"})
        if self._bodies_count >= HOOK_BODIES_MAX:
            return _busy()
        self._bodies_count += 1
        try:
            body = await _read_body(request, bytes_max=webhook.body_bytes_max)
            if body is None:
                return _answer(413, "The body is too long.")
            return await self._take(webhook, request, body)
        finally:
            self._bodies_count -= 1

    async def _take(self, webhook: ProviderWebhook, request: Request, body: bytes) -> Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        hook_request = HookRequest(headers=headers, body=body, at=self._site.clock.now())
        about = f"webhook of {webhook.provider}"
        try:
            return await self._site.ask(lambda: self._handle(webhook, hook_request), about=about, area=Area.WEBHOOK)
        except Busy:
            return _busy()

    def _handle(self, webhook: ProviderWebhook, request: HookRequest) -> Response:
        """Check, read and apply one request, in a thread of its own: a large body takes time to check."""
        try:
            webhook.verify(request)
        except (HookRefusedError, HookUnreadableError) as error:
            logger.warning("refused a request to the webhook of %s: %s", webhook.provider, error)
            return _answer(401, "The signature or the password is wrong.")
        try:
            content = webhook.read(request)
        except HookUnreadableError as error:
            logger.warning("unreadable request to the webhook of %s: %s", webhook.provider, error)
            return _answer(400, "The body is not what this provider documents.")
        if content.confirm_url:
            return self._confirmed(webhook, content)
        site = self._site
        outcome = take_webhook(
            site.unit, site.keyring, webhook.provider, content, limits=self._limits, now=site.clock.now()
        )
        actions = {action.value: count for action, count in outcome.actions.items()}
        if actions or outcome.repeated:
            logger.info("webhook of %s: %s, %d repeated", webhook.provider, actions, outcome.repeated)
        return _answer(200, "Done.")

    def _confirmed(self, webhook: ProviderWebhook, content: HookContent) -> Response:
        try:
            self._confirm(content.confirm_url)
        except NewsletterError as error:
            logger.error("the subscription of the webhook of %s is not confirmed: %s", webhook.provider, error)  # noqa: TRY400
            return _busy()
        logger.info("the subscription of the webhook of %s is confirmed", webhook.provider)
        return _answer(200, "Done.")


async def _read_body(request: Request, *, bytes_max: int) -> bytes | None:
    """Read a whole body; None when it is too long. One that does not come in time is taken as it is."""
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > bytes_max:
        return None
    body = bytearray()
    try:
        async with asyncio.timeout(HOOK_BODY_SECONDS):
            async for part in request.stream():
                body += part
                if len(body) > bytes_max:
                    return None
    except (ClientDisconnect, TimeoutError):
        # What is cut short fails its signature, or cannot be read.
        pass
    return bytes(body)


def _answer(status: int, text: str) -> Response:
    headers = dict(KIND_HEADERS[ResponseKind.ADMIN])
    if status == 401:  # noqa: PLR2004 - RFC 9110 section 15.5.2 wants the header beside it
        headers["WWW-Authenticate"] = "Basic"
    return PlainTextResponse(f"{text}\n", status_code=status, headers=headers)


def _busy() -> Response:
    headers = {**KIND_HEADERS[ResponseKind.ADMIN], "Retry-After": str(RETRY_SECONDS)}
    return PlainTextResponse("Please send it again.\n", status_code=503, headers=headers)

"""The JSON twin of the sign-up form: `POST /api/v1/signups`, for scripts on the operator's other sites.

In: a JSON object of texts, from a site that is listed. Out: JSON, the same for every address; errors as RFC 9457
problems. Scripts of these sites may read the answer (CORS).
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from newsletter.web.asking_browser import remember_browser
from newsletter.web.forms import is_json, read_fields
from newsletter.web.public.signup_intake import SignupIntake, TakenSignup
from newsletter.web.responses import KIND_HEADERS, RETRY_SECONDS, ResponseKind
from newsletter.web.site import Busy, Site

SIGNUPS_PATH = "/api/v1/signups"
SIGNUPS_METHODS = ("POST", "OPTIONS")
PROBLEM_TYPE = "application/problem+json"


class SignupApi:
    """The answers of `/api/v1/signups`."""

    def __init__(self, site: Site, intake: SignupIntake) -> None:
        self._site = site
        self._intake = intake

    async def __call__(self, request: Request) -> Response:
        """Answer one request."""
        if request.method == "OPTIONS":
            return Response(status_code=204, headers={**self._headers(request), "Allow": ", ".join(SIGNUPS_METHODS)})
        if not self._intake.listed_origin(request):
            return self._problem(request, HTTPStatus.FORBIDDEN, detail="This site is not one of the newsletter's own.")
        if not is_json(request):
            return self._problem(request, HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail="Send application/json.")
        fields = await read_fields(request)
        try:
            signup = await self._intake.take(request, fields)
        except Busy:
            headers = {"Retry-After": str(RETRY_SECONDS)}
            return self._problem(request, HTTPStatus.SERVICE_UNAVAILABLE, headers=headers)
        return self._answer(request, signup)

    def _answer(self, request: Request, signup: TakenSignup) -> Response:
        reply = signup.reply
        if reply is None:
            return self._problem(request, HTTPStatus.UNPROCESSABLE_ENTITY, mistakes=dict(signup.form.mistakes))
        if reply.needs_puzzle:
            return self._problem(request, HTTPStatus.TOO_MANY_REQUESTS, mistakes=dict(signup.form.mistakes))
        if reply.again_at is not None:
            wait = max(1, int((reply.again_at - self._site.clock.now()).total_seconds()))
            headers = {"Retry-After": str(wait)}
            again_at = reply.again_at.isoformat()
            return self._problem(request, HTTPStatus.TOO_MANY_REQUESTS, headers=headers, again_at=again_at)
        response = JSONResponse({"status": "sent"}, status_code=202, headers=self._headers(request))
        remember_browser(response, signup.browser)
        return response

    def _problem(
        self, request: Request, status: HTTPStatus, *, headers: Mapping[str, str] | None = None, **values: object
    ) -> Response:
        body = {"type": "about:blank", "title": status.phrase, "status": status.value, **values}
        every = {**self._headers(request), **(headers or {})}
        return JSONResponse(body, status_code=status.value, headers=every, media_type=PROBLEM_TYPE)

    def _headers(self, request: Request) -> Mapping[str, str]:
        headers = {**KIND_HEADERS[ResponseKind.SECRET], "Vary": "Origin"}
        origin = self._intake.listed_origin(request)
        if not origin:
            return headers
        return headers | {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Methods": "POST",
            "Access-Control-Allow-Headers": "Content-Type",
        }

"""A route of the admin area, and what a page gets: the request together with the person who makes it.

In: values of the guard. Out: what `frame.py` and the pages work with.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response

from newsletter.core.access import Needed, Role, Roster, Session

HOME_PATH = "/admin/"
SIGN_IN_PATH = "/admin/sign-in"
CONFIRM_PATH = "/admin/confirm-identity"


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminRequest:
    """A request, and the person who makes it."""

    request: Request
    now: datetime
    session: Session | None
    """None on the pages for signing in, where nobody need be signed in."""
    role: Role | None
    roster: Roster

    @property
    def person(self) -> Session:
        """Return the session; a page whose route needs a role always has one."""
        if self.session is None:
            raise LookupError(self.request.url.path)
        return self.session

    @property
    def who(self) -> str:
        """Return the person as the log names them."""
        return self.roster.name(self.person.email)


AdminHandler = Callable[[AdminRequest], Awaitable[Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminRoute:
    """One address of the admin area."""

    path: str
    """As Starlette writes it: `/admin/sessions/{id}/end`."""
    handler: AdminHandler
    needed: Needed
    methods: Sequence[str] = ("GET", "HEAD")

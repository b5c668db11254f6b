"""The sessions: where a person is signed in, and the buttons that end it.

In: a person who is signed in. Out: their sessions, and for an admin those of the others too.
"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.responses import Response

from newsletter.core.access import Flash, Needed, Role, Session, SessionId
from newsletter.core.cadence import describe_instant, describe_span
from newsletter.flows.end_session import end_other_sessions, end_session
from newsletter.store import session as sessions
from newsletter.web.admin.frame import AdminFrame
from newsletter.web.admin.route import AdminRequest, AdminRoute
from newsletter.web.pages import Page
from newsletter.web.site import Site
from newsletter.wording import plural

SESSIONS_PATH = "/admin/sessions"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRow:
    """One session as the page shows it."""

    id: int
    who: str
    own: bool
    current: bool
    browser: str
    details: str


class SessionPages:
    """The answers of `/admin/sessions`."""

    def __init__(self, site: Site, frame: AdminFrame) -> None:
        self._site = site
        self._frame = frame
        self._draw(None, [])

    @property
    def routes(self) -> tuple[AdminRoute, ...]:
        """Return the routes of these pages."""
        end_one, end_others = f"{SESSIONS_PATH}/{{id:int}}/end", f"{SESSIONS_PATH}/end-others"
        of_other = f"{SESSIONS_PATH}/{{id:int}}/end-of-other"
        return (
            AdminRoute(path=SESSIONS_PATH, handler=self.show, needed=Needed.EDITOR),
            AdminRoute(path=end_one, handler=self.end, needed=Needed.EDITOR, methods=("POST",)),
            AdminRoute(path=of_other, handler=self.end_of_other, needed=Needed.RECENT_ADMIN, methods=("POST",)),
            AdminRoute(path=end_others, handler=self.end_others, needed=Needed.EDITOR, methods=("POST",)),
        )

    async def show(self, asked: AdminRequest) -> Response:
        """Show the sessions that last."""
        unit, email = self._site.unit, "" if asked.role is Role.ADMIN else asked.person.email

        def question() -> list[Session]:
            with unit.read() as tx:
                return [
                    known for known in sessions.live(tx, email=email, now=asked.now) if asked.roster.role(known.email)
                ]

        rows = [self._row(session, asked) for session in await self._frame.read(question, about="sessions")]
        return self._draw(asked, sorted(rows, key=lambda row: (not row.current, not row.own))).response(200)

    async def end(self, asked: AdminRequest) -> Response:
        """End one session of the person."""
        return await self._end(asked, others=False)

    async def end_of_other(self, asked: AdminRequest) -> Response:
        """End one session of anybody."""
        return await self._end(asked, others=True)

    async def _end(self, asked: AdminRequest, *, others: bool) -> Response:
        unit, session_id = self._site.unit, SessionId(asked.request.path_params["id"])

        def flow() -> Flash:
            session = end_session(unit, session_id, by=asked.person, others=others, roster=asked.roster, now=asked.now)
            return Flash(text=self._frame.words("sessions", "ended", browser=session.browser))

        return await self._frame.change(asked, flow, about=f"end of session {session_id}", back=SESSIONS_PATH)

    async def end_others(self, asked: AdminRequest) -> Response:
        """End every session of the person but this one."""
        unit = self._site.unit

        def flow() -> Flash:
            count = end_other_sessions(unit, by=asked.person, roster=asked.roster, now=asked.now)
            return Flash(text=self._frame.words("sessions", "ended_others", sessions=plural(count, "session")))

        return await self._frame.change(asked, flow, about="end of other sessions", back=SESSIONS_PATH)

    def _draw(self, asked: AdminRequest | None, rows: list[SessionRow]) -> Page:
        words = self._frame.section("sessions")
        others = any(row.own and not row.current for row in rows)
        return self._frame.page("sessions", asked, words=words, rows=rows, others=others, path=SESSIONS_PATH)

    def _row(self, session: Session, asked: AdminRequest) -> SessionRow:
        frame, idle = self._frame, asked.now - session.seen_at
        seen = "seen_now" if idle.total_seconds() < 120 else "seen"  # noqa: PLR2004 - two minutes
        details = frame.words(
            "sessions",
            seen,
            since=describe_instant(session.created_at, frame.zone),
            method=session.method.words,
            network=session.network,
            span=describe_span(idle),
        )
        return SessionRow(
            id=session.id,
            who=asked.roster.name(session.email),
            own=session.email == asked.person.email,
            current=session.id == asked.person.id,
            browser=session.browser,
            details=details,
        )

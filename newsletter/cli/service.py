"""`newsletter run`: the service. Scheduler, sender and web part in one process, or one of them alone."""

from __future__ import annotations

import logging
import threading
from contextlib import ExitStack
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from newsletter.cli.context import state
from newsletter.cli.sending import stopping
from newsletter.errors import InputError, NewsletterError, NotNow, Stop
from newsletter.wording import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.types import ASGIApp, Receive, Scope, Send

    from newsletter.cli.supervisor import Supervisor
    from newsletter.sending.sender_loop import SenderLoop
    from newsletter.web.admin.tools import AdminTools
    from newsletter.wiring import Application

logger = logging.getLogger(__name__)

SERVICE_PARTS = ("scheduler", "sender", "web")

TICK_SECONDS = 5.0
"""Between two looks at what is due."""

MAILBOX_STOP_SECONDS = 10.0
"""How long the end waits for the reader of the mailbox for bounces."""

STOP_CHECK_SECONDS = 1.0
"""Between two looks at whether every part is alive."""


REQUEST_CHECK_SECONDS = 1.0
"""Between two looks at sign-ups and sign-ins: a mail that a person waits for goes out within two seconds."""
REQUEST_IDLE_SECONDS = 10.0
"""Between two looks while no request comes."""


def run(
    context: typer.Context,
    only: Annotated[str, typer.Option("--only", metavar="PART", help="Run one part: web, sender or scheduler.")] = "",
) -> None:
    """Run the service until it is stopped.

    It freezes and sends what is due, and serves the opt-out page.
    """
    from newsletter.cli.admin_tools import admin_tools
    from newsletter.cli.logs import configure
    from newsletter.cli.supervisor import Supervisor

    if only and only not in SERVICE_PARTS:
        raise InputError(f"{only!r} is no part of the service; one of {', '.join(SERVICE_PARTS)}.")
    application = state(context).app
    configure(application.settings.log_format, addresses=application.settings.log_addresses)
    supervisor = Supervisor(state(context).environ, clock=application.clock, least_patience=3 * TICK_SECONDS)
    stop = threading.Event()
    with stopping(stop):
        # The database and the port first: what cannot work is told before the service claims to run.
        _refuse_beside_original(application)
        if not only:
            _refuse_beside_service(application)
        _try_to_write(application)
        unanswered = run_parts(
            application,
            (only,) if only else SERVICE_PARTS,
            stop=stop,
            supervisor=supervisor,
            tools=admin_tools(state(context)),
        )
    if unanswered:
        raise NewsletterError(
            f"{plural(unanswered, 'message')} got no answer before the time to stop was over, and may have arrived: "
            "`newsletter edition resolve last` decides."
        )
    _note_end(application)
    logger.info("stopped")


def run_parts(
    application: Application,
    parts: Sequence[str],
    *,
    stop: threading.Event,
    supervisor: Supervisor,
    tools: AdminTools | None = None,
    on_ready: Callable[[], None] = lambda: None,
) -> int:
    """Run these parts of the service until the stop; return how many messages got no answer before the end."""
    unanswered = 0
    with ExitStack() as stack:
        alive: dict[str, Callable[[], bool]] = {}
        if "web" in parts:
            request_seen = threading.Event()
            alive["web"] = _start_web(application, tools, stop, stack, request_seen)
            if application.web_options.public or application.web_options.admin:
                alive["processor of requests"] = _start_requests(application, stop, stack, request_seen)
        loop = _start_sender(application, stop, stack, alive) if "sender" in parts else None
        if "scheduler" in parts:
            alive["scheduler"] = _start_scheduler(application, stop, stack, supervisor)
            _start_mailbox(application, stop, stack)
        _announce(application, parts)
        supervisor.ready()
        on_ready()
        _look_after(alive, stop, supervisor)
        supervisor.stopping()
        logger.info("stopping: messages in flight are finished first")
        if loop is not None:
            loop.join()
            unanswered = loop.work.unanswered
    return unanswered


def _note_end(application: Application) -> None:
    """Leave word that this process ended in order, so that no view shows it alive for another minute."""
    from newsletter.store import heartbeat as heartbeats

    try:
        with application.unit.write() as tx:
            heartbeats.stop(tx, application.process, now=application.clock.now())
    except NewsletterError as error:
        logger.warning("%s", error)


def _refuse_beside_original(application: Application) -> None:
    from newsletter.flows.adopt import ledger_gap

    gap = ledger_gap(application.unit, application.home)
    if gap is not None and gap.beside:
        raise Stop(gap.words(application.cadence.zone))


def _refuse_beside_service(application: Application) -> None:
    """Refuse a second service on SQLite, where one process sends; a sender alone may wait for the end of the first.

    The lock is free as soon as a process is killed, whatever its last heartbeat says; `edition send`, which may hold it
    too, gives none.
    """
    from newsletter.core.monitor import ServicePart
    from newsletter.store.database import sender_lock, sqlite_path
    from newsletter.store.snapshot import part_states

    if sqlite_path(application.engine) is None:
        return
    try:
        with sender_lock(application.engine):
            return
    except NotNow:
        with application.unit.read() as tx:
            sender = part_states(tx, application.clock.now())[ServicePart.SENDER]
    if sender.alive and sender.process != application.process:
        raise Stop(
            f"The service runs already, as process {sender.process}; `newsletter status` shows what it does. "
            "Stop that process before you start another service; `newsletter run --only sender` waits for its end."
        )


def _try_to_write(application: Application) -> None:
    """Write without changing anything: a file of another user may be there to be read, and sends no mail."""
    from newsletter.store import installation as installations

    try:
        with application.unit.write() as tx:
            installations.try_to_write(tx)
    except NotNow as busy:
        logger.warning("%s", busy)


def _look_after(alive: dict[str, Callable[[], bool]], stop: threading.Event, supervisor: Supervisor) -> None:
    """Wait for the stop, and let the supervisor know as long as all is well."""
    while not stop.wait(STOP_CHECK_SECONDS):
        for name, lives in alive.items():
            if not lives():
                stop.set()
                raise Stop(f"The {name} has died; see the log. Start the service again.")
        supervisor.ping()


class _Loop:
    """The thread of the sender."""

    def __init__(self, work: SenderLoop) -> None:
        self.work = work
        self._thread = threading.Thread(target=_as_part("sender", work.run), name="sender", daemon=True)
        self._thread.start()
        self.is_alive = self._thread.is_alive
        self.join = self._thread.join


def _start_web(
    application: Application,
    tools: AdminTools | None,
    stop: threading.Event,
    stack: ExitStack,
    request_seen: threading.Event,
) -> Callable[[], bool]:
    from structlog.contextvars import bound_contextvars

    from newsletter.web.app import create_app
    from newsletter.web.serve import serve

    settings = application.settings
    token = settings.metrics_token.get_secret_value() if settings.metrics_token else ""
    app = _noticing(create_app(application, metrics_token=token, tools=tools), request_seen)
    with bound_contextvars(part="web"):
        server = stack.enter_context(serve(app, settings.web_host, settings.web_port, stop=stop))
    return lambda: server.alive


def _noticing(app: ASGIApp, request_seen: threading.Event) -> ASGIApp:
    """Set the event after each request, since it may have left something to decide."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        finally:
            request_seen.set()

    return answer


def _start_requests(
    application: Application, stop: threading.Event, stack: ExitStack, request_seen: threading.Event
) -> Callable[[], bool]:
    """Decide about requests of readers, and requests to sign in, within a second, beside the pages that take them.

    While no request comes, it looks rarely: another process may have taken one, or ended before it was decided.
    """
    from newsletter.schedule.trouble_log import TroubleLog

    options = application.web_options
    processors = [
        *(application.reader_processors if options.public else ()),
        *((application.sign_in_processor,) if options.admin else ()),
    ]

    def decide() -> None:
        jobs = [(processor, TroubleLog(logger, "the work on requests of the pages")) for processor in processors]
        while not stop.wait(REQUEST_CHECK_SECONDS):
            request_seen.clear()
            for processor, trouble_log in jobs:
                try:
                    processor.work(application.clock.now())
                except NewsletterError as error:
                    trouble_log.failed(error)
                except Exception:
                    logger.exception("requests on pages: a bug")
                else:
                    trouble_log.succeeded()
            request_seen.wait(REQUEST_IDLE_SECONDS)

    thread = threading.Thread(target=_as_part("web", decide), name="requests", daemon=True)
    thread.start()
    stack.callback(thread.join)
    # Called before the join: a stop need not wait for the next look.
    stack.callback(request_seen.set)
    return thread.is_alive


def _start_sender(
    application: Application, stop: threading.Event, stack: ExitStack, alive: dict[str, Callable[[], bool]]
) -> _Loop:
    watch = application.monitor()

    def listen() -> None:
        watch.listen(application.clock.now())

    loop = _Loop(application.sender_loop(stop, also=listen))
    stack.callback(loop.join)
    alive["sender"] = loop.is_alive
    return loop


def _start_scheduler(
    application: Application, stop: threading.Event, stack: ExitStack, supervisor: Supervisor
) -> Callable[[], bool]:
    from newsletter.schedule.scheduler import start_scheduler

    tick = application.ticker.tick

    def ticking() -> None:
        trouble = ""
        try:
            tick()
            if supervisor.reads_status:
                supervisor.status(_status(application))
            if supervisor.expects_pings:
                trouble = _silent_sender(application)
        finally:
            supervisor.ticked(trouble=trouble)

    supervisor.expect_ticks()
    scheduler = stack.enter_context(
        start_scheduler(_as_part("scheduler", ticking), every_seconds=TICK_SECONDS, stop=stop)
    )
    return lambda: scheduler.alive


def _start_mailbox(application: Application, stop: threading.Event, stack: ExitStack) -> None:
    """Read the mailbox for bounces every few minutes, where there is one."""
    reader, minutes = application.mailbox_reader, application.settings.imap_minutes
    if reader is None or not minutes:
        return
    every = timedelta(minutes=minutes)
    thread = threading.Thread(
        target=_as_part("mailbox", lambda: reader.run(stop, every=every)), name="mailbox", daemon=True
    )
    thread.start()
    # A server that does not answer must not hold up the end: what is judged is committed, and moved the next time.
    stack.callback(thread.join, MAILBOX_STOP_SECONDS)


def _silent_sender(application: Application) -> str:
    """Say that the sender of this process hangs; that of another one has a supervisor of its own."""
    from newsletter.core.liveness import HUNG_AFTER
    from newsletter.core.monitor import ServicePart
    from newsletter.store import heartbeat as heartbeats

    with application.unit.read() as tx:
        beat = heartbeats.heartbeats(tx).get(ServicePart.SENDER)
    if beat is None or beat.process != application.process:
        return ""
    silence = application.clock.now() - beat.at
    return f"the sender was last alive {silence.total_seconds():.0f} s ago" if silence > HUNG_AFTER else ""


def _as_part(part: str, work: Callable[[], object]) -> Callable[[], None]:
    """Let every line of the log that this work writes name its part of the service."""
    from structlog.contextvars import bound_contextvars

    def named() -> None:
        with bound_contextvars(part=part):
            work()

    return named


def _status(application: Application) -> str:
    """Return what the service is at, in a line."""
    from newsletter.core.cadence import describe_slot
    from newsletter.flows.send_now import early_slot_in
    from newsletter.store import edition as editions
    from newsletter.store.reader_zone import with_readers

    moment = application.clock.now()
    with application.unit.read() as tx:
        running = [item.name for item in editions.unfinished(tx)]
        cadence = with_readers(tx, application.cadence)
        following = early_slot_in(tx, cadence, None, now=moment)
    now = f"sending {', '.join(running)}; " if running else ""
    return f"{now}next date {describe_slot(following, application.cadence.zone)}"


def _announce(application: Application, parts: Sequence[str]) -> None:
    from newsletter.core.cadence import describe_slot
    from newsletter.flows.send_now import early_slot

    settings = application.settings
    logger.info("running: %s (process %s)", ", ".join(parts), application.process)
    if "scheduler" in parts:
        following = early_slot(application.unit, application.cadence, None, now=application.clock.now())
        logger.info("the next date is %s", describe_slot(following, application.cadence.zone))
    if "sender" in parts:
        logger.info("mail goes through %s:%s", settings.smtp_host, settings.smtp_port)
    if not settings.admin_emails:
        logger.warning("NEWSLETTER_ADMIN_EMAILS is not set: proofs, reports and alerts are not mailed")
    if "web" in parts:
        logger.info("listening on %s:%s for %s", settings.web_host, settings.web_port, settings.base_url)

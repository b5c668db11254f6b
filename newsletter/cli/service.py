"""`newsletter run`: the service. Bell, sender and web part in one process, or one of them alone."""

from __future__ import annotations

import logging
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from newsletter.cli.context import state
from newsletter.cli.sending import stopping
from newsletter.errors import InputError, NewsletterError, Stop

if TYPE_CHECKING:
    from collections.abc import Callable

    from newsletter.engine.service import SenderLoop
    from newsletter.wiring import Application

logger = logging.getLogger(__name__)

PARTS = ("bell", "sender", "web")

TICK_SECONDS = 5.0
"""Between two looks at what is due."""

LOOK_SECONDS = 1.0
"""Between two looks at whether every part is alive."""


def run(
    context: typer.Context,
    only: Annotated[str, typer.Option("--only", metavar="PART", help="Run one part: web, sender or bell.")] = "",
) -> None:
    """Run the service: freeze and send what is due, and serve the opt-out page, until it is stopped."""
    from newsletter.cli.logs import configure

    if only and only not in PARTS:
        raise InputError(f"{only!r} is no part of the service; one of {', '.join(PARTS)}.")
    application = state(context).app
    configure(application.settings.log_format)
    stop = threading.Event()
    unanswered = 0
    with stopping(stop), ExitStack() as stack:
        parts = PARTS if not only else (only,)
        alive: dict[str, Callable[[], bool]] = {}
        # Opening the database and the port first: what cannot work is told before the service claims to run.
        application.unit  # noqa: B018
        if "web" in parts:
            alive["web"] = _start_web(application, stop, stack)
        loop = _start_sender(application, stop, stack, alive) if "sender" in parts else None
        if "bell" in parts:
            alive["bell"] = _start_bell(application, stop, stack)
        _announce(application, parts)
        while not stop.wait(LOOK_SECONDS):
            for name, lives in alive.items():
                if not lives():
                    stop.set()
                    raise Stop(f"The {name} has died; see the log. Start the service again.")
        logger.info("stopping: messages in flight are finished first")
        if loop is not None:
            loop.join()
            unanswered = loop.work.unanswered
    if unanswered:
        raise NewsletterError(f"{unanswered} messages got no answer before the time to stop was over: uncertain.")
    logger.info("stopped")


class _Loop:
    """The thread of the sender."""

    def __init__(self, work: SenderLoop) -> None:
        self.work = work
        self._thread = threading.Thread(target=work.run, name="sender", daemon=True)
        self._thread.start()
        self.is_alive = self._thread.is_alive
        self.join = self._thread.join


def _start_web(application: Application, stop: threading.Event, stack: ExitStack) -> Callable[[], bool]:
    from newsletter.web.app import create_app
    from newsletter.web.serve import serve

    settings = application.settings
    server = stack.enter_context(serve(create_app(application), settings.web_host, settings.web_port, stop=stop))
    return lambda: server.alive


def _start_sender(
    application: Application, stop: threading.Event, stack: ExitStack, alive: dict[str, Callable[[], bool]]
) -> _Loop:
    from newsletter.engine.service import SenderLoop

    watch = application.watch()

    def listen() -> None:
        watch.listen(application.clock.now())

    loop = _Loop(SenderLoop(sender=application.sender(), lock=application.sender_lock, stop=stop, also=listen))
    stack.callback(loop.join)
    alive["sender"] = loop.is_alive
    return loop


def _start_bell(application: Application, stop: threading.Event, stack: ExitStack) -> Callable[[], bool]:
    from newsletter.schedule.bell import ring

    bell = stack.enter_context(ring(application.bell.tick, every_seconds=TICK_SECONDS, stop=stop))
    return lambda: bell.alive


def _announce(application: Application, parts: tuple[str, ...]) -> None:
    from newsletter.core.cadence import describe_instant
    from newsletter.flows.send_now import early_slot

    settings = application.settings
    logger.info("running: %s (process %s)", ", ".join(parts), application.process)
    if "bell" in parts:
        following = early_slot(application.unit, application.cadence, None, now=application.clock.now())
        logger.info("the next slot is %s", describe_instant(following.sends_at, application.cadence.zone))
    if "sender" in parts:
        logger.info("mail goes through %s:%s", settings.smtp_host, settings.smtp_port)
    if not settings.admin_emails:
        logger.warning("NEWSLETTER_ADMIN_EMAILS is not set: proofs, reports and alerts are mailed to nobody")
    if "web" in parts:
        logger.info("listening on %s:%s for %s", settings.web_host, settings.web_port, settings.base_url)

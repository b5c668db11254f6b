"""The dispatch, on PostgreSQL: a worker of Procrastinate in the sending process, which hands its jobs to the sender.

In: jobs, one for each block, spread by the queue over however many processes listen. Out: calls to the sender of this
one (`sending/wakeups.py`). It sends nothing and decides nothing: without it the sender finds the same work, later.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from procrastinate import App, BaseRetryStrategy, PsycopgConnector, RetryDecision
from procrastinate.jobs import Job

from newsletter.core.edition import EditionId
from newsletter.errors import NewsletterError
from newsletter.sending.wakeups import RetryLater, Wakeups
from newsletter.store.block import BlockId
from newsletter.store.job_schema import SCHEMA
from newsletter.store.jobs import QUEUE, SEND_BLOCK

logger = logging.getLogger(__name__)

CONCURRENT_JOBS_MAX = 2
"""Jobs at a time: the next block is there while the last messages of one are answered."""

STOP_POLL_SECONDS = 0.5
"""How soon a stop or a rest of the sender is seen."""
AGAIN_SECONDS = 5.0
"""Seconds until a queue that failed is read again."""
END_SECONDS = 10.0
"""How long the queue may take to say good-bye."""

PUT_IN_ORDER = "put_in_order"


class JobRetry(BaseRetryStrategy):
    """When a job comes again: at the time it names itself, or in a moment when the database was in trouble."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:  # noqa: ARG002 - the library's signature
        """Decide; an unknown error ends the job, and the block waits for the next pass."""
        if isinstance(exception, RetryLater):
            return RetryDecision(retry_at=exception.at)
        if isinstance(exception, NewsletterError):
            return RetryDecision(retry_in={"seconds": int(AGAIN_SECONDS)})
        return None


@dataclass(kw_only=True)
class JobWorker:
    """The listening side of one sending process."""

    wakeups: Wakeups
    database: Mapping[str, Any]
    """How the driver connects to the database."""
    process: str
    _over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def listening(self, stop: threading.Event) -> Iterator[None]:
        """Take jobs while this is entered; after a stop no new ones."""
        # Procrastinate logs each job, where the sender logs outcomes; `_run` logs what ends it, in one line.
        logging.getLogger("procrastinate").setLevel(logging.CRITICAL)
        logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)
        self._over.clear()
        self.wakeups.begin()
        thread = threading.Thread(target=self._run, args=(stop,), name="jobs", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            self.wakeups.end()
            thread.join(END_SECONDS)

    def _run(self, stop: threading.Event) -> None:
        try:
            asyncio.run(self._listen(stop))
        except Exception:
            logger.exception("no jobs are heard of any more; the sender looks for itself")
        finally:
            self.wakeups.listening = False
            self.wakeups.wake()

    async def _listen(self, stop: threading.Event) -> None:
        asyncio.get_running_loop().set_exception_handler(_tell)
        while not self._over.is_set() and not stop.is_set():
            if self.wakeups.resting:
                await asyncio.sleep(STOP_POLL_SECONDS)
                continue
            try:
                async with self._app(stop).open_async() as app:
                    await self._take_jobs(app, stop)
            except Exception as error:  # noqa: BLE001 - of any kind: rows are the truth, and the queue is read again
                logger.warning("the job queue does not answer (%s); the sender looks for itself", _first_line(error))
                await self._pause(stop)
            finally:
                self.wakeups.listening = False
        # The stop is heard here, since the sender waits for calls.
        self.wakeups.wake()

    async def _pause(self, stop: threading.Event) -> None:
        left = AGAIN_SECONDS
        while left > 0 and not self._over.is_set() and not stop.is_set():
            await asyncio.sleep(STOP_POLL_SECONDS)
            left -= STOP_POLL_SECONDS

    async def _take_jobs(self, app: App, stop: threading.Event) -> None:
        await app.configure_task(PUT_IN_ORDER, queue=QUEUE, queueing_lock=None).defer_async(timestamp=0)
        working = asyncio.create_task(
            app.run_worker_async(
                queues=[QUEUE],
                name=self.process,
                concurrency=CONCURRENT_JOBS_MAX,
                delete_jobs="always",
                install_signal_handlers=False,
            )
        )
        self.wakeups.listening = True
        try:
            while not (self._over.is_set() or stop.is_set() or self.wakeups.resting):
                finished, _ = await asyncio.wait({working}, timeout=STOP_POLL_SECONDS)
                if finished:
                    break
        finally:
            self.wakeups.listening = False
            self.wakeups.wake()
            # After a request to stop, it fetches nothing more and waits for the jobs that it has.
            working.cancel()
            [ended] = await asyncio.gather(working, return_exceptions=True)
        if isinstance(ended, Exception):
            raise ended

    def _app(self, stop: threading.Event) -> App:
        options = str(self.database.get("options", ""))
        words = dict(self.database) | {"options": f"{options} -c search_path={SCHEMA}".strip()}
        connector = PsycopgConnector(kwargs=words, min_size=1, max_size=2)
        app = App(connector=connector)

        @app.task(name=SEND_BLOCK, queue=QUEUE, retry=JobRetry())
        def send_block(edition: int, number: int) -> None:
            self.wakeups.serve(BlockId(EditionId(edition), number), stop)

        # That there is a periodic task also keeps the library's eye on its other ones: it looks until the first ends.
        @app.periodic(cron="* * * * *")
        @app.task(name=PUT_IN_ORDER, queue=QUEUE)
        def put_in_order(timestamp: int) -> None:  # noqa: ARG001 - the library's signature
            self.wakeups.put_in_order()

        return app


def _tell(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    logger.warning("the job queue stumbled: %s", _first_line(context.get("exception") or context.get("message")))


def _first_line(error: object) -> str:
    words = str(error).strip() or type(error).__name__
    return words.splitlines()[0]

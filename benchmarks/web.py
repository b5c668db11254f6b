"""How fast is the public archive? `python benchmarks/web.py` asks an installation with 20,000 pages for every kind.

In: a database of each kind with so many pages of 4 KB. Out: for each page the whole answer in process, from the request
to its last byte: the median, the slowest of twenty, the CPU of this process, and the bytes that a proxy sends, with
the goals. Other work on the machine stretches the times and not the CPU, in which PostgreSQL's server is missing.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import os
import random
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from database import databases
from sqlalchemy import insert, text, update
from starlette.types import ASGIApp

from newsletter.core.excerpt import excerpt
from newsletter.settings.loader import load_settings
from newsletter.store.schema import installation, page, page_topic
from newsletter.web.app import create_app
from newsletter.wiring import Application, build

BATCH_ROWS = 1_000
PAGES_COUNT = 20_000
REQUESTS_COUNT = 40
TOPICS_COUNT = 40
PEOPLE_COUNT = 100
FIRST_DAY = date(1990, 1, 2)
WORDS = [f"{a}{b}{c}" for a in "bdfglmnprst" for b in "aeiou" for c in ("ndle", "rket", "st", "lling", "mper")]
COMMON = "customer"
"""A word that nearly every page has."""


@dataclass(frozen=True, slots=True)
class Row:
    """A kind of page, where it is, and how fast it is to be."""

    name: str
    path: str
    p50_ms_max: float
    p95_ms_max: float = 0.0
    unchanged: bool = False
    """Whether the browser has the page already."""


ROWS = (
    Row("home: the latest ten, the form", "/", 5, 20),
    Row("first page of the list", "/page/1", 5, 20),
    Row("page 1,990 of the list", "/page/1990", 20),
    Row("page 300 of a topic", "/topics/topic-1/page/300", 30),
    Row("topics and years with counts", "/topics/", 5),
    Row("a tip, the ones beside it", "/tips/page-10000", 5),
    Row("search, newest first, a word in nearly all", f"/search?q={COMMON}", 20),
    Row("search, newest first, five words that some have", "/search?q=bandle+dendle+fondle+gundle+lerket", 20),
    Row("search, best match, a word in nearly all", f"/search?q={COMMON}&by=fit", 80),
    Row("RSS, twenty whole texts", "/feed.xml", 10),
    Row("a part of the sitemap, 5,000 tips", "/sitemap/2.xml", 100),
    Row("304: a tip that the browser has", "/tips/page-10000", 2, unchanged=True),
)


def main() -> None:
    """Measure every row on every database, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"], choices=["sqlite", "postgresql"])
    parser.add_argument("--pages", type=int, default=PAGES_COUNT)
    asked = parser.parse_args()
    with databases(asked.databases) as expected:
        for database in expected:
            with database.world(PEOPLE_COUNT) as world:
                environ = world.settings() | {"NEWSLETTER_WEB_PAGES": "public"}
                application = build(load_settings(environ, world.home))
                fill(application, asked.pages)
                print(f"\n{database.name} {database.version}, {asked.pages:,} pages, load {os.getloadavg()[0]:.1f}\n")
                print("| page | median | 95 % | CPU | goal | sent, KB |\n|---|---|---|---|---|---|", flush=True)
                measure(application)
                application.engine.dispose()


def fill(application: Application, count: int) -> None:
    """Write so many pages, one a day, each with a few topics."""
    chance = random.Random(7)  # noqa: S311 - words, no keys
    now = datetime(2026, 12, 1, tzinfo=UTC)
    pages, topics = [], []
    for number in range(1, count + 1):
        words = [chance.choice(WORDS) for _ in range(550)]
        if number % 50:
            words[chance.randrange(500)] = COMMON
        body = " ".join(words)
        on = FIRST_DAY + timedelta(days=number)
        about = sorted({"topic-1", *(f"topic-{chance.randrange(2, TOPICS_COUNT)}" for _ in range(2))})
        if number % 4:
            about.remove("topic-1")
        pages.append({
            "id": number, "slug": f"page-{number}", "title": " ".join(words[:4]).capitalize(),
            "html": "".join(f"<p>{body[start : start + 400]}</p>" for start in range(0, len(body), 400)),
            "text": body, "excerpt": excerpt(body), "reading_minutes": 2, "language": "en",
            "topics": [{"slug": topic, "title": topic, "kind": "tag"} for topic in about],
            "published_on": on, "sent_on": on, "listed": True, "changed_at": now,
        })  # fmt: skip
        topics += [
            {"topic": topic, "published_on": on, "page_id": number, "kind": "tag", "title": topic} for topic in about
        ]
    with application.unit.write() as tx:
        for start in range(0, len(pages), BATCH_ROWS):
            tx.execute(insert(page), pages[start : start + BATCH_ROWS])
        tx.execute(insert(page_topic), topics)
        tx.execute(update(installation).values(archive_version=1))
    # What the database does by itself in a quiet hour.
    with application.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE" if application.engine.dialect.name == "sqlite" else "VACUUM ANALYZE"))


def measure(application: Application) -> None:
    """Ask for each page many times, and print its line."""
    app = create_app(application)
    for row in ROWS:
        times, cpu_ms, sent_bytes = asyncio.run(_times(app, row))
        median, slow = statistics.median(times), times[int(len(times) * 0.95) - 1]
        goal = f"≤ {row.p50_ms_max:g}" + (f", 95 % ≤ {row.p95_ms_max:g}" if row.p95_ms_max else "")
        print(
            f"| {row.name} | {median:.1f} | {slow:.1f} | {cpu_ms:.1f} | {goal} | {sent_bytes / 1000:.1f} |",
            flush=True,
        )


async def _times(app: ASGIApp, row: Row) -> tuple[list[float], float, int]:
    """Return the milliseconds of each answer in order of size, those of CPU of one, and its bytes with compression."""
    status, headers, body = await _ask(app, row.path, {})
    if status != HTTPStatus.OK:
        raise SystemExit(f"{row.path} answered {status}")
    asked = {"if-none-match": headers["etag"]} if row.unchanged else {}
    times, cpu_begun = [], time.process_time()
    for _ in range(REQUESTS_COUNT):
        begun = time.perf_counter()
        await _ask(app, row.path, asked)
        times.append((time.perf_counter() - begun) * 1000)
    cpu_ms = (time.process_time() - cpu_begun) * 1000 / REQUESTS_COUNT
    return sorted(times), cpu_ms, 0 if row.unchanged else len(gzip.compress(body))


async def _ask(app: ASGIApp, path: str, headers: Mapping[str, str]) -> tuple[int, Mapping[str, str], bytes]:
    """Ask the application for a page as a server does."""
    parts = urlsplit(path)
    scope: dict[str, Any] = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "https",
        "path": parts.path, "raw_path": parts.path.encode(), "query_string": parts.query.encode(), "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in {"host": "news.example.com", **headers}.items()],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 443),
    }  # fmt: skip
    messages: list[Mapping[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Mapping[str, Any]) -> None:
        messages.append(message)

    await app(scope, receive, send)
    answered = {name.decode(): value.decode() for name, value in messages[0]["headers"]}
    return messages[0]["status"], answered, b"".join(message.get("body", b"") for message in messages[1:])


if __name__ == "__main__":
    main()

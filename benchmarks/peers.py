"""What the product is compared with: bare smtplib, Postfix's load generator, the server's ceiling, the usual loop.

Each takes a port and returns messages per second. None of them keeps a record of what it sent, and the first three
personalise nothing.
"""

from __future__ import annotations

import asyncio
import atexit
import resource
import shutil
import smtplib
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from functools import cache, partial
from pathlib import Path

import sink
from world import HOST

from newsletter.core.tip import Tip
from newsletter.render.edition import render_edition
from newsletter.store import tip as tips
from newsletter.wiring import Application

SENDER = "tips@news.example.com"


def bare_smtplib(port: int, content: bytes, *, count: int, connections: int) -> dict[str, float]:
    """Send the same bytes again and again over lock-step connections, one thread each."""
    share = count // connections
    cpu, began = time.process_time(), time.perf_counter()
    threads = [threading.Thread(target=_repeat, args=(port, content, share)) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - began
    sent = share * connections
    return {"rate": sent / seconds, "cpu_ms": (time.process_time() - cpu) / sent * 1000}


def _repeat(port: int, content: bytes, count: int) -> None:
    with smtplib.SMTP(HOST, port, "localhost") as smtp:
        smtp.ehlo()
        for number in range(count):
            smtp.sendmail(SENDER, f"reader{number}@example.com", content)


def smtp_source(port: int, *, size: int, count: int, connections: int) -> dict[str, float] | None:
    """Let Postfix's `smtp-source` send; None where it is not installed."""
    command = smtp_source_command(port, size=size, count=count, connections=connections)
    return None if command is None else _timed(command, count)


def ceiling(port: int, *, size: int, count: int, connections: int) -> dict[str, float] | None:
    """Let `ceiling.c` send prepared bytes as fast as the server takes them; None where there is no C compiler."""
    program = _ceiling_program()
    if program is None:
        return None
    return _timed([str(program), *map(str, (port, size, count, connections))], count)


@cache
def _ceiling_program() -> Path | None:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    folder = tempfile.TemporaryDirectory(prefix="nl-ceiling-")
    atexit.register(folder.cleanup)
    program = Path(folder.name) / "ceiling"
    subprocess.run([compiler, "-O2", "-o", str(program), str(Path(__file__).with_name("ceiling.c"))], check=True)
    return program


def _timed(command: list[str], count: int) -> dict[str, float]:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run(command, check=True)
    seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime
    return {"rate": count / seconds, "cpu_ms": cpu / count * 1000}


def smtp_source_command(port: int, *, size: int, count: int, connections: int) -> list[str] | None:
    """Return the command; `-d` keeps its connections open from message to message."""
    program = shutil.which("smtp-source") or shutil.which("smtp-source", path="/usr/sbin")
    if program is None:
        return None
    numbers = ["-s", str(connections), "-l", str(size), "-m", str(count)]
    return [program, "-d", *numbers, "-f", SENDER, "-t", "reader@example.com", f"{HOST}:{port}"]


def classic_loop(port: int, app: Application, *, count: int) -> dict[str, float]:
    """Per person: Markdown and Jinja with the templates we ship, premailer, EmailMessage, smtplib."""
    with app.unit.read() as tx:
        tip = tips.all_tips(tx)[0]
    cpu, began = time.process_time(), time.perf_counter()
    with smtplib.SMTP(HOST, port, "localhost") as smtp:
        smtp.ehlo()
        for number in range(count):
            smtp.send_message(_classic_message(tip, app, number))
    seconds = time.perf_counter() - began
    return {"rate": count / seconds, "cpu_ms": (time.process_time() - cpu) / count * 1000}


def small_sink(port: int, ready: Callable[[], None], took: Callable[[], None]) -> None:
    """Be a mail server that tells of each message it took, until the process ends."""

    async def serve() -> None:
        server = await asyncio.start_server(partial(sink.converse, took=took), HOST, port, limit=2**24)
        ready()
        await server.serve_forever()

    asyncio.run(serve())


def _classic_message(tip: Tip, app: Application, number: int) -> EmailMessage:
    now = app.clock.now()
    rendered = render_edition(tip, app.publication, app.templates, nonce=f"{number:020x}", date=now.date())
    message = EmailMessage()
    message["From"] = f"{app.publication.name} <{SENDER}>"
    message["To"] = f"Reader {number} <reader{number}@example.com>"
    message["Subject"] = rendered.subject
    message["Date"] = format_datetime(now)
    message["Message-ID"] = make_msgid(domain="news.example.com")
    message["List-Unsubscribe"] = f"<https://news.example.com/u/{number:036d}>"
    message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message.set_content(rendered.text)
    message.add_alternative(rendered.html, subtype="html")
    return message

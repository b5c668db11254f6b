"""What the program costs before and beside its work: the start of frequent commands, and a service that is idle.

In: an installation. Out: figures. Other work on the machine makes the same command dearer, so the least of several runs
counts.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, text
from world import World

Figures = dict[str, Any]

READY_WORDS = "listening on"
"""What `newsletter run` logs last before it is ready."""
READY_POLL_SECONDS = 0.02
READY_SECONDS_MAX = 60.0
SETTLE_SECONDS = 8.0
"""After the start, before an idle service is looked at: its first tick and its first pass are over."""
IDLE_SECONDS = 60.0
STOP_SECONDS_MAX = 40.0
RUNS = 10
PEOPLE = 1_000
COMMANDS = ("--help", "status", "queue", "tip list")
PEERS = {"python": "pass", "import sqlalchemy": "import sqlalchemy"}
"""Programs to compare with, by name: what every command needs, and what each one that opens the database needs."""


def startup(world: World) -> Figures:
    """Return the CPU seconds of each command, and of the peers."""
    figures = {name: _least_cpu(world, "-c", code) for name, code in PEERS.items()}
    return figures | {command: _least_cpu(world, "-m", "newsletter", *command.split()) for command in COMMANDS}


def _least_cpu(world: World, *arguments: str) -> float:
    return min(_cpu_seconds(world, arguments) for _ in range(RUNS))


def _cpu_seconds(world: World, arguments: tuple[str, ...]) -> float:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("NEWSLETTER_")}
    process = subprocess.Popen(
        [sys.executable, *arguments],
        env=environ | world.settings(),
        cwd=world.home,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in {0, 1}:  # `status` exits with 1 when something needs a person.
        raise SystemExit(f"{' '.join(arguments)} failed with exit code {process.returncode}")
    return usage.ru_utime + usage.ru_stime


def idle(world: World) -> Figures:
    """Return what `newsletter run` takes to be ready, and what it takes while nothing is due."""
    world = replace(world, web_port=_free_port())
    began = time.monotonic()
    process = world.start("run")
    try:
        _await_ready(process, world.home / "said.txt", until=began + READY_SECONDS_MAX)
        ready = {"ready_seconds": time.monotonic() - began, "ready_cpu_seconds": _process_cpu(process.pid)}
        time.sleep(SETTLE_SECONDS)
        cpu, began = _process_cpu(process.pid), time.monotonic()
        time.sleep(IDLE_SECONDS)
        minutes = (time.monotonic() - began) / 60
        return ready | {
            "cpu_seconds_a_minute": (_process_cpu(process.pid) - cpu) / minutes,
            "rss_mb": _rss_mb(process.pid),
            "backends": _backends(world.url) if world.url else 0,
        }
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(STOP_SECONDS_MAX)


def _await_ready(process: subprocess.Popen[bytes], log: Path, *, until: float) -> None:
    while READY_WORDS not in (log.read_text() if log.exists() else ""):
        if process.poll() is not None or time.monotonic() > until:
            raise SystemExit(f"newsletter run is not ready:\n{log.read_text()}")
        time.sleep(READY_POLL_SECONDS)


def _process_cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _rss_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    [line] = [line for line in lines if line.startswith("VmRSS:")]
    return int(line.split()[1]) / 1024


def _backends(url: str) -> int:
    query = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
    engine = create_engine(url)
    with engine.connect() as connection:
        count = int(connection.execute(query).scalar_one())
    engine.dispose()
    return count


def _free_port() -> int:
    with socket.socket() as wire:
        wire.bind(("127.0.0.1", 0))
        port: int = wire.getsockname()[1]
        return port

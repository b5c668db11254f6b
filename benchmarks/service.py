"""What the program costs before it works: the CPU seconds of commands that are called often.

In: an installation. Out: figures. Other work on the machine makes the same command dearer, so the least of several runs
counts.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

from world import World

Figures = dict[str, Any]

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

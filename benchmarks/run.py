"""How fast is it? `python benchmarks/run.py` measures each row of the table in `docs/performance.md`, beside its peer.

In: which rows, databases, numbers of people. Out: a table, a JSON file if asked for, and charts of that file. A run
adds to the JSON file what it measured and leaves the rest, so that a row can be measured again in a quiet hour.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import archive
import report
import rows
import sink
from database import Database, databases

import newsletter

Figures = dict[str, Any]


def main() -> None:
    """Measure what was asked for, and print it."""
    asked = _arguments()
    figures: Figures = json.loads(asked.json.read_text()) if asked.json and asked.json.exists() else {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nl-files-")))
        database_list = stack.enter_context(databases(asked.databases))
        server = stack.enter_context(sink.running())
        rows.say(f"mail server: {server.name}; {', '.join(f'{item.name} {item.version}' for item in database_list)}")
        known = figures.get("about", {}).get("databases", {})
        figures["about"] = _about(server.name, database_list)
        figures["about"]["databases"] = known | figures["about"]["databases"]
        size = rows.message_bytes(_sqlite(stack))
        figures["message_bytes"] = size
        for name, measure in _rows(asked, database_list, server.port, size, folder).items():
            if name in asked.rows:
                load = os.getloadavg()[0]
                figures[name] = {"at": _now(), "load_before": load, "command": _command(), "found": measure()}
                if asked.json:
                    asked.json.write_text(json.dumps(figures, indent=1) + "\n")
    print(report.table(figures))
    if asked.page:
        report.write_into(asked.page, figures)
    if asked.charts:
        report.charts(figures, asked.charts)


def _sqlite(stack: ExitStack) -> Database:
    """Return a SQLite for what no database changes."""
    return stack.enter_context(databases(["sqlite"]))[0]


def _rows(
    asked: argparse.Namespace, database_list: list[Database], port: int, size: int, folder: Path
) -> dict[str, Callable[[], Any]]:
    first = database_list[0]
    return {
        "startup": lambda: [rows.startup(item) for item in database_list],
        "idle": lambda: [rows.idle(item) for item in database_list],
        "editions": lambda: [
            rows.compare(item, port, asked.people, connections, rounds=asked.rounds, size=size)
            for item in database_list
            for connections in (10, 1)
        ],
        "loop": lambda: rows.per_person_loop(first, port, asked.people),
        "far": lambda: [{"database": item.name, "found": rows.far_away(item, port, size)} for item in database_list],
        "lockstep": lambda: rows.without_pipelining(first, min(asked.people, 10_000), rounds=asked.rounds),
        "notice": lambda: [rows.notice_meanwhile(item, port, asked.large) for item in database_list],
        "restart": lambda: [rows.restart_after_kill(item, port, asked.large) for item in database_list],
        "shares": lambda: [rows.shares(item, port, asked.people, 10) for item in database_list],
        "growth": lambda: [
            rows.compare(item, port, people, 10, rounds=1, size=size)
            for item in database_list
            for people in asked.growth
        ],
        "archive": lambda: [
            archive.measure(item, size) for item in database_list for size in (archive.SMALL, archive.LARGE)
        ],
        "freezing": lambda: [rows.freezing(item, people) for item in database_list for people in asked.freeze],
        "importing": lambda: [rows.importing(item, count, folder) for item in database_list for count in asked.imports],
    }


ROWS = "startup,idle,editions,loop,far,lockstep,notice,restart,shares,growth,archive,freezing,importing"


def _arguments() -> argparse.Namespace:
    def numbers(text: str) -> list[int]:
        return [int(item) for item in text.split(",")]

    def words(text: str) -> list[str]:
        return text.split(",")

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=words, default=ROWS.split(","), help=f"of {ROWS}")
    parser.add_argument("--databases", type=words, default=["sqlite", "postgresql"])
    parser.add_argument("--people", type=int, default=20_000, help="of the editions that are compared")
    parser.add_argument("--large", type=int, default=40_000, help="people of the edition beside a notice or a kill")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--growth", type=numbers, default=[1_000, 10_000, 100_000])
    parser.add_argument("--freeze", type=numbers, default=[10_000, 100_000])
    parser.add_argument("--imports", type=numbers, default=[100_000])
    parser.add_argument(
        "--million", action="store_true", help="let freeze, import and one edition have a million people"
    )
    parser.add_argument("--json", type=Path, help="keep the figures here, beside those of earlier runs")
    parser.add_argument("--page", type=Path, help="put the tables between the marks of this Markdown page")
    parser.add_argument("--charts", type=Path, metavar="FOLDER", help="draw the charts of docs/performance.md")
    asked = parser.parse_args()
    if asked.million:
        asked.growth, asked.freeze, asked.imports = [
            [*item, 1_000_000] for item in (asked.growth, asked.freeze, asked.imports)
        ]
    return asked


def _about(server: str, database_list: list[Database]) -> Figures:
    return {
        "newsletter": newsletter.__version__,
        "python": platform.python_version(),
        "databases": {item.name: item.version for item in database_list},
        "system": f"{platform.system()} {platform.release()}, {os.cpu_count()} cores",
        "sink": server,
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _command() -> str:
    return " ".join(["python", "benchmarks/run.py", *sys.argv[1:]])


if __name__ == "__main__":
    main()

"""How fast is a whole edition? `python benchmarks/send.py` measures it beside what else could send the same mail.

In: sizes, connections, rounds. Out: a table, a JSON file and a chart if asked for. What is compared is measured in
turns within each round, and the medians of the ratios are what to trust: machines differ, and neighbours disturb.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sqlite3
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import peers
import sink
import trial
from chart import Bar, draw

import newsletter

Figures = dict[str, Any]

HELP_RUNS = 15
LOOP_PEOPLE = 40
IMPORT_ROWS = 100_000


def main() -> None:
    """Measure everything that was asked for, and print it."""
    asked = _arguments()
    report: Figures = {"about": _about()}
    with tempfile.TemporaryDirectory(prefix="newsletter-benchmark-") as folder, sink.running() as server:
        report["about"]["sink"] = server.name
        _say(f"sink: {server.name}")
        report["message_bytes"] = _sample(Path(folder))
        report["editions"] = [
            _compare(Path(folder), server.port, people, connections, rounds=asked.rounds, size=report["message_bytes"])
            for people in asked.people
            for connections in asked.connections
        ]
        most = max(asked.connections)
        report["shares"] = _shares(Path(folder), server.port, min(max(asked.people), 5_000), most)
        report["loop"] = trial.run(trial.loop, home=_home(Path(folder), 1), port=server.port, people=LOOP_PEOPLE)
        _say(f"classic loop: {report['loop']['rate']:.0f} messages/s")
        report["freezing"] = [_freezing(Path(folder), people) for people in asked.freeze]
        report["importing"] = _importing(Path(folder), asked.rows)
    report["start"] = _start()
    _print_table(report)
    if asked.json:
        asked.json.write_text(json.dumps(report, indent=2) + "\n")
    if asked.chart:
        _chart(asked.chart, report)


def _arguments() -> argparse.Namespace:
    def numbers(text: str) -> list[int]:
        return [int(one) for one in text.split(",")]

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=numbers, default=[2_000, 20_000])
    parser.add_argument("--connections", type=numbers, default=[1, 4, 10])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--freeze", type=numbers, default=[20_000, 1_000_000])
    parser.add_argument("--rows", type=int, default=IMPORT_ROWS)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--chart", type=Path)
    return parser.parse_args()


def _about() -> Figures:
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join(["python", "benchmarks/send.py", *sys.argv[1:]]),
        "newsletter": newsletter.__version__,
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "system": f"{platform.system()} {platform.release()}, {os.cpu_count()} cores",
        "load_before": os.getloadavg()[0],
    }


def _home(folder: Path, people: int) -> str:
    home = tempfile.mkdtemp(dir=folder)
    trial.run(trial.prepare, home=home, people=people)
    return home


def _sample(folder: Path) -> int:
    return int(trial.run(trial.sample, home=_home(folder, 1))["bytes"])


def _compare(folder: Path, port: int, people: int, connections: int, *, rounds: int, size: int) -> Figures:
    """Measure an edition, bare smtplib and smtp-source in turns."""
    turns = [_turn(folder, port, people, connections, size=size) for _ in range(rounds)]
    found: Figures = {"people": people, "connections": connections, "turns": turns}
    found["rate"] = median(turn["edition"]["rate"] for turn in turns)
    found["rss_mb"] = max(turn["edition"]["rss_mb"] for turn in turns)
    for name in ("smtplib", "smtp_source"):
        ratios = [turn["edition"]["rate"] / turn[name]["rate"] for turn in turns if turn[name]]
        found[f"of_{name}"] = median(ratios) if ratios else None
        found[f"of_{name}_range"] = [min(ratios), max(ratios)] if ratios else None
    _say(
        f"{people} people, {connections} connections: {found['rate']:.0f} messages/s, "
        f"{found['of_smtplib']:.2f} of smtplib, {_ratio(found['of_smtp_source'])} of smtp-source"
    )
    return found


def _turn(folder: Path, port: int, people: int, connections: int, *, size: int) -> Figures:
    there = {"port": port, "people": people, "connections": connections}
    return {
        "edition": trial.run(trial.edition, home=_home(folder, people), **there),
        "smtplib": trial.run(trial.smtplib, home=_home(folder, 1), **there),
        "smtp_source": peers.smtp_source(port, size=size, count=people, connections=connections),
    }


def _shares(folder: Path, port: int, people: int, connections: int) -> Figures:
    home = _home(folder, people)
    return trial.run(trial.edition, home=home, port=port, people=people, connections=connections, shares=True)


def _freezing(folder: Path, people: int) -> Figures:
    found = trial.run(trial.freezing, home=_home(folder, people))
    _say(f"freezing {people} people: {found['seconds']:.2f} s")
    return found


def _importing(folder: Path, rows: int) -> Figures:
    file = folder / "people.csv"
    with file.open("w") as out:
        out.write("email,first_name,last_name,tags\n")
        out.writelines(f"reader{n}@example.com,Reader{n},Of Tips,tips\n" for n in range(rows))
    found = trial.run(trial.importing, home=_home(folder, 0), file=str(file))
    _say(f"importing: {found['rate']:.0f} rows/s")
    return found


def _start() -> Figures:
    """Time `newsletter --help`, and an empty Python for comparison."""
    return {
        "help_seconds": median(_timed([sys.executable, "-m", "newsletter", "--help"]) for _ in range(HELP_RUNS)),
        "python_seconds": median(_timed([sys.executable, "-c", "pass"]) for _ in range(HELP_RUNS)),
    }


def _timed(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _span(values: list[float] | None) -> str:
    return "" if values is None else f" ({values[0]:.2f} to {values[1]:.2f})"


def _print_table(report: Figures) -> None:
    about, loop, start = report["about"], report["loop"], report["start"]
    print(f"\n{about['system']}, Python {about['python']}, SQLite {about['sqlite']}; sink: {about['sink']}")
    print(f"one message: {report['message_bytes']:,} bytes; {about['command']}\n")
    print("| people | connections | messages/s | of smtplib | of smtp-source | of the loop | CPU ms | peak MB |")
    print("|---|---|---|---|---|---|---|---|")
    for one in report["editions"]:
        cpu = median(turn["edition"]["cpu_ms"] for turn in one["turns"])
        print(
            f"| {one['people']:,} | {one['connections']} | {one['rate']:.0f} "
            f"| {_ratio(one['of_smtplib'])}{_span(one['of_smtplib_range'])} "
            f"| {_ratio(one['of_smtp_source'])}{_span(one['of_smtp_source_range'])} "
            f"| {one['rate'] / loop['rate']:.0f} times | {cpu:.2f} | {one['rss_mb']:.0f} |"
        )
    whole = report["shares"]["cpu_ms"]
    print("\n| CPU time of a message | share |\n|---|---|")
    for name, value in sorted(report["shares"]["parts_ms"].items(), key=lambda item: -item[1]):
        print(f"| {name} | {value / whole:.0%} |")
    print(f"| all else | {1 - sum(report['shares']['parts_ms'].values()) / whole:.0%} |")
    for one in report["freezing"]:
        print(f"\nfreezing {one['people']:,} people: {one['seconds']:.2f} s")
    print(f"importing {report['importing']['rows']:,} rows: {report['importing']['rate']:,.0f} rows/s")
    print(f"newsletter --help: {start['help_seconds']:.2f} s (an empty Python: {start['python_seconds']:.2f} s)")


def _chart(path: Path, report: Figures) -> None:
    """Draw the largest edition over the most connections beside its peers."""
    one = max(report["editions"], key=lambda found: (found["people"], found["connections"]))
    first = one["of_smtplib"]
    bars = [Bar("newsletter: personal, every outcome logged", first, ours=True), Bar("bare smtplib: same bytes", 1.0)]
    if one["of_smtp_source"]:
        bars.append(Bar("Postfix smtp-source, in C", first / one["of_smtp_source"]))
    bars.append(Bar("Jinja + premailer + smtplib per person", first * report["loop"]["rate"] / one["rate"]))
    title = f"Messages per second, smtplib = 1; {one['people']:,} people, {one['connections']} connections"
    draw(path, title, bars)


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()

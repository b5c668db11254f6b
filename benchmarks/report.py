"""What was measured, for people: the tables of `docs/performance.md`, and its charts.

In: the figures of `run.py`, whole or in part. Out: Markdown, and SVG files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import service
from chart import Bar, Line, draw, draw_growth

Figures = dict[str, Any]

MILLION = 1_000_000
ARCHIVE_GOALS = ("status", "queue", "a tick", "tip move")
"""What may not grow with the archive."""
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


def write_into(page: Path, figures: Figures) -> None:
    """Put the tables between the marks of a page."""
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n\n{table(figures)}\n\n{END}{after}")


def table(figures: Figures) -> str:
    """Return all that is there as Markdown."""
    about = figures["about"]
    kinds = ", ".join(f"{name} {version}" for name, version in about["databases"].items())
    machine = f"{about['system']}, Python {about['python']}, {kinds}; mail server: {about['sink']} on the same machine"
    lines = [f"{machine}; one message: {figures['message_bytes']:,} bytes; {_when(figures)}."]
    lines += ["", "| what | goal | reached |", "|---|---|---|"]
    lines += [f"| {caption} | {goal} | {reached} |" for caption, goal, reached in _rows(figures)]
    for row in _found(figures, "shares"):
        people = row["people"]
        caption = f"CPU time, {row['database']}, {people:,} people, {row['connections']} connections"
        lines += ["", f"| {caption} | share | µs a message |", "|---|---|---|"]
        whole = sum(row["seconds"].values())
        for name, value in sorted(row["seconds"].items(), key=lambda item: -item[1]):
            lines.append(f"| {name} | {value / whole:.0%} | {value / people * 1e6:.0f} |")
    return "\n".join(lines)


def _when(figures: Figures) -> str:
    """Say when it was measured, and how busy the machine was."""
    runs = [figure for figure in figures.values() if isinstance(figure, dict) and "load_before" in figure]
    days = sorted({run["at"][:10] for run in runs})
    loads = [run["load_before"] for run in runs]
    return f"measured on {' and '.join(days)} (load before a row {min(loads):.1f} to {max(loads):.1f})" if runs else ""


def _rows(figures: Figures) -> Iterator[tuple[str, str, str]]:
    for row in _found(figures, "editions"):
        connections = row["connections"]
        goal = f"{'1.0' if connections > 1 else '2.0'} x smtp-source -s {connections}"
        yield (
            f"{row['database']}: an edition, {row['people']:,} people, {connections} connections",
            goal,
            f"{_ratio(row)}{_of_ceiling(row)}; {row['rate']:,.0f} messages/s, {row['cpu_ms']:.2f} ms CPU",
        )
    yield from _small(figures)
    for row in _found(figures, "growth"):
        yield (
            f"{row['database']}: an edition, {row['people']:,} people, {row['connections']} connections",
            "the same memory within 20 %, ≤ 200 MB",
            f"{_ratio(row)}; {row['rate']:,.0f} messages/s, peak {row['rss_mb']:.0f} MB",
        )
    for row in _found(figures, "freezing"):
        goal = "" if row["people"] < MILLION else {"SQLite": "≤ 5 s", "PostgreSQL": "≤ 15 s"}[row["database"]]
        yield f"{row['database']}: freezing {row['people']:,} people", goal, f"{row['seconds']:.2f} s"
    for row in _found(figures, "importing"):
        yield (
            f"{row['database']}: importing {row['rows']:,} rows",
            "≥ 20,000 rows/s",
            f"{row['rate']:,.0f} rows/s, {row['per_cpu_second']:,.0f} a second of CPU; peak {row['rss_mb']:.0f} MB",
        )


def _small(figures: Figures) -> Iterator[tuple[str, str, str]]:
    if "loop" in figures:
        loop = figures["loop"]["found"]
        yield "against the loop per person", "50 x", f"{loop['times']:,.0f} x (the loop: {loop['rate']:.0f} messages/s)"
    for kind in _found(figures, "far"):
        for row in kind["found"]:
            yield (
                f"{kind['database']}: a relay {row['round_trip'] * 1000:.0f} ms away, {row['connections']} connections",
                "≥ 0.9 message per round trip and connection",
                f"{row['per_trip']:.2f}",
            )
    for connections, row in figures.get("lockstep", {}).get("found", {}).items():
        yield (
            f"a relay without PIPELINING, {connections} connections",
            "",
            f"{row['of_smtplib']:.2f} x bare smtplib; {row['rate']:,.0f} messages/s",
        )
    for row in _found(figures, "notice"):
        yield (
            f"{row['database']}: a notice during a large edition",
            "≤ 2 s",
            f"{row['median']:.2f} s, at most {row['longest']:.2f} s",
        )
    for row in _found(figures, "restart"):
        yield f"{row['database']}: first message after kill -9 and restart", "≤ 3 s", f"{row['seconds']:.2f} s"
    for small, large in pairwise(_found(figures, "archive")):
        if small["database"] == large["database"]:
            yield from _archive(small, large)
    yield from _service(figures)


def _service(figures: Figures) -> Iterator[tuple[str, str, str]]:
    for item in _found(figures, "startup"):
        yield from _startup(item)
    for item in _found(figures, "idle"):
        ready = f"ready in {item['ready_seconds']:.2f} s ({item['ready_cpu_seconds']:.2f} s of CPU)"
        backends = f", {item['backends']} connections to the database" if item["backends"] else ""
        cost = f"{item['cpu_seconds_a_minute']:.2f} s of CPU a minute, {item['rss_mb']:.0f} MB{backends}"
        yield f"{item['database']}: an idle service", "≤ 1 s, ≤ 0.5 s of CPU a minute, ≤ 80 MB", f"{ready}; {cost}"


def _startup(item: Figures) -> Iterator[tuple[str, str, str]]:
    seconds = dict(item["cpu_seconds"])
    peers = ", ".join(f"{name}: {seconds.pop(name):.2f} s" for name in service.PEERS)
    for command, used in seconds.items():
        goal = "≤ 0.3 s of CPU" if command == "--help" else "≤ 0.6 s of CPU"
        yield f"{item['database']}: newsletter {command}", goal, f"{used:.2f} s ({peers})"


def _archive(small: Figures, large: Figures) -> Iterator[tuple[str, str, str]]:
    size = f"{large['tips']:,} tips, {large['people']:,} people"
    for name, milliseconds in large["milliseconds"].items():
        before = small["milliseconds"][name]
        yield (
            f"{large['database']}: work for `{name}` with {size}",
            "≤ 60 ms of the database, ≤ 2 x a small one" if name in ARCHIVE_GOALS else "",
            ", ".join(
                f"{kind} {before[kind]:.1f} → {milliseconds[kind]:.1f} ms ({milliseconds[kind] / before[kind]:.1f} x)"
                for kind in ("database", "cpu")
            ),
        )


def _found(figures: Figures, name: str) -> list[Figures]:
    rows: list[Figures] = figures.get(name, {}).get("found", [])
    return rows


def _of_ceiling(row: Figures) -> str:
    return f", {row['of_ceiling']:.2f} of the ceiling" if row.get("of_ceiling") else ""


def _ratio(row: Figures) -> str:
    if row["of_smtp_source"] is None:
        return "no smtp-source here"
    low, high = row["range"]
    return f"{row['of_smtp_source']:.2f} x" + (f" ({low:.2f} to {high:.2f})" if high > low else "")


def charts(figures: Figures, folder: Path) -> None:
    """Draw what the page shows."""
    bars = [Bar("Postfix smtp-source, in C, 10 connections", 1.0)]
    bars += [
        Bar(f"newsletter, {item['database']}, 10 connections", item["of_smtp_source"], ours=True)
        for item in _found(figures, "editions")
        if item["connections"] > 1
    ]
    first = next((item for item in _found(figures, "editions") if item["connections"] > 1), None)
    if first and "loop" in figures:
        times = figures["loop"]["found"]["times"]
        bars.append(Bar("Jinja + premailer + smtplib per person", first["of_smtp_source"] / times))
    draw(folder / "performance.svg", "Messages a second; smtp-source over 10 connections = 1", bars)
    bars = [Bar("Postfix smtp-source, in C, 1 connection", 1.0)]
    bars += [
        Bar(f"newsletter, {item['database']}, 1 connection", item["of_smtp_source"], ours=True)
        for item in _found(figures, "editions")
        if item["connections"] == 1
    ]
    draw(folder / "performance-one-connection.svg", "Messages a second; smtp-source over 1 connection = 1", bars)
    for name, title, value_of in (
        ("seconds", "Seconds for a whole edition, by people", lambda row: (row["people"], row["people"] / row["rate"])),
        ("memory", "Peak memory of a whole edition in MB, by people", lambda row: (row["people"], row["rss_mb"])),
    ):
        lines = _lines(_found(figures, "growth"), value_of)
        draw_growth(folder / f"growth-{name}.svg", title, lines)
    lines = _lines(_found(figures, "freezing"), lambda row: (row["people"], row["seconds"]))
    draw_growth(folder / "growth-freeze.svg", "Seconds to freeze an audience, by people", lines)


def _lines(rows: list[Figures], point: Callable[[Figures], tuple[float, float]]) -> list[Line]:
    kinds = dict.fromkeys(item["database"] for item in rows)
    return [Line(kind, [point(item) for item in rows if item["database"] == kind]) for kind in kinds]

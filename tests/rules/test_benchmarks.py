"""The benchmarks measure what there is: a step that was renamed would be left out of the tables in silence."""

from __future__ import annotations

import importlib
import runpy
from functools import reduce
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def script(name: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Run a script of the folder beside its neighbours, and return what it defines."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return runpy.run_path(str(BENCHMARKS / name))


def test_each_step_that_is_timed_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever renames a step of a message changes its line in `benchmarks/stopwatch.py` too."""
    for module, name, _ in script("stopwatch.py", monkeypatch)["STEPS"]:
        target = reduce(getattr, name.split("."), importlib.import_module(module))
        assert callable(target), f"{module}.{name}"


def test_a_table_is_made_of_part_of_the_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of one row prints that row, with what the machine was."""
    edition = {
        "database": "SQLite",
        "people": 2_000,
        "connections": 10,
        "rate": 5_000.0,
        "cpu_ms": 0.1,
        "rss_mb": 90.0,
        "of_smtp_source": 1.25,
        "range": [1.2, 1.3],
    }
    figures = {
        "about": {"system": "Linux", "python": "3.11", "databases": {"SQLite": "3.40"}, "sink": "a sink"},
        "message_bytes": 20_000,
        "editions": {"at": "2026-11-22T09:00:00", "load_before": 0.5, "found": [edition]},
    }
    table = script("report.py", monkeypatch)["table"](figures)
    assert "measured on 2026-11-22" in table
    assert "1.25 x (1.20 to 1.30); 5,000 messages/s" in table

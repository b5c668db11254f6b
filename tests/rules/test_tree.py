"""Rules of the tree that no linter knows: what it may name, where it commits, how long a file grows."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

MOST_POSITIONAL = 5
PLACES_OF_CODE = ("newsletter", "tests", "benchmarks")

# Put together from halves, so that this file may be searched too.
FORBIDDEN = (
    "/wo" + "rk/",
    "/ho" + "me/",
    "/ro" + "ot/",
    "/opt/wh" + "eels",
    "pypi." + "org",
    "pythonho" + "sted",
    "find-" + "links",
    "index-" + "url =",
    "--index-" + "url",
)
"""Paths of one machine, and the addresses of package registries: neither belongs to the project."""


def tracked() -> list[Path]:
    """Return the files of the project: those git tracks, or all that lie here when this is no checkout."""
    git = shutil.which("git")
    listed = git and subprocess.run([git, "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed and listed.returncode == 0 and listed.stdout:
        return [path for name in listed.stdout.decode().split("\0") if name and (path := ROOT / name).is_file()]
    places = [ROOT / name for name in (*PLACES_OF_CODE, "templates", "docs", "data", "deploy", ".ci")]
    below = (path for place in places for path in place.rglob("*") if "__pycache__" not in path.parts)
    return [path for path in (*ROOT.glob("*.*"), ROOT / "Makefile", *below) if path.is_file()]


def texts() -> Iterator[tuple[str, str]]:
    """Yield each tracked text with its name; pictures are left out."""
    for path in tracked():
        content = path.read_bytes()
        if b"\0" not in content:
            yield path.relative_to(ROOT).as_posix(), content.decode()


def code() -> Iterator[tuple[str, str]]:
    """Yield each Python file of the project with its name."""
    yield from ((name, text) for name, text in texts() if name.endswith(".py") and name.startswith(PLACES_OF_CODE))


def test_the_tree_is_read() -> None:
    """The rules below look at real files; an empty list would let everything pass."""
    names = {name for name, _ in texts()}
    assert {"Makefile", "newsletter/settings/loader.py", "tests/rules/test_tree.py"} <= names


def test_the_path_names_only_files_that_exist() -> None:
    """Each station that `newsletter/__init__.py` names is a file, so that the first page a reader opens is right."""
    story = ast.get_docstring(ast.parse((ROOT / "newsletter/__init__.py").read_text())) or ""
    stations = re.findall(r"[\w./-]+\.py\b|(?<![\w/])[a-z_]+/(?:[a-z_]+/)*(?!\w)", story)
    homes = (ROOT, ROOT / "newsletter")
    assert len(stations) >= len(("tip", "lineup", "edition", "message", "delivery")), "the path is not told"
    assert [station for station in stations if not any((home / station).exists() for home in homes)] == []


@pytest.mark.parametrize("word", FORBIDDEN)
def test_no_file_names_a_machine_or_a_registry(word: str) -> None:
    """The project works on every machine, so none of its files knows one."""
    assert [name for name, text in texts() if word in text] == []


def test_only_the_door_commits() -> None:
    """A transaction ends in one place; a second one would be forgotten, or come too early."""
    calls = re.compile(r"\.commit\(")
    committers = [name for name, text in code() if name.startswith("newsletter/") and calls.search(text)]
    assert [name for name in committers if name != "newsletter/store/unit.py"] == []


def test_tests_neither_sleep_nor_mock() -> None:
    """A test waits for an event and fakes only time and the network; a patched name hides what really runs."""
    banned = re.compile(r"\bsleep\(|\bmock\b\.|import mock|unittest import mock|unittest\.mock")
    own = Path(__file__).relative_to(ROOT).as_posix()
    assert [name for name, text in code() if name.startswith("tests/") and name != own and banned.search(text)] == []


def test_every_module_says_what_it_is() -> None:
    """A module begins with its station; one that holds nothing but an import mark may be silent."""
    silent = [name for name, text in code() if text.strip() and not ast.get_docstring(ast.parse(text))]
    assert silent == []


def test_every_test_says_what_it_expects() -> None:
    """The docstring of a test is its sentence of behaviour."""
    silent = [
        f"{name}:{node.lineno}"
        for name, text in code()
        if name.startswith("tests/")
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and not ast.get_docstring(node)
    ]
    assert silent == []


def test_positional_arguments_are_few() -> None:
    """A call with more than five values in a row cannot be read, so the rest go by keyword."""
    crowded = [
        f"{name}:{node.lineno}"
        for name, text in code()
        if name.startswith("newsletter/") and not name.startswith("newsletter/cli/")
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef)
        and len([one for one in node.args.posonlyargs + node.args.args if one.arg not in {"self", "cls"}])
        > MOST_POSITIONAL
    ]
    assert crowded == []


def test_test_files_have_names_of_their_own() -> None:
    """Two test files of one name would be told apart by nothing in a report."""
    names = [Path(name).name for name, _ in code() if Path(name).name.startswith("test_")]
    assert sorted(names) == sorted(set(names))

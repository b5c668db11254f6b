"""Rules of names: one meaning each, variables named for what they hold, constants with their unit, no old words."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from itertools import chain

import pytest

from tests.rules.test_tree import ROOT, texts

PRONOUNS = frozenset(
    ("done", "found", "given", "here", "made", "of", "one", "said", "taken", "told", "wanted", "what", "which", "whose")
)
"""Names that say nothing of what a variable holds. A comprehension may use a short noun; these are none."""

LOG_COLUMNS = ("newsletter/store/log.py", "what")
"""The log tells who did what, when and why; these words are its columns."""

QUALIFIED = ("newsletter/store/", "newsletter/cli/")
"""Packages whose functions are called by way of their module: `tips.add`, `slots.add`; and one command per function."""

UNIT = re.compile(
    r"_(SECONDS|MINUTES|HOURS|DAYS|WEEKS|MONTHS|YEARS|BYTES|KB|CHARACTERS|LETTERS|CELLS|COLUMNS|LINES|ROWS|PIXELS|PERCENT"
    r"|SHARE|RATIO|FACTOR|COUNT|NUMBER|MAX|MIN|LIMIT|SIZE|WIDTH|HEIGHT|LENGTH|MS|DEPTH|PORT|CODE|VERSION|ID|BITS|MODE|FLAG"
    r"|PER_\w+|EXIT|STATUS|MASK|LEVEL|KEY)$"
)
"""What the name of a constant that is a number ends in: its unit, or the quantity it counts."""

OLD_NAMES = (
    "Courier",
    "Crew",
    "Desk",
    "Enlisted",
    "Herald",
    "Kitchen",
    "Lookout",
    "Lent",
    "Ordeal",
    "Ringing",
    "SendRules",
    "Settled",
    "Strain",
    "Turns",
    "barren",
    "courier",
    "couriers",
    "endure",
    "frail",
    "herald",
    "kitchen",
    "limping",
    "lookout",
    "postmark_of",
    "setting_values",
    "step_aside",
    "strange_journals",
    "uneasy",
)
"""Private words that standard terms replaced; `docs/glossary.md` has the terms."""

HISTORY = ("CHANGELOG.md", "docs/decisions/", "tests/rules/test_names.py", "newsletter/store/migrations/")
"""What tells of the past may use its words."""


def modules() -> Iterator[tuple[str, ast.Module]]:
    """Yield each module of the package with its tree; migrations are history."""
    for path in sorted((ROOT / "newsletter").rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        if "/migrations/" not in name:
            yield name, ast.parse(path.read_text())


def constants(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """Yield the constants that a module defines, with their values."""
    for node in tree.body:
        if isinstance(node, ast.Assign):
            yield from ((t.id, node.value) for t in node.targets if isinstance(t, ast.Name) and is_constant(t.id))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            yield from [(node.target.id, node.value)] if is_constant(node.target.id) else []


def is_constant(name: str) -> bool:
    """Tell whether a name is that of a constant; a type variable is one letter."""
    return name.isupper() and len(name) > 1


def shared(kind: str) -> dict[str, list[str]]:
    """Return the public names of one kind that more than one module defines, with those modules."""
    places: defaultdict[str, list[str]] = defaultdict(list)
    for name, tree in modules():
        if kind == "class":
            defined = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
        elif kind == "function":
            functions = (ast.FunctionDef, ast.AsyncFunctionDef)
            defined = [] if name.startswith(QUALIFIED) else [n.name for n in tree.body if isinstance(n, functions)]
        else:
            defined = [constant for constant, _ in constants(tree)]
        for word in defined:
            if not word.startswith("_"):
                places[word].append(name)
    return {word: names for word, names in places.items() if len(names) > 1}


@pytest.mark.parametrize("kind", ["class", "function", "constant"])
def test_a_public_name_has_one_meaning(kind: str) -> None:
    """A reader who has met a name in one module can trust it in the next."""
    assert shared(kind) == {}


def bindings(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield each name that a module binds outside comprehensions, with its line."""
    skip: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.comprehension):
            skip.update(id(name) for name in ast.walk(node.target))
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and id(node) not in skip:
            yield node.id, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno


def test_variables_are_named_for_what_they_hold() -> None:
    """A pronoun or a participle tells a reader nothing that the line before did not; tests are read as well."""
    others = (
        (path.relative_to(ROOT).as_posix(), ast.parse(path.read_text()))
        for folder in ("tests", "benchmarks", "docs")
        for path in sorted((ROOT / folder).rglob("*.py"))
    )
    vague = [
        f"{name}:{line} {word}"
        for name, tree in chain(modules(), others)
        for word, line in bindings(tree)
        if word in PRONOUNS and (name, word) != LOG_COLUMNS
    ]
    assert vague == []


def is_number(value: ast.expr) -> bool:
    """Tell whether an expression is a number, as it stands in the source."""
    if isinstance(value, ast.UnaryOp):
        return is_number(value.operand)
    if isinstance(value, ast.BinOp):
        return is_number(value.left) and is_number(value.right)
    return (
        isinstance(value, ast.Constant) and isinstance(value.value, int | float) and not isinstance(value.value, bool)
    )


def test_numbers_carry_their_unit() -> None:
    """A constant that is a number ends in its unit or in the quantity that it counts."""
    bare = [
        f"{name}: {constant}"
        for name, tree in modules()
        for constant, value in constants(tree)
        if is_number(value) and not UNIT.search(constant)
    ]
    assert bare == []


@pytest.mark.parametrize("word", OLD_NAMES)
def test_old_names_are_gone(word: str) -> None:
    """A word that a standard term replaced is neither in the code nor in the tests, the docs or the help."""
    pattern = re.compile(rf"(?<![\w-]){word}(?![\w-])")
    assert [name for name, text in texts() if not name.startswith(HISTORY) and pattern.search(text)] == []

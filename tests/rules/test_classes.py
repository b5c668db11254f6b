"""Rules of classes: a value with many fields is several values under one name."""

from __future__ import annotations

import ast

from tests.rules.test_names import modules

FIELDS_MAX = 15

SETTINGS = "newsletter/settings/model.py: Settings"
"""One field for each thing that an operator decides; its groups are headings of the documentation."""


def fields_of(node: ast.ClassDef) -> int:
    """Count the fields that a class declares: annotated names of its body that are no class variables."""
    return sum(
        isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name) and "ClassVar" not in ast.unparse(item)
        for item in node.body
    )


def test_no_class_has_many_fields() -> None:
    """Up to fifteen fields can be read at a glance; more are grouped by noun into values of their own."""
    larger = {
        f"{name}: {node.name}": count
        for name, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and (count := fields_of(node)) > FIELDS_MAX
    }
    del larger[SETTINGS]
    assert larger == {}

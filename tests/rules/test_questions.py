"""Fifteen questions of a newcomer are answered by names: search the terms, open the files in the order of matches."""

from __future__ import annotations

import ast
import re
from functools import cache

from tests.rules.test_tree import ROOT

QUESTIONS = {
    "where the delay before a retry is decided": ("retry|delay|back_?off|deferred", "core/retry.py"),
    "the send loop of one SMTP connection": ("connection|worker|send_loop", "sending/connection_worker.py"),
    "what takes claimed mail back after an opt-out": ("revo(ke|cation)|opt_?out|claim", "sending/revocation.py"),
    "which rows are claimed, and how": ("claims?", "store/claims.py"),
    "what settles the mail of a killed process": ("recover|orphan|crash", "sending/recovery.py"),
    "how outcomes are committed together": ("group_?commit|commit(ter)?", "sending/committer.py"),
    "where the journal is written": ("journal|append|writer", "journal/writer.py"),
    "where the Message-ID comes from": ("message_?id", "core/message_identity.py"),
    "when a relay gets fewer connections": ("throttle|slow_?down", "core/throttle.py"),
    "when an edition is paused because of refusals": ("breaker|circuit", "core/breaker.py"),
    "how connections to a relay are pooled": ("pool", "transport/pool.py"),
    "what a tick does": ("tick(er)?", "operations/ticker.py"),
    "what old rows are deleted": ("retention|purge|delete_old", "operations/retention.py"),
    "what a reply of a server means": ("reply|judge|verdict", "core/reply.py"),
    "what one click on the unsubscribe link does": ("one_?click|unsubscribe", "web/one_click.py"),
}
"""Each with the terms to search, and the file that answers it."""

OPENINGS_MAX = 35


@cache
def names() -> dict[str, tuple[str, ...]]:
    """Return for each module its path and the names that it defines."""
    defined = {}
    for path in sorted((ROOT / "newsletter").rglob("*.py")):
        if "migrations" in path.parts or path.name == "__init__.py":
            continue
        kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        inside = [node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kinds)]
        defined[path.relative_to(ROOT / "newsletter").as_posix()] = tuple(inside)
    return defined


def openings(terms: str, answer: str) -> int:
    """Return how many files are opened until the right one, in the order of matches; a file's own name counts most."""
    pattern = re.compile(terms, re.IGNORECASE)
    weight = {
        path: 100 * len(pattern.findall(path.rpartition("/")[2])) + sum(len(pattern.findall(name)) for name in inside)
        for path, inside in names().items()
    }
    return sorted(weight, key=lambda path: (-weight[path], path)).index(answer) + 1


def test_a_newcomer_finds_the_file_by_its_names() -> None:
    """The fifteen answers take at most 35 openings together."""
    opened = {question: openings(terms, answer) for question, (terms, answer) in QUESTIONS.items()}
    assert sum(opened.values()) <= OPENINGS_MAX, opened

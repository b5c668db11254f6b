"""Rules of the texts that people read: messages, help, log lines, templates and docs use plain words."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from tests.rules.test_tree import texts

INTERNAL_WORDS = re.compile(r"\b(?:slots?|stranded|passed: )(?!\w)")
"""Words of the code: people read "date" or "send date", and "pinned to a date that is skipped"."""

PRONOUN_SUBJECTS = re.compile(r"\b(?:nobody|whoever|she|he)\b", re.IGNORECASE)
"""A sentence names its subject: "no subscriber is active", "a person with the link can unsubscribe"."""

QUOTED_CODE = re.compile(
    r"^ *```.*?^ *```|(`+)(?!`)(?:(?!\n\s*\n).)+?(?<!`)\1(?!`)|newsletter slot \w+|^slot \w+$"
    r"|\[[^\]]*\]\(#[^)]*\)|\]\([^)]*\)",
    re.DOTALL | re.MULTILINE,
)
"""Commands, names of the code and the targets of links keep their spelling."""

TEST_LINK = re.compile(r"\[[^\]`]+\]\((?:\.\./)*tests/[^)]+\)")
"""A link to a test bears its name."""

DEVELOPER_PAGES = ("docs/glossary.md", "docs/how-it-works.md", "CONTRIBUTING.md")
"""Pages about the code use the words of the code."""

OTHER_TEXTS = ("newsletter/simulation/example.py", "docs/a-year.md", "docs/decisions/", "data/", "tests/")
"""Tips are not messages of the program, and a decision is superseded, not edited."""


def phrases(source: str) -> Iterator[tuple[int, str]]:
    """Yield each string of a module that has a space, so is no identifier, with its line.

    A docstring counts where people read it: the help of a command, the default message of an error.
    """
    tree = ast.parse(source)
    silent = {id(value) for node in ast.walk(tree) for value in unread_docstrings(node)}
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and " " in node.value
            and id(node) not in silent
        ):
            yield node.lineno, node.value


def unread_docstrings(node: ast.AST) -> Iterator[ast.Constant]:
    """Yield the docstrings in the body of a node that only developers read."""
    body = getattr(node, "body", None)
    for statement in body if isinstance(body, list) and not is_shown(node) else []:
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
            yield statement.value


def is_shown(node: ast.AST) -> bool:
    """Tell whether people read the docstring of a node: a command's is its help, an error's its message."""
    if isinstance(node, ast.ClassDef):
        return any(isinstance(base, ast.Name) and base.id.endswith("Error") for base in node.bases)
    if isinstance(node, ast.FunctionDef):
        return any(".command" in ast.unparse(decorator) for decorator in node.decorator_list)
    return False


def readable_texts() -> Iterator[tuple[str, str]]:
    """Yield every text that people read, with the place where it stands."""
    for name, text in texts():
        if name.startswith(OTHER_TEXTS) or "/migrations/" in name:
            continue
        if name.startswith("newsletter/") and name.endswith(".py"):
            yield from ((f"{name}:{line}", phrase) for line, phrase in phrases(text))
        elif name.startswith("templates/"):
            yield name, re.sub(r"\{#.*?#\}", "", text, flags=re.DOTALL)
        elif name.endswith(".md") or name == "config.example.env":
            yield name, TEST_LINK.sub("", text)


def hits(pattern: re.Pattern[str], *, developers: bool) -> list[str]:
    """Return the places where a text that people read has a word, with the words around it."""
    places = []
    for place, text in readable_texts():
        if not developers and place.startswith(DEVELOPER_PAGES):
            continue
        prose = QUOTED_CODE.sub("", text)
        places += [f"{place}: {prose[max(0, m.start() - 30) : m.end() + 20]!r}" for m in pattern.finditer(prose)]
    return places


def test_people_read_no_words_of_the_code() -> None:
    """Messages, help, mails and docs say "date" for a slot, and in words why a pinned tip does not go out."""
    assert hits(INTERNAL_WORDS, developers=False) == []


def test_a_sentence_names_its_subject() -> None:
    """No text begins with a pronoun that stands for a person: it names the reader, the admin, the subscriber."""
    assert hits(PRONOUN_SUBJECTS, developers=True) == []


COMMENT_SUBJECTS = re.compile(r"\b(?:nobody|whoever)\b", re.IGNORECASE)
"""Pronouns that no comment and no docstring of the package uses as a subject."""

OTHER_COMMENTS = ("newsletter/sending/", "newsletter/journal/", "newsletter/web/", "newsletter/event_loop.py")
"""Packages whose comments are not held to it yet."""


def test_comments_name_their_subject() -> None:
    """A comment says which process, person or server it is about."""
    lines = [
        f"{name}:{number}"
        for name, text in texts()
        if name.startswith("newsletter/") and name.endswith(".py") and "/migrations/" not in name
        if not name.startswith((*OTHER_COMMENTS, *OTHER_TEXTS))
        for number, line in enumerate(text.splitlines(), start=1)
        if COMMENT_SUBJECTS.search(line)
    ]
    assert lines == []


def handmade_counts(source: str) -> Iterator[int]:
    """Yield the lines on which a module chooses between singular and plural, or names a day, by itself."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.IfExp) and isinstance(node.test, ast.Compare):
            with_one = any(isinstance(value, ast.Constant) and value.value == 1 for value in node.test.comparators)
            equal = isinstance(node.test.ops[0], ast.Eq | ast.NotEq)
            words = any(
                isinstance(part, ast.JoinedStr) or (isinstance(part, ast.Constant) and isinstance(part.value, str))
                for part in (node.body, node.orelse)
            )
            if with_one and equal and words:
                yield node.lineno
        elif isinstance(node, ast.JoinedStr):
            text = ast.unparse(node)
            if re.search(r"\} people\b|:[^}]*%[aAbB]", text):
                yield node.lineno


OWNERS_OF_WORDING = ("newsletter/wording.py", "newsletter/core/edition.py")
"""`edition_name` leaves out the number of the first edition of a date: no plural."""


def test_counts_and_days_have_one_wording() -> None:
    """`1 person`, `2 people`, weekdays and months come from `newsletter/wording.py`, never from the locale."""
    handmade = [
        f"{name}:{line}"
        for name, text in texts()
        if name.startswith("newsletter/") and name.endswith(".py") and "/migrations/" not in name
        if name not in OWNERS_OF_WORDING
        for line in handmade_counts(text)
    ]
    assert handmade == []


@pytest.mark.parametrize(
    "source",
    ['"1 tip" if n == 1 else f"{n} tips"', 'f"{n:,} people"', 'f"{day:%a %d}"', 'x = "is" if n == 1 else "are"'],
)
def test_the_search_finds_handmade_counts(source: str) -> None:
    """Each way of writing them by hand is found."""
    assert list(handmade_counts(source)) == [1]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('raise InputError("the slot is gone")', ["the slot is gone"]),
        ('"""A module about slots."""', []),
        ('class GoneError(InputError):\n    """The slot is gone."""', ["The slot is gone."]),
        ('@app.command()\ndef skip():\n    """Skip a slot."""', ["Skip a slot."]),
        ('def skip():\n    """Skip a slot."""\n    return "slot"', []),
    ],
)
def test_the_search_reads_what_people_read(source: str, expected: list[str]) -> None:
    """Messages, help and default messages of errors are searched; the docstrings of developers are not."""
    assert [phrase for _, phrase in phrases(source)] == expected

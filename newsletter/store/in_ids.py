"""`id among (…)` with all the ids, or addresses, in one bound value.

In: a column and the name of a bound list. Out: a condition whose SQL is the same however many there are, so that
neither SQLAlchemy nor the database prepares the statement anew for each count, as with an expanding `IN`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Self

from sqlalchemy import ARRAY, BigInteger, Boolean, Column, Dialect, Integer, Text, TypeDecorator, bindparam
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.operators import OperatorType
from sqlalchemy.types import TypeEngine


class _IdList(TypeDecorator[Sequence[int] | Sequence[str]]):
    """A list as one value: an array on PostgreSQL, JSON on SQLite."""

    impl = Text
    cache_ok = True

    def __init__(self, *, numbers: bool) -> None:
        """Take whether the list is one of numbers; else it is one of texts."""
        super().__init__()
        self.numbers = numbers

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        array = ARRAY(BigInteger if self.numbers else Text)
        return dialect.type_descriptor(array if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: Sequence[int] | Sequence[str] | None, dialect: Dialect) -> object:
        return list(value or ()) if dialect.name == "postgresql" else json.dumps(value)


class _InIds(FunctionElement[bool]):
    name = "among"
    type = Boolean()
    inherit_cache = True

    def self_group(self, against: OperatorType | None = None) -> Self:  # noqa: ARG002
        """Stay as it is: SQLAlchemy would write `… = 1` for SQLite, which then finds no row by its index."""
        return self


@compiles(_InIds, "sqlite")
def _(element: _InIds, compiler: SQLCompiler, **named: object) -> str:
    column, ids = (compiler.process(clause, **named) for clause in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({ids}))"  # noqa: S608 - a column and a bind, both compiled.


@compiles(_InIds, "postgresql")
def _(element: _InIds, compiler: SQLCompiler, **named: object) -> str:
    column, ids = (compiler.process(clause, **named) for clause in element.clauses)
    return f"{column} = ANY({ids})"


def in_ids(column: Column[int] | Column[str], listed: str) -> FunctionElement[bool]:
    """Return the condition that a column is one of the values bound under the name `listed`."""
    return _InIds(column, bindparam(listed, type_=_IdList(numbers=isinstance(column.type, Integer))))

"""The proof of work: a solution counts while it is fresh, and only if it is one."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from typing import Any

import pytest
from altcha import Challenge, Payload, solve_challenge

from newsletter.core.token import Keyring
from newsletter.flows.puzzle import PUZZLE_LIFETIME, make_puzzle, solved_puzzle
from newsletter.testing.clocks import START
from tests.flows.people_fixtures import KEYRING


@cache
def solution() -> str:
    """Return a puzzle and its solution, as a browser sends them."""
    challenge = Challenge.from_dict(dict(make_puzzle(KEYRING, now=START)))
    solution_found = solve_challenge(challenge)
    assert solution_found is not None
    return Payload(challenge, solution_found).to_base64()


def changed(**parameters: Any) -> str:  # noqa: ANN401 - any JSON value
    """Return the solution with other parameters."""
    payload: Mapping[str, Any] = json.loads(base64.b64decode(solution()))
    payload["challenge"]["parameters"].update(parameters)
    return base64.b64encode(json.dumps(payload).encode()).decode()


def test_a_solution_counts_while_it_is_fresh() -> None:
    """It has an identity, by which it is used once; after twenty minutes it is worth nothing."""
    assert len(solved_puzzle(KEYRING, solution(), now=START)) == 64
    assert solved_puzzle(KEYRING, solution(), now=START + PUZZLE_LIFETIME)
    assert not solved_puzzle(KEYRING, solution(), now=START + PUZZLE_LIFETIME + timedelta(seconds=1))


def test_nothing_else_counts() -> None:
    """No junk, no puzzle of another installation, no cheaper or longer-lived one."""
    other = Keyring(current="another secret of enough characters")
    assert not solved_puzzle(other, solution(), now=START)
    for payload in (changed(cost=1), changed(keyPrefix=""), changed(data={"expires": 2**40})):
        assert not solved_puzzle(KEYRING, payload, now=START)


@pytest.mark.parametrize("junk", ["", "x", "e30=", "bnVsbA==", "W10=", "é", "A" * 10_000, "eyJjaGFsbGVuZ2UiOiAxfQ=="])
def test_junk_is_no_solution(junk: str) -> None:
    """Whatever a stranger sends is read without an exception."""
    assert solved_puzzle(KEYRING, junk, now=START) == ""

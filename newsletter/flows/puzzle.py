"""The proof of work that a sign-up needs while too many requests come in.

In: a request for a puzzle, or a solved one. Out: the puzzle as plain values, or its identity once it is solved. A
browser solves it in about a second; a sender of thousands of requests pays for each. A solution counts once:
`flows/ask_to_subscribe.py` stores which were used.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from altcha import create_challenge, verify_solution

from newsletter.core.token import Keyring

PUZZLE_LIFETIME = timedelta(minutes=20)
PBKDF2_ROUNDS_COUNT = 5_000
"""Rounds of one try; 256 tries are needed on average."""

_EXPIRES = "expires"
"""Our own field, since the library compares its own with the clock of the machine."""


def make_puzzle(keyring: Keyring, *, now: datetime) -> Mapping[str, Any]:
    """Return a fresh puzzle, signed, as JSON values."""
    ends = int((now + PUZZLE_LIFETIME).timestamp())
    secret = keyring.derived[0].puzzle
    challenge = create_challenge("PBKDF2/SHA-256", PBKDF2_ROUNDS_COUNT, data={_EXPIRES: ends}, hmac_secret=secret)
    return challenge.to_dict()


def solved_puzzle(keyring: Keyring, payload: str, *, now: datetime) -> str:
    """Return the identity of a puzzle that was solved in time; empty for anything else."""
    if not payload or not verify_solution(payload, keyring.derived[0].puzzle).verified:
        return ""
    challenge = json.loads(base64.b64decode(payload))["challenge"]
    ends = challenge["parameters"].get("data", {}).get(_EXPIRES, 0)
    return str(challenge["signature"]) if now.timestamp() <= ends else ""

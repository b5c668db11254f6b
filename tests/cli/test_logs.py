"""The log of the service: one line each, with its context, and with nobody's address in it."""

from __future__ import annotations

import io
import json
import logging
import sys
from datetime import UTC, datetime

import pytest
import structlog

from newsletter.cli.logs import formatter, mask


def written(log_format: str, message: str, *values: object, addresses: bool = False, fault: bool = False) -> str:
    """Return what a record becomes."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter(log_format, addresses=addresses))
    logger = logging.Logger("newsletter.operations.ticker")  # noqa: LOG001 - one that nobody else sees
    logger.addHandler(handler)
    if fault:
        try:
            raise ValueError("no room for ann@example.org")  # noqa: TRY301 - for its trace
        except ValueError:
            logger.exception(message, *values)
    else:
        logger.warning(message, *values)
    return stream.getvalue()


def test_a_line_for_a_person_bears_time_level_words_and_context() -> None:
    """The text form is one line: when in UTC, how bad, what, and in brackets the part and the edition it is about."""
    with structlog.contextvars.bound_contextvars(part="scheduler", edition="2026-11-24"):
        line = written("text", "the edition of %s is frozen for %s people", "2026-11-24", 1204)
    when, words = line[:20], line[20:]
    assert datetime.strptime(when, "%Y-%m-%d %H:%M:%SZ").replace(tzinfo=UTC)
    expected = " WARNING the edition of 2026-11-24 is frozen for 1204 people [edition=2026-11-24 part=scheduler]\n"
    assert words == expected


def test_a_line_for_a_collector_is_one_object() -> None:
    """The JSON form has words, level, logger, the time in UTC, and each value of the context by its name."""
    with structlog.contextvars.bound_contextvars(part="sender"):
        data = json.loads(written("json", "%s is late — it is %s", "Tuesday", "nine"))
    assert datetime.fromisoformat(data.pop("time")).utcoffset() == datetime.now(UTC).utcoffset()
    assert data == {
        "level": "warning",
        "logger": "newsletter.operations.ticker",
        "message": "Tuesday is late — it is nine",
        "part": "sender",
    }


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_no_address_in_words_context_or_trace(log_format: str) -> None:
    """An address is masked wherever it stands in a line, the trace of a fault included; its domain stays."""
    with structlog.contextvars.bound_contextvars(person="bob@example.net"):
        line = written(log_format, "refused: <%s>", "cyd.day+x@example.com", fault=True)
    assert "c***@example.com" in line
    assert "b***@example.net" in line
    assert "a***@example.org" in line
    assert not any(name in line for name in ("cyd.day", "bob", "ann"))


def test_addresses_are_written_when_asked_for() -> None:
    """An operator who needs the addresses gets them."""
    assert "ann@example.org" in written("text", "refused: %s", "ann@example.org", addresses=True)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("to ann@example.org, bob@example.net;", "to a***@example.org, b***@example.net;"),
        ("RCPT TO:<o'hara@example.org>", "RCPT TO:<o'h***@example.org>"),
        ("mailto:ann@example.org?x", "mailto:a***@example.org?x"),
        ("jürgen@müller.example", "j***@müller.example"),
        ("postgresql://user:secret@db.example.net/x", "postgresql://user:s***@db.example.net/x"),
        ("meet @ nine, 3 @ 4", "meet @ nine, 3 @ 4"),
        ("a@example.org", "a***@example.org"),
    ],
)
def test_masking(text: str, masked: str) -> None:
    """What looks like an address loses all but its first letter and its domain; other words stay."""
    assert mask(text) == masked


def test_a_trace_is_a_value_of_its_own_in_json() -> None:
    """The trace of a fault does not break the line of a collector."""
    text = written("json", "the tick failed", fault=True)
    assert text.count("\n") == 1
    assert json.loads(text)["trace"].startswith("Traceback")
    assert sys.exc_info() == (None, None, None)

"""How the service writes its log: a line for a person, or a line of JSON for a collector.

In: what the modules tell their standard loggers, and the context they bound (the part of the service, the edition).
Out: lines on standard error. No address leaves here whole, unless the operator asked for that: a log travels further
than the database, and is kept by people who were never asked.
"""

from __future__ import annotations

import logging
import re
import sys
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from structlog.typing import EventDict, WrappedLogger

ADDRESS = re.compile(r"([^\s@<>\"'`,;:()\[\]{}|=/\\])[^\s@<>\"'`,;:()\[\]{}|=/\\]*@(?=[\w\[])", re.UNICODE)
"""Anything like an address, in words, in angle brackets or in a URL; its domain stays, since trouble has domains."""

OWN = ("level", "logger", "time", "message", "trace")
"""The keys that every line may have; what else it bears is context."""


def configure(log_format: str, *, addresses: bool = False, level: int = logging.INFO) -> None:
    """Send everything this program logs to standard error, once; `addresses` lets them be seen."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter(log_format, addresses=addresses))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("newsletter").setLevel(level)


def formatter(log_format: str, *, addresses: bool) -> logging.Formatter:
    """Return what makes a record of a standard logger into a line."""
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.ExtraAdder(),
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            structlog.processors.format_exc_info,
            structlog.processors.StackInfoRenderer(),
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.EventRenamer("message"),
            _name_the_trace,
            *([] if addresses else [mask_addresses]),
            structlog.processors.JSONRenderer(ensure_ascii=False, default=str) if log_format == "json" else _line,
        ],
    )


def mask(text: str) -> str:
    """Return a text in which of each address only the first letter and the domain are left: `a***@example.org`."""
    return ADDRESS.sub(r"\1***@", text)


def mask_addresses(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Mask whatever looks like an address, in every value of a line."""
    return {key: value if isinstance(value, (int, float)) else mask(str(value)) for key, value in event.items()}


def _name_the_trace(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Call the trace of a fault what it is."""
    if "exception" in event:
        event["trace"] = event.pop("exception")
    return event


def _line(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    """Write a line for a person: time in UTC, level, words, and the context behind them."""
    context = "".join(f" {key}={event[key]}" for key in sorted(event.keys() - set(OWN)))
    when = str(event["time"]).replace("T", " ").partition(".")[0] + "Z"
    trace = f"\n{event['trace']}" if event.get("trace") else ""
    return f"{when} {str(event['level']).upper():<7} {event['message']}{context and f' [{context[1:]}]'}{trace}"

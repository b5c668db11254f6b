"""The command `newsletter`: global options, the table of commands, and what an error looks like.

The module of a command is imported when the command is called, and each command imports inside its function what only
it needs: `tests/cli/test_start.py` holds which modules the frequent ones must not load.
"""

from __future__ import annotations

import errno
import gc
import logging
import os
import sys
from collections import UserDict
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

from newsletter import __version__
from newsletter.cli.context import State
from newsletter.cli.output import say, sentence, speak_plainly, warn
from newsletter.clock import Clock, SystemClock
from newsletter.errors import NewsletterError

INTERRUPTED_EXIT = 130
"""The exit code of a command that Ctrl-C ended: 128 and the number of the signal."""

NEW_OBJECTS_MAX = 20_000
"""The search for reference cycles begins after so many new objects. Python's 700 are a search every two modules of a
start: *measured*, a tenth of the CPU time of `status`."""

COMPLETION_OPTIONS = {"install_completion", "show_completion"}
"""Parameters of typer's own for completion in bash, zsh and fish; the README and docs/commands.md name them."""

_USAGE_ERROR = cast("type[typer.BadParameter]", typer.BadParameter.__base__)
"""What typer raises for words it does not understand; it has no public name of its own."""


COMMANDS = {
    "init": "init:init",
    "doctor": "doctor:doctor",
    "status": "status:status",
    "demo": "demo:demo",
    "queue": "queue:queue",
    "simulate": "simulate:simulate",
    "log": "log:log",
    "run": "service:run",
    "config": "config:app",
    "admin": "admin:app",
    "tip": "tip:app",
    "slot": "slot:app",
    "subscriber": "subscriber:app",
    "edition": "edition_group:app",
    "delivery": "delivery:app",
    "bounce": "bounce:app",
    "db": "db:app",
    "dkim": "dkim:app",
}
"""Each command in the order of `--help`: its module in `newsletter.cli`, and its function or group of commands."""


class _LazyCommands(UserDict[str, Any]):
    """The commands by name; one is imported and built when it is asked for.

    To build all of them takes half as long as all that `newsletter status` does.
    """

    def __init__(self) -> None:
        super().__init__(dict.fromkeys(COMMANDS))

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - typer gives the class of its commands no public name
        if self.data[name] is None:
            module, _, attribute = COMMANDS[name].partition(":")
            self.data[name] = _build(name, getattr(import_module(f"newsletter.cli.{module}"), attribute))
        return self.data[name]


def _build(name: str, target: Any) -> Any:  # noqa: ANN401 - a function or a group of commands, made into a command
    if isinstance(target, typer.Typer):
        command = get_group(target)
        command.name = name
        return command
    single = typer.Typer(add_completion=False, rich_markup_mode=None)
    single.command(name)(target)
    return get_command(single)


class _RootGroup(TyperGroup):
    """The top of the command line: `--help` leaves out the two options that serve a shell and no newsletter."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - typer's own
        super().__init__(**options)
        self.commands = _LazyCommands()

    def get_params(self, ctx: Any) -> list[Any]:  # noqa: ANN401 - typer gives the class of its parameters no public name
        params: list[Any] = super().get_params(ctx)
        for param in params:
            if param.name in COMPLETION_OPTIONS:
                param.hidden = True
        return params


app = typer.Typer(
    name="newsletter",
    cls=_RootGroup,
    help="One tip a week, to every subscriber, every Tuesday, and a report that adds up.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(asked: bool) -> None:
    if asked:
        say(f"newsletter {__version__}")
        raise typer.Exit


@app.callback()
def _global(
    context: typer.Context,
    home: Annotated[
        Path | None,
        typer.Option(
            "-C",
            "--home",
            metavar="DIR",
            help="The folder of the .env; also NEWSLETTER_HOME. Default: the current folder.",
        ),
    ] = None,
    version: Annotated[  # noqa: ARG001 - its callback has answered already
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    folder = home or Path(os.environ.get("NEWSLETTER_HOME") or ".")
    context.obj = State(home=folder.absolute(), environ=os.environ, clock=context.obj or SystemClock())


def main(clock: Clock | None = None) -> None:
    """Run the command line; the exit code says whether it worked (0), needs a person (1) or was asked wrongly (2).

    Tests pass a clock, so that no result depends on the day on which they run.
    """
    gc.set_threshold(NEW_OBJECTS_MAX, *gc.get_threshold()[1:])
    speak_plainly()
    _say_warnings()
    sys.exit(_run(clock))


def _say_warnings() -> None:
    """Let what a module warns of be a sentence like any other, said once; `run` sets up a log of its own."""
    handler = logging.lastResort
    if handler is not None:
        handler.setFormatter(_Sentence())
        handler.filters[:] = [_Once()]


class _Sentence(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return f"newsletter: {sentence(super().format(record))}"


class _Once(logging.Filter):
    def __init__(self) -> None:
        super().__init__()
        self._said: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        words = record.getMessage()
        new = words not in self._said
        self._said.add(words)
        return new


def _run(clock: Clock | None) -> int:
    try:
        code = app(standalone_mode=False, obj=clock)
    except NewsletterError as error:
        warn(f"newsletter: {sentence(str(error), names=sys.argv[1:])}")
        for line in error.details:
            warn(f"  {line}")
        return error.exit_code
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        # What is left in the buffer would fail once more when the program ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        warn("newsletter: The disk is full, and the output is incomplete.")
        return 1
    except typer.Abort:
        # Ctrl-C or end of input at a question; all questions come before all work.
        if sys.stderr.isatty():
            warn("")
        warn("newsletter: Nothing was done.")
        return INTERRUPTED_EXIT
    except _USAGE_ERROR as error:
        from newsletter.cli import bounce

        _explain(error)
        return bounce.TRY_AGAIN_EXIT if bounce.pipes(sys.argv) else error.exit_code
    if code == INTERRUPTED_EXIT:
        # Each change is one transaction: what was under way has left no trace.
        warn("newsletter: Stopped. What was not finished was taken back.")
    return code if isinstance(code, int) else 0


def _explain(error: typer.BadParameter) -> None:
    """Say what is wrong with the words of a command, as every other error is said; without any words, how it goes."""
    # The library behind typer puts the kind of its own error before the words; a person has no use for it.
    words = error.format_message().replace(": Value error, ", ": ", 1)
    if words.startswith("Usage:"):
        warn(words)
    else:
        warn(f"newsletter: {sentence(words)}")
        if error.ctx is not None:
            warn(f"  {error.ctx.get_usage().removeprefix('Usage: ')}")
            warn(f"  `{error.ctx.command_path} --help` says more.")

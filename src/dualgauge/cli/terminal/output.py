"""
How every command answers: text for people or one JSON object, an exit code, and errors as one paragraph.

Text goes to stdout, errors and progress to stderr; bars are drawn only on a terminal.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.table import Table
from typer.exceptions import TyperException

from dualgauge import __version__
from dualgauge.cli.terminal.options import Format
from dualgauge.cli.terminal.progress import bars
from dualgauge.cli.terminal.screen import Listing, Screen, paragraph
from dualgauge.errors import DualgaugeError, SystemRefused, UsageError, redact
from dualgauge.model import NextStep, as_json, jsonable

if TYPE_CHECKING:
    from dualgauge.migration import Migration

INTERRUPTED = 130
"""Exit code of a command stopped from the keyboard, as shells give it: 128 and the number of SIGINT."""


class NobodyReads(DualgaugeError):
    """The answer cannot be written to standard output."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"the answer cannot be written to standard output: {reason}; what the command did is done: look with "
            "`dualgauge status`, or run it again with its output elsewhere"
        )


def console() -> Console:
    """Where text answers go. No highlighting of values, no markup from data."""
    return Screen()


@dataclass
class Reply:
    """What a command will say: filled in by the command, written by `answering`."""

    migration: Migration
    result: object = None
    text: Callable[[Console], None] | None = None
    exit_code: int = 0
    next_steps: tuple[NextStep, ...] = field(default_factory=tuple)

    def give(
        self,
        result: object,
        text: Callable[[Console], None],
        *,
        exit_code: int = 0,
        next_steps: Sequence[NextStep] = (),
    ) -> None:
        """Say the result: as JSON, or as text by a function that prints it."""
        self.result, self.text, self.exit_code, self.next_steps = result, text, exit_code, tuple(next_steps)


@contextmanager
def answering(
    verb: str, project: Path, form: Format, *, debug: bool = False, memory_limit: str = "1GB"
) -> Iterator[Reply]:
    """
    Open the project, run a command's body, and write what it gave or what went wrong; leaves with the exit code.

    Args:
        verb: names the JSON schema, `dualgauge.<verb>/1`.
        project: where to look for the project.
        form: text or JSON.
        debug: show tracebacks.
        memory_limit: of the engine, as DuckDB writes it.
    """
    with failing(verb, form, debug=debug):
        from dualgauge.migration import open as open_project

        with bars() as progress:
            answer = Reply(open_project(project, progress=progress, memory_limit=memory_limit))
            yield answer
        write(verb, form, answer.result, answer.exit_code, answer.next_steps, answer.text)
    raise typer.Exit(answer.exit_code)


@contextmanager
def failing(verb: str, form: Format, *, debug: bool) -> Iterator[None]:
    """Turn an error into one paragraph, or one object, and an exit code."""
    try:
        yield
    except DualgaugeError as fault:
        if debug:
            _traceback(fault)
        raise typer.Exit(_failed(verb, form, fault, fault.exit_code, fault.next_steps)) from None
    except KeyboardInterrupt:
        raise typer.Exit(interrupted(verb, form)) from None
    except BrokenPipeError:
        # Help, or a story, whose reader went away.
        silence()
        raise typer.Exit(1) from None
    except (typer.Exit, typer.Abort, TyperException):
        raise
    except Exception as fault:  # noqa: BLE001  (whatever it is, it is told as one paragraph)
        if debug:
            _traceback(fault)
        if refused := SystemRefused.of(fault):
            raise typer.Exit(_failed(verb, form, refused, refused.exit_code, ())) from None
        steps = (
            NextStep(f"dualgauge {verb.replace('-', ' ')} --debug ...", "see where it happened; please report it"),
        )
        unexpected = DualgaugeError(f"unexpected {type(fault).__name__}: {fault}")
        raise typer.Exit(_failed(verb, form, unexpected, 1, () if debug else steps)) from None


def write(
    verb: str,
    form: Format,
    result: object,
    exit_code: int,
    next_steps: Sequence[NextStep],
    text: Callable[[Console], None] | None,
) -> None:
    """
    Write a command's answer on stdout. A reader that goes away ends it quietly: what was to be done is done.

    Raises:
        NobodyReads: stdout takes nothing, for example because its disk is full.
    """
    try:
        if form is Format.JSON:
            _object(verb, exit_code, result, None, next_steps)
            return
        screen = console()
        if text is not None:
            text(screen)
        for step in next_steps:
            screen.print(f"next: {step.command}   # {step.why}", soft_wrap=True)
        sys.stdout.flush()
    except BrokenPipeError:
        silence()
    except OSError as fault:
        silence()
        raise NobodyReads(fault.strerror or str(fault)) from fault


def write_line(verb: str, result: object, next_steps: Sequence[NextStep]) -> None:
    """Write one of many answers as JSON in a line of its own."""
    _object(verb, 0, result, None, next_steps, indent=None)


def silence() -> None:
    """Let what is still to be written to stdout go nowhere, so that the process can end without a complaint."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def usage_error(verb: str, form: Format, fault: TyperException) -> int:
    """Answer a call that does not parse; `verb` is empty where the call names no command."""
    message = fault.format_message()
    shown = redact(message)
    step = NextStep(f"dualgauge {verb} --help".replace("  ", " "), "see what it takes")
    if form is Format.JSON:
        error = {"type": "UsageError", "message": paragraph(shown)}
        _object(_schema(verb), fault.exit_code, None, error, (step,))
    elif shown == message:
        from typer.rich_utils import rich_format_error

        with suppress(OSError):
            rich_format_error(fault)  # type: ignore[arg-type]  # typer keeps the class that it takes to itself
    else:
        _failed(verb, form, UsageError(message), fault.exit_code, (step,))
    return fault.exit_code


def interrupted(verb: str, form: Format) -> int:
    """Answer a call that was stopped from the keyboard."""
    told = DualgaugeError("interrupted; what was being written is not in use: run the command again")
    return _failed(_schema(verb), form, told, INTERRUPTED, (), kind="Interrupted")


def _schema(verb: str) -> str:
    return verb.replace(" ", "-") or "dualgauge"


def version(show: bool) -> None:
    """Print the version and stop."""
    if show:
        console().print(f"dualgauge {__version__}")
        raise typer.Exit


def table(*columns: str, right: Sequence[str] = ()) -> Table:
    """A table in the one style of the tool; `right` names the columns of numbers."""
    made = Listing(box=None, pad_edge=False, header_style="bold", collapse_padding=True, padding=(0, 2, 0, 0))
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return made


def _failed(
    verb: str,
    form: Format,
    fault: DualgaugeError,
    exit_code: int,
    steps: Sequence[NextStep],
    *,
    kind: str = "",
) -> int:
    told = paragraph(str(fault))
    if form is Format.JSON:
        with suppress(OSError):
            error = {"type": kind or type(fault).__name__, "message": told, **fault.details()}
            _object(verb, exit_code, None, error, steps)
        return exit_code
    # Where nobody reads stderr either, the exit code has to do.
    with suppress(OSError):
        screen = Screen(stderr=True)
        screen.print(f"error: {told}", soft_wrap=True)
        for step in steps:
            screen.print(f"next: {step.command}   # {step.why}", soft_wrap=True)
    return exit_code


def _traceback(fault: BaseException) -> None:
    """The way to a fault, on stderr. Libraries put what they were given into their errors: passwords are hidden."""
    sys.stderr.write(redact("".join(traceback.format_exception(fault))))


_NO_NUMBERS = {"NaN": "nan", "Infinity": "inf", "-Infinity": "-inf"}


def _object(
    verb: str, exit_code: int, result: object, error: Mapping[str, object] | None, next_steps: Sequence[NextStep],
    *, indent: int | None = 2,
) -> None:  # fmt: skip
    envelope = {
        "schema": f"dualgauge.{verb}/1",
        "exit_code": exit_code,
        "result": result,
        "error": error,
        "next_steps": as_json(list(next_steps)),
    }
    # Escaped where the other end may not take every character: it is the same JSON.
    plain = not (sys.stdout.encoding or "utf-8").lower().replace("_", "-").startswith("utf")
    try:
        text = json.dumps(envelope, ensure_ascii=plain, indent=indent, default=jsonable, allow_nan=False)
    except ValueError:
        # JSON has no such numbers; they are the texts that stand for them in a payload.
        said = json.loads(json.dumps(envelope, default=jsonable), parse_constant=_NO_NUMBERS.get)
        text = json.dumps(said, ensure_ascii=plain, indent=indent)
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()

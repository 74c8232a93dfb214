"""
How every command answers: text for people or one JSON object, an exit code, and errors as one paragraph.

Text goes to stdout, errors and progress to stderr; bars are drawn only on a terminal.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.table import Table

from dualgauge import __version__
from dualgauge.cli.options import Format
from dualgauge.cli.progress import bars
from dualgauge.errors import DualgaugeError
from dualgauge.model import NextStep, jsonable

if TYPE_CHECKING:
    from dualgauge.migration import Migration

PIPE_WIDTH = 140
"""Columns of a line where stdout is no terminal."""


def console() -> Console:
    """Where text answers go. No highlighting of values, no markup from data."""
    width = None if sys.stdout.isatty() else PIPE_WIDTH
    return Console(width=width, highlight=False, markup=False, soft_wrap=False)


@dataclass
class Answer:
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
def answering(verb: str, project: Path, form: Format, *, debug: bool = False, **given: Any) -> Iterator[Answer]:  # noqa: ANN401
    """
    Open the project, run a command's body, and write what it gave or what went wrong; leaves with the exit code.

    Args:
        verb: names the JSON schema, `dualgauge.<verb>/1`.
        project: where to look for the project.
        form: text or JSON.
        debug: show tracebacks.
        given: what `dualgauge.open` takes besides the path.
    """
    from dualgauge.migration import open as open_project

    with failing(verb, form, debug=debug):
        with bars() as progress:
            answer = Answer(open_project(project, progress=progress, **given))
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
            traceback.print_exc()
        raise typer.Exit(_failed(verb, form, fault, fault.exit_code, fault.next_steps)) from None
    except (typer.Exit, typer.Abort, KeyboardInterrupt, BrokenPipeError):
        raise
    except Exception as fault:  # noqa: BLE001  (whatever it is, it is told as one paragraph)
        if debug:
            traceback.print_exc()
        steps = (
            NextStep(f"dualgauge {verb.replace('-', ' ')} --debug ...", "see where it happened; please report it"),
        )
        unexpected = DualgaugeError(f"unexpected {type(fault).__name__}: {' '.join(str(fault).split())}")
        raise typer.Exit(_failed(verb, form, unexpected, 1, () if debug else steps)) from None


def write(
    verb: str,
    form: Format,
    result: object,
    exit_code: int,
    next_steps: Sequence[NextStep],
    text: Callable[[Console], None] | None,
) -> None:
    """Write a command's answer on stdout."""
    if form is Format.JSON:
        _object(verb, exit_code, result, None, next_steps)
        return
    screen = console()
    if text is not None:
        text(screen)
    for step in next_steps:
        screen.print(f"next: {step.command}   # {step.why}", soft_wrap=True)


def usage_error(verb: str, message: str, exit_code: int) -> int:
    """Answer a call that does not parse, in JSON; `verb` is empty where the call names no command."""
    step = NextStep(f"dualgauge {verb} --help".replace("  ", " "), "see what it takes")
    _object(_schema(verb), exit_code, None, {"type": "UsageError", "message": message}, (step,))
    return exit_code


def interrupted(verb: str) -> int:
    """Answer a call that was stopped from the keyboard, in JSON."""
    _object(_schema(verb), 1, None, {"type": "Interrupted", "message": "interrupted; run the command again"}, ())
    return 1


def _schema(verb: str) -> str:
    return verb.replace(" ", "-") or "dualgauge"


def version(show: bool) -> None:
    """Print the version and stop."""
    if show:
        console().print(f"dualgauge {__version__}")
        raise typer.Exit


def table(*columns: str, right: Sequence[str] = ()) -> Table:
    """A table in the one style of the tool; `right` names the columns of numbers."""
    made = Table(box=None, pad_edge=False, header_style="bold", collapse_padding=True, padding=(0, 2, 0, 0))
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return made


def _failed(verb: str, form: Format, fault: DualgaugeError, exit_code: int, steps: Sequence[NextStep]) -> int:
    if form is Format.JSON:
        _object(verb, exit_code, None, {"type": type(fault).__name__, "message": str(fault)}, steps)
        return exit_code
    screen = Console(stderr=True, highlight=False, markup=False)
    screen.print(f"error: {fault}", soft_wrap=True)
    for step in steps:
        screen.print(f"next: {step.command}   # {step.why}", soft_wrap=True)
    return exit_code


def _object(
    verb: str, exit_code: int, result: object, error: dict[str, str] | None, next_steps: Sequence[NextStep]
) -> None:
    envelope = {
        "schema": f"dualgauge.{verb}/1",
        "exit_code": exit_code,
        "result": result,
        "error": error,
        "next_steps": [{"command": step.command, "why": step.why} for step in next_steps],
    }
    sys.stdout.write(json.dumps(envelope, ensure_ascii=False, indent=2, default=jsonable) + "\n")

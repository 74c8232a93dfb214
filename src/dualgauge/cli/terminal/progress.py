"""Progress bars: on stderr, only on a terminal, gone when the work is done."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from dualgauge.model import Progress as Report
from dualgauge.model import silent

_CANNOT_MOVE = ("dumb", "unknown")
"""Terminals that cannot take a line back: a bar would fill the screen."""


def moves(stream: TextIO) -> bool:
    """Whether a stream is a terminal whose cursor can be moved."""
    return stream.isatty() and os.environ.get("TERM", "") not in _CANNOT_MOVE


@contextmanager
def bars() -> Iterator[Report]:
    """Give a function that draws the step at work; one that does nothing where stderr is no terminal."""
    if not moves(sys.stderr):
        yield silent
        return
    # The dots of the usual spinner are no ASCII.
    spinner = "dots" if (sys.stderr.encoding or "").lower().startswith("utf") else "line"
    columns = (
        SpinnerColumn(spinner), TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(),
        TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as drawn:
        task = drawn.add_task("", total=None)

        def report(step: str, done: int, total: int | None) -> None:
            drawn.update(task, description=step, completed=done, total=total)

        yield report

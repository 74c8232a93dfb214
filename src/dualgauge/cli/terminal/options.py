"""Options that several commands share, so that they are named and explained once."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dualgauge.errors import redact


class Format(StrEnum):
    """How a command answers."""

    TEXT = "text"
    JSON = "json"


ProjectDir = Annotated[
    Path,
    typer.Option(
        "--project",
        metavar="DIR",
        help="The project's folder, or one below it: the nearest pyproject.toml with [tool.dualgauge] counts.",
    ),
]

FormatOption = Annotated[
    Format, typer.Option("--format", help="`json` prints one object on stdout, errors too; its form is documented.")
]

Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]

DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and change nothing.")]


def without_password(reason: str | None) -> str | None:
    """The journal is read by many, and is never changed: a URL in a reason goes in without its password."""
    return None if reason is None else redact(reason)


Reason = Annotated[
    str | None, typer.Option("--reason", metavar="TEXT", help="Why; kept in the journal.", callback=without_password)
]

MemoryLimit = Annotated[
    str,
    typer.Option("--memory-limit", metavar="SIZE", help="Bound of the engine's memory; above it, it spills to disk."),
]

HERE = Path()

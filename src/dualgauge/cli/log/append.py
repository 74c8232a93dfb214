"""`dualgauge log append`."""

from __future__ import annotations

import sys
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from dualgauge.cli.terminal.options import HERE, Debug, Format, FormatOption, ProjectDir
from dualgauge.cli.terminal.output import answering
from dualgauge.errors import UsageError
from dualgauge.model import NextStep, plural

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dualgauge.migration import Migration

_MOST = 1_000_000


class NothingOnStdin(UsageError):
    """Standard input is a terminal, or closed: nobody pipes events in."""

    def __init__(self) -> None:
        super().__init__(
            "log append reads events from standard input, one JSON object a line, and nothing is piped in; "
            "give it a file: dualgauge log append < events.jsonl"
        )


class TooMany(UsageError):
    """More events in one call than are held in memory at once."""

    def __init__(self, most: int) -> None:
        self.most = most
        super().__init__(
            f"more than {most:,} events in one call; nothing was appended: say --batch 100000, which appends so many "
            "at a time, or make the file a source and use `dualgauge log import`"
        )


def log_append(
    batch: Annotated[
        int | None,
        typer.Option(
            "--batch",
            metavar="N",
            min=1,
            max=_MOST,
            help="Append every N lines for themselves, as they come; default: all of them or none.",
        ),
    ] = None,
    project: ProjectDir = HERE,
    form: FormatOption = Format.TEXT,
    debug: Debug = False,
) -> None:
    """
    Append events from standard input: one JSON object a line.

    A line is {"event_id": "o-1", "type": "placed", "occurred_at": "2026-01-31T12:00:00Z", "fields": {"cents": 2500}}.
    What is no declared column goes into the payload. An event that the log has keeps its position, so a call that may
    have failed is made again; the same id with other content is refused, with nothing of the call appended.

    Example: dualgauge log append < events.jsonl
    """  # fmt: skip
    with answering("log-append", project, form, debug=debug) as answer:
        if sys.stdin is None or sys.stdin.isatty():
            raise NothingOnStdin
        positions, added, head = _append(answer.migration, sys.stdin.buffer, batch)
        known = len(positions) - added

        def text(screen: Console) -> None:
            tail = f"; {plural(known, 'event')} known already" if known else ""
            screen.print(f"appended {plural(added, 'event')}{tail}")
            screen.print(f"the log's head is position {head:,}")

        step = NextStep("dualgauge replay", "bring the views to the new head")
        answer.give(
            {"added": added, "known": known, "positions": positions, "last": head},
            text,
            next_steps=[step] if added else [],
        )


def _append(migration: Migration, lines: Iterable[bytes], batch: int | None) -> tuple[list[int], int, int]:
    """The position of each line's event, how many were new, and the log's head."""
    from dualgauge.eventlog.append.event import Call, parse

    declared = migration.settings.log.columns
    # Lines without anything are passed over; a message names the line as it stands in the input.
    numbered = ((number, line) for number, line in enumerate(lines, 1) if line.strip())
    positions: list[int] = []
    added = 0
    with migration.appender() as log:
        while chunk := list(islice(numbered, batch or _MOST + 1)):
            if batch is None and len(chunk) > _MOST:
                raise TooMany(_MOST)
            call = Call([number for number, _ in chunk])
            done = log.take([parse(line, declared, index, call) for index, (_, line) in enumerate(chunk)], call)
            positions += done.positions
            added += done.added
        head = log.head
    return positions, added, head

"""`dualgauge log show`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from dualgauge.cli.log.lateness import late_line
from dualgauge.cli.terminal.options import HERE, Debug, Format, FormatOption, ProjectDir
from dualgauge.cli.terminal.output import answering, table
from dualgauge.model import plural

ENVELOPE = ("position", "event_id", "type", "occurred_at")
HIDDEN = {*ENVELOPE, "recorded_at"}


def log_show(
    head: Annotated[bool, typer.Option("--head", help="Only where the log stands.")] = False,
    first: Annotated[
        int | None,
        typer.Option("--from", metavar="POSITION", min=1, help="Begin at this position; default: the last events."),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many events.")] = 20,
    project: ProjectDir = HERE,
    form: FormatOption = Format.TEXT,
    debug: Debug = False,
) -> None:
    """
    Show where the log stands, or some of its events.

    `--head` says how late the newest million events are: those that occurred before one that the log had already.

    Example: dualgauge log show --from 1 --limit 3
    """
    with answering("log-show", project, form, debug=debug) as answer:
        log = answer.migration.log
        found = log.head() if head else log.show(first, limit)
        now, late = found.head, found.lateness
        standing = {
            "last": now.last,
            "last_commit": {"first": now.first, "rows": now.rows},
            "chain": now.chain,
            "sources": dict(now.cursors),
            "lateness": late.to_json() if late else None,
        }

        def text(screen: Console) -> None:
            if late:
                screen.print(f"head: position {now.last:,} ({plural(now.last, 'event')})")
                screen.print(f"chain: {now.chain}")
                screen.print(late_line(late), soft_wrap=True)
                for name, cursor in now.cursors.items():
                    upto = f"up to {cursor['until']}" if cursor.get("until") else "all of it"
                    screen.print(f"source {name}: {upto}")
                return
            made = table("position", "occurred_at", "type", "event_id", "fields", right=["position"])
            for event in found.events:
                fields = " ".join(
                    f"{name}={value}" for name, value in event.items() if name not in HIDDEN and value is not None
                )
                made.add_row(
                    f"{event['position']:,}",
                    f"{event['occurred_at']:%Y-%m-%d %H:%M:%SZ}",
                    event["type"],
                    event["event_id"],
                    fields,
                )
            screen.print(made if found.events else "no events yet")

        answer.give({"head": standing, "events": found.events}, text)

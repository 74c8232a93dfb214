"""`dualgauge quarantine list`, `dualgauge quarantine retry` and `dualgauge quarantine skip`."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from dualgauge.cli.terminal import completion
from dualgauge.cli.terminal.options import (
    HERE,
    Debug,
    DryRun,
    Format,
    FormatOption,
    MemoryLimit,
    ProjectDir,
    without_password,
)
from dualgauge.cli.terminal.output import answering, table
from dualgauge.errors import UsageError, redact
from dualgauge.ledger.misfit import RowState
from dualgauge.model import NextStep, plural

if TYPE_CHECKING:
    from dualgauge.eventlog.imports.retry import Tried

RAW_SHOWN = 60
"""Characters of a row's text that a list shows."""

LIST = NextStep("dualgauge quarantine list", "see which rows wait, and why")
REPLAY = NextStep("dualgauge replay", "bring the views to the new head")


class Shown(StrEnum):
    """Which rows a list shows."""

    WAITING = "waiting"
    TAKEN = "taken"
    SKIPPED = "skipped"
    ALL = "all"


class WhichRows(UsageError):
    """A call that names no row."""

    def __init__(self, verb: str, *, every: bool) -> None:
        self.verb, self.every = verb, every
        both = "names rows and says --all; say one of both" if every else "names no row; give their ids, or --all"
        super().__init__(f"`dualgauge quarantine {verb}` {both}", next_steps=(LIST,))


Ids = Annotated[
    list[str] | None, typer.Argument(metavar="[ID]...", help="Rows by their ids; as much of each as is its own.")
]
Every = Annotated[bool, typer.Option("--all", help="Every row that waits.")]
SourceOption = Annotated[
    str | None,
    typer.Option("--source", metavar="SOURCE", help="Only rows of this source.", autocompletion=completion.sources),
]


def quarantine_list(
    source: SourceOption = None,
    state: Annotated[Shown, typer.Option("--state", help="Only rows of this state.")] = Shown.WAITING,
    project: ProjectDir = HERE,
    form: FormatOption = Format.TEXT,
    debug: Debug = False,
) -> None:
    """
    List the rows that do not fit: where each stood, why, and its text.

    Rows of kind `input` do not fit into the log. While one waits, no share can grow: take it in (`retry`), or say that
    it is not wanted (`skip`).

    Example: dualgauge quarantine list --source orders --state all
    """
    with answering("quarantine-list", project, form, debug=debug) as answer:
        chosen = None if state is Shown.ALL else RowState(state.value)
        rows = answer.migration.quarantine.list(state=chosen, source=source)

        def text(screen: Console) -> None:
            if not rows:
                screen.print("no row waits" if state is Shown.WAITING else "no such row")
                return
            extra = ["state"] if state is Shown.ALL else []
            made = table("id", "kind", "source", "place", "row", "reason", "text", *extra, right=["row"])
            for one in rows:
                of, more = one.misfit, [one.state.value] if extra else []
                row = "" if of.row is None else f"{of.row:,}"
                place = of.place if of.line is None else f"{of.place} line {of.line:,}"
                made.add_row(one.short, one.kind.value, of.source, place, row, redact(of.reason), _short(of.raw), *more)
            screen.print(made)

        waiting = [one for one in rows if one.state is RowState.WAITING]
        steps = []
        if waiting:
            steps = [
                NextStep("dualgauge quarantine retry --all", "take in what fits, once the settings are mended"),
                NextStep(f"dualgauge quarantine retry {waiting[0].short} --with TEXT", "take in one with another text"),
                NextStep(f"dualgauge quarantine skip {waiting[0].short}", "leave one out for good"),
            ]
        answer.give({"rows": [_redacted(one.to_json()) for one in rows]}, text, next_steps=steps)


def quarantine_retry(
    ids: Ids = None,
    every: Every = False,
    source: SourceOption = None,
    text: Annotated[
        str | None, typer.Option("--with", metavar="TEXT", help="Read this in the place of the one row's text.")
    ] = None,
    dry_run: DryRun = False,
    memory_limit: MemoryLimit = "1GB",
    project: ProjectDir = HERE,
    form: FormatOption = Format.TEXT,
    debug: Debug = False,
) -> None:
    """
    Read waiting rows again, with the settings as they are now, and append those that fit, at the log's end.

    Each is the event that it would have been, taken in once whatever is killed. Those that still do not fit wait on,
    with the new reason; then the exit code is 4.

    Example: dualgauge quarantine retry 3f9a --with "7,2026-01-05T10:00:00Z,ada,placed,1250"
    """
    with answering("quarantine-retry", project, form, debug=debug, memory_limit=memory_limit) as answer:
        done = answer.migration.quarantine.retry(_asked("retry", ids, every), source=source, text=text, dry_run=dry_run)

        def shown(screen: Console) -> None:
            if not done.rows:
                screen.print("no row waits")
                return
            screen.print(_tried(done.rows))
            taken = sum(one.state is RowState.TAKEN for one in done.rows)
            would = "would be taken" if dry_run else "taken"
            screen.print(f"{plural(taken, 'row')} {would}, {done.waiting:,} still waiting")

        steps = [REPLAY] if done.added and not dry_run else []
        answer.give(
            {
                "rows": [_redacted(one.to_json()) for one in done.rows],
                "added": done.added, "waiting": done.waiting, "last": done.last, "dry_run": dry_run,
            },
            shown,
            exit_code=4 if done.waiting else 0,
            next_steps=[*steps, LIST] if done.waiting else steps,
        )  # fmt: skip


def quarantine_skip(
    ids: Ids = None,
    every: Every = False,
    source: SourceOption = None,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="TEXT", help="Why; kept with the row.", callback=without_password)
    ] = None,
    dry_run: DryRun = False,
    project: ProjectDir = HERE,
    form: FormatOption = Format.TEXT,
    debug: Debug = False,
) -> None:
    """
    Leave waiting rows out for good. They stay listed as skipped, and are never read again.

    Example: dualgauge quarantine skip 3f9a --reason "a test of the till"
    """
    with answering("quarantine-skip", project, form, debug=debug) as answer:
        rows = answer.migration.quarantine.skip(
            _asked("skip", ids, every), source=source, reason=reason, dry_run=dry_run
        )

        def text(screen: Console) -> None:
            would = "would skip" if dry_run else "skipped"
            screen.print(f"{would} {plural(len(rows), 'row')}")
            for one in rows:
                screen.print(f"  {one.short}  {one.misfit.source}  {one.misfit.where}", soft_wrap=True)

        answer.give({"rows": [_redacted(one.to_json()) for one in rows], "dry_run": dry_run}, text)


def _asked(verb: str, ids: Sequence[str] | None, every: bool) -> list[str]:
    """The ids of a call; none for all of them."""
    if bool(ids) == every:
        raise WhichRows(verb, every=every)
    return list(ids or [])


def _tried(rows: Sequence[Tried]) -> Any:  # noqa: ANN401  (a table of rich)
    made = table("id", "source", "place", "row", "is", "position", "reason", right=["row", "position"])
    for one in rows:
        of = one.kept.misfit
        position = "" if one.position is None else f"{one.position:,}"
        row = "" if of.row is None else f"{of.row:,}"
        why = "" if one.state is RowState.TAKEN else redact(one.reason)
        made.add_row(one.kept.short, of.source, of.place, row, one.state.value, position, why)
    return made


def _short(raw: str) -> str:
    """A row's text on one line, as far as there is room."""
    line = redact(raw.replace("\n", "\\n").replace("\r", "\\r"))
    return line if len(line) <= RAW_SHOWN else f"{line[:RAW_SHOWN]}..."


def _redacted(row: dict[str, object]) -> dict[str, object]:
    return {key: redact(value) if isinstance(value, str) else value for key, value in row.items()}

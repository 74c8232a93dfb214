"""`dualgauge log add`."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from dualgauge.cli.terminal.options import HERE, Debug, Format, FormatOption, MemoryLimit, ProjectDir
from dualgauge.cli.terminal.output import answering
from dualgauge.model import NextStep, plural

if TYPE_CHECKING:
    from dualgauge.eventlog.propose.propose import Proposed


def log_add(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="A CSV, JSONL or Parquet file (text files also with .gz), a glob in quotes, or a table as URL#TABLE.",
        ),
    ],
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="The source's name; default: from the file's.")
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Add it to pyproject.toml; nothing that stands there is changed.")
    ] = False,
    memory_limit: MemoryLimit = "1GB",
    project: ProjectDir = HERE,
    form: FormatOption = Format.TEXT,
    debug: Debug = False,
) -> None:
    """
    Propose a source for a file or a table: its columns and types, what identifies an event, and when it happened.

    Every row is looked at, and each choice is told with its reason. What is proposed is tried on all of them, so that
    an import takes it as it is. Without --write nothing is changed.

    Example: dualgauge log add data/orders.csv --write
    """
    with answering("log-add", project, form, debug=debug, memory_limit=memory_limit) as answer:
        made = answer.migration.log.propose(file, name=name, write=write)
        settings = answer.migration.project.file
        found = made.proposal

        def text(screen: Console) -> None:
            lines = f"[tool.dualgauge.log.columns]\n{made.columns}\n{made.source}" if made.columns else made.source
            for line in lines.rstrip("\n").split("\n"):
                screen.print(line, soft_wrap=True)
            screen.print()
            new = plural(len(found.new_columns), "column")
            done = f"added to {settings}" if write else f"nothing is written yet; it belongs into {settings}"
            screen.print(f"source {found.settings.name}, {new}: {done}", soft_wrap=True)

        again = "" if name is None else f" --name {name}"
        steps = (
            [
                NextStep("dualgauge log import --all", f"take in its {plural(found.events, 'event')}"),
                NextStep("dualgauge log show --from 1 --limit 3", "then look at them, and write the first views"),
            ]
            if write
            else [NextStep(f"dualgauge log add {shlex.quote(file)}{again} --write", "add it to the settings")]
        )
        answer.give(_json(made, str(settings)), text, next_steps=steps)


def _json(made: Proposed, file: str) -> dict[str, object]:
    found = made.proposal
    return {
        "settings": file,
        "written": made.written,
        "files": found.files,
        "rows": found.rows,
        "events": found.events,
        "source": found.table,
        "why": dict(found.why),
        "columns": [
            {
                "name": one.name, "type": one.type, "column": one.column, "distinct": one.distinct, "nulls": one.nulls,
                "why": one.why, "declared_already": one.known,
            }
            for one in found.columns
        ],
        "not_declared": list(found.left_out),
        "toml": {"columns": made.columns, "source": made.source},
    }  # fmt: skip

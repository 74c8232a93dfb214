"""`dualgauge plan`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

from dualgauge.cli.terminal.options import HERE, Debug, Format, FormatOption, ProjectDir
from dualgauge.cli.terminal.output import answering

if TYPE_CHECKING:
    from dualgauge.views.plan.plan import Plan

UNKNOWN = "unknown; a difference counts when it is still there after the settle time of `dualgauge diff`"


def plan(project: ProjectDir = HERE, form: FormatOption = Format.TEXT, debug: Debug = False) -> None:
    """
    Show what was found in the view files, and how each view is kept current.

    Says for each view its key, its columns, how it is kept and why, whether each row knows the last event that
    changed it, whether a difference can be traced back to events, whether its latest values may be NULL, which
    numbers SQLite keeps as text, and what is worth a warning.
    """
    with answering("plan", project, form, debug=debug) as answer:
        plans = answer.migration.views.plan()

        def text(screen: Console) -> None:
            for one in plans:
                view = one.view
                screen.print(f"{view.label}  key ({', '.join(view.key)})  definition {view.hash[:12]}", style="bold")
                if view.header.description:
                    screen.print(f"  {view.header.description}", soft_wrap=True)
                screen.print(f"  kept by: {one.strategy}; {one.why}", soft_wrap=True)
                columns = ", ".join(f"{name} {kind}" for name, kind in view.columns.items())
                screen.print(f"  columns: {columns}", soft_wrap=True)
                if long := one.long_decimals:
                    kept = "with more than 15 digits is a text, and sorts as one"
                    screen.print(f"  long numbers: on SQLite a value of {' or '.join(long)} {kept}", soft_wrap=True)
                for taken in one.latest:
                    screen.print(f"  {'latest' if taken.last else 'earliest'}: {taken.shown}", soft_wrap=True)
                if view.adopted:
                    known = "asked of its `-- position_query:`" if view.header.position_query else UNKNOWN
                    screen.print(f"  position: {known}", soft_wrap=True)
                    continue
                exact = "the last event that changed it" if one.exact else "the position of its build, an upper bound"
                screen.print(f"  each row carries: {exact}")
                traced = "yes" if one.tracing else "no; give the view an `-- affected_by:` header"
                screen.print(f"  differences can be traced to events: {traced}")
                for warning in one.warnings:
                    screen.print(f"  warning: {warning}", soft_wrap=True)
            if not plans:
                screen.print("no views yet: add .sql files to views_v1 and views_v2")

        answer.give(
            {
                "views": [
                    {
                        "side": one.view.side.value, "view": one.view.name, "file": str(one.view.file),
                        "key": list(one.view.key), "indexes": [list(index) for index in one.view.header.indexes],
                        "columns": dict(one.view.columns),
                        "definition_hash": one.view.hash, "strategy": one.strategy, "why": one.why,
                        "adopted": one.view.adopted, "row_position": _row_position(one),
                        "traceable": one.tracing is not None, "long_decimals": list(one.long_decimals),
                        "latest": [
                            {"column": taken.column or None, "sql": taken.sql, "value": taken.value,
                             "event": "last" if taken.last else "first", "nulls": "skip" if taken.skips else "keep"}
                            for taken in one.latest
                        ],
                        "warnings": list(one.warnings),
                    }
                    for one in plans
                ]
            },
            text,
        )  # fmt: skip


def _row_position(one: Plan) -> str | None:
    """How exactly a row knows its last event; nobody knows it of a table that code of the user's own keeps."""
    if one.view.adopted:
        return None
    return "exact" if one.exact else "bound"

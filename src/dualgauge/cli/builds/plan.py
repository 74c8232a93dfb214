"""`dualgauge plan`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

from dualgauge.cli.terminal.options import HERE, Debug, Format, FormatOption, ProjectDir
from dualgauge.cli.terminal.output import answering
from dualgauge.views.feeds import counts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dualgauge.views.header import Header
    from dualgauge.views.plan.plan import Plan

COUNTED = (
    "a count or a highest number is one only where no two writers overlap, as in SQLite: elsewhere name the source by "
    "`-- fed_by:`"
)
NOTHING_CHEAPER = "nothing is known that a tail could keep in its place"
NOT_TRACED = "no; give the view one `-- affected_by:` header with an expression for each column of the key"
UNKNOWN = "unknown; a difference counts when it is still there after the settle time of `dualgauge diff`"


def plan(project: ProjectDir = HERE, form: FormatOption = Format.TEXT, debug: Debug = False) -> None:
    """
    Show what was found in the view files, and how each view is kept current.

    Says for each view its key, its columns, how it is kept and why, what would let a tail keep it, whether each row
    knows the last event that changed it, whether a difference can be traced back to events, whether its latest values
    may be NULL, which numbers SQLite keeps as text, and what is worth a warning.
    """
    with answering("plan", project, form, debug=debug) as answer:
        plans = answer.migration.views.plan()

        def text(screen: Console) -> None:
            for one in plans:
                view = one.view
                screen.print(f"{view.label}  key ({', '.join(view.key)})  definition {view.hash[:12]}", style="bold")
                for line in (*_kept(one), *_rows(one)):
                    screen.print(f"  {line}", soft_wrap=True)
            if not plans:
                screen.print("no views yet: add .sql files to views_v1 and views_v2")

        answer.give({"views": list(map(_json, plans))}, text)


def _kept(one: Plan) -> Iterator[str]:
    """How a view is kept, a line each."""
    if one.view.header.description:
        yield one.view.header.description
    yield f"kept by: {one.strategy}; {one.why}"
    if one.strategy == "replay":
        yield f"cheaper: {one.advice or NOTHING_CHEAPER}"
    if one.full:
        yield f"in full: {one.full}"
    if one.windows:
        yield f"windows: {', '.join(one.windows)}; a late event changes the row of an old one"
    for names in one.view.header.unique:
        yield f"unique: {', '.join(names)}, as the view says; a replay and each batch of a tail look whether it is"


def _rows(one: Plan) -> Iterator[str]:
    """What is known of a view's rows, a line each."""
    yield f"columns: {', '.join(f'{name} {kind}' for name, kind in one.view.columns.items())}"
    if long := one.long_decimals:
        kept = "with more than 15 digits is a text, and sorts as one"
        yield f"long numbers: on SQLite a value of {' or '.join(long)} {kept}"
    for taken in one.latest:
        yield f"{'latest' if taken.last else 'earliest'}: {taken.shown}"
    if one.view.adopted:
        yield f"position: {_adopted_position(one.view.header)}"
        return
    exact = "the last event that changed it" if one.exact else "the position of its build, an upper bound"
    yield f"each row carries: {exact}"
    yield f"differences can be traced to events: {'yes' if one.tracing else NOT_TRACED}"
    for warning in one.warnings:
        yield f"warning: {warning}"


def _json(one: Plan) -> dict[str, object]:
    view = one.view
    return {
        "side": view.side.value, "view": view.name, "file": str(view.file), "key": list(view.key),
        "indexes": [list(index) for index in view.header.indexes], "columns": dict(view.columns),
        "definition_hash": view.hash, "strategy": one.strategy, "why": one.why, "advice": one.advice or None,
        "allow": "full" if view.allows_full else None, "full": one.full or None, "windows": list(one.windows),
        "unique": [list(names) for names in view.header.unique],
        "affected_by": [", ".join(line.parts) for line in view.header.affected_by],
        "adopted": view.adopted, "row_position": _row_position(one), "traceable": one.tracing is not None,
        "long_decimals": list(one.long_decimals),
        "latest": [
            {"column": taken.column or None, "sql": taken.sql, "value": taken.value,
             "event": "last" if taken.last else "first", "nulls": "skip" if taken.skips else "keep"}
            for taken in one.latest
        ],
        "warnings": list(one.warnings),
    }  # fmt: skip


def _adopted_position(header: Header) -> str:
    """How it is known up to which event an adopted table is."""
    if not header.position_query:
        fed = f"that of the source {header.fed_by}, which is read in one snapshot with the table"
        return fed if header.fed_by else UNKNOWN
    asked = "asked of its `-- position_query:`"
    if header.fed_by:
        return f"{asked}, a value of the cursor of the source {header.fed_by}"
    return f"{asked}; {COUNTED}" if counts(header.position_query) else asked


def _row_position(one: Plan) -> str | None:
    """How exactly a row knows its last event; nobody knows it of a table that code of the user's own keeps."""
    if one.view.adopted:
        return None
    return "exact" if one.exact else "bound"

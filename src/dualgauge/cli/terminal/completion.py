"""
Names for the shell to complete: views, comparators, sources, schedules and channels of the nearest project.

It has to be quick and must not disturb the line that is being typed: files are read and never run, no engine is
loaded, and whatever is wrong with the project gives no names.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import typer

from dualgauge.errors import DualgaugeError
from dualgauge.project.project import Project, find


def sources(ctx: typer.Context, incomplete: str) -> list[str]:
    """The sources of the settings."""
    return _given(ctx, incomplete, partial(_named, part="sources"))


def schedules(ctx: typer.Context, incomplete: str) -> list[str]:
    """The schedules of the settings."""
    return _given(ctx, incomplete, partial(_named, part="schedules"))


def channels(ctx: typer.Context, incomplete: str) -> list[str]:
    """The channels of the settings."""
    return _given(ctx, incomplete, partial(_named, part="channels"))


def views(ctx: typer.Context, incomplete: str) -> list[str]:
    """The views by name, and by side and name: `orders`, `v1.orders`, `v2.orders`."""
    return _given(ctx, incomplete, lambda project: [*_names(project), *_labels(project)])


def view_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """The views by name."""
    return _given(ctx, incomplete, _names)


def comparators(ctx: typer.Context, incomplete: str) -> list[str]:
    """The comparators by the names of their variables, and the views that both sides have."""
    return _given(ctx, incomplete, _comparators)


def _given(ctx: typer.Context, incomplete: str, names: Callable[[Project], Iterable[str]]) -> list[str]:
    try:
        project = find(Path(ctx.params.get("project") or "."))
        found = sorted(dict.fromkeys(names(project)))
    except (DualgaugeError, OSError, ValueError, SyntaxError, TypeError, AttributeError, RecursionError):
        # Half-written settings are usual while somebody types.
        return []
    return [one for one in found if one.startswith(incomplete)]


def _path(project: Project, name: str) -> Path:
    paths: dict[str, Any] = project.raw.get("paths", {})
    return project.path(paths.get(name, name))


def _named(project: Project, part: str) -> list[str]:
    return [one["name"] for one in project.raw.get(part, []) if isinstance(one.get("name"), str)]


def _side(project: Project, side: str) -> list[str]:
    return [file.stem for file in _path(project, f"views_{side}").glob("*.sql")]


def _names(project: Project) -> list[str]:
    return [*_side(project, "v1"), *_side(project, "v2")]


def _labels(project: Project) -> list[str]:
    return [f"{side}.{name}" for side in ("v1", "v2") for name in _side(project, side)]


def _comparators(project: Project) -> list[str]:
    shared = set(_side(project, "v1")) & set(_side(project, "v2"))
    return [*shared, *(name for file in _path(project, "comparators").glob("*.py") for name in _variables(file))]


def _variables(file: Path) -> list[str]:
    """The variables of a file that are given a `Comparator(...)`; the file is read, not run."""
    found = []
    for statement in ast.parse(file.read_text(encoding="utf-8")).body:
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        value = statement.value if isinstance(statement, ast.Assign | ast.AnnAssign) else None
        if isinstance(statement, ast.AnnAssign):
            targets = [statement.target]
        if isinstance(value, ast.Call) and _called(value).endswith("Comparator"):
            found += [one.id for one in targets if isinstance(one, ast.Name) and not one.id.startswith("_")]
    return found


def _called(call: ast.Call) -> str:
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""

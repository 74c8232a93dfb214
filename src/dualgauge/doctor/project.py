"""The project's own files: settings, folders, sources, views, comparators."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dualgauge.errors import redact
from dualgauge.model import Side, listed, plural

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dualgauge.doctor.values import Notes
    from dualgauge.engines.duck import Engine
    from dualgauge.views.plan.plan import Plan
    from dualgauge.workspace import Handles, Workspace


def look_at_content(notes: Notes, workspace: Workspace, handles: Handles) -> None:
    """Everything that a user writes."""
    _folders(notes, workspace)
    with notes.checking("engine"):
        engine = handles.engine
        notes.ok("engine", f"DuckDB starts, with {workspace.memory_limit} of memory")
        _sources(notes, workspace, engine)
        plans: Sequence[Plan] | None = None
        with notes.checking("views"):
            plans = handles.plans
            counts = [sum(one.view.side is side for one in plans) for side in Side]
            if plans:
                notes.ok("views", f"{plural(counts[0], 'view')} of v1, {counts[1]} of v2")
            else:
                notes.warn(
                    "views", "no view on either side", workspace.project.root, "add .sql files to views_v1 and views_v2"
                )
        with notes.checking("comparators"):
            _comparators(notes, workspace, handles, plans)


def _folders(notes: Notes, workspace: Workspace) -> None:
    paths = workspace.settings.paths
    for name in (paths.views_v1, paths.views_v2, paths.comparators):
        folder = workspace.project.path(name)
        if folder.is_dir():
            notes.ok("folders", f"{name} is there", folder)
        else:
            notes.warn("folders", f"there is no folder {name}", folder, f"mkdir {name}")
    environment = workspace.migrations_folder / "env.py"
    if environment.is_file():
        notes.ok("folders", f"{paths.migrations} has its Alembic environment", environment)
    else:
        notes.fail("folders", f"{paths.migrations} has no env.py, so no shape can be made in the store", environment,
                   "restore the folder from version control, or run `dualgauge init`")  # fmt: skip
    reports = workspace.reports
    place = _there(reports)
    if not place.is_dir():
        notes.fail("folders", f"{paths.reports} is not a folder", reports, "move that file away")
    elif not os.access(place, os.W_OK | os.X_OK):
        notes.fail("folders", f"{paths.reports} cannot be written: a diff keeps its evidence there", reports,
                   f"chmod u+rwx {place}, or set [tool.dualgauge.paths] reports", exit_code=1)  # fmt: skip
    else:
        notes.ok("folders", f"{paths.reports} can be written", reports)


def _there(path: Path) -> Path:
    """The path, or the nearest of its parents that exists: where it would be made."""
    return path if path.exists() or path == path.parent else _there(path.parent)


def _sources(notes: Notes, workspace: Workspace, engine: Engine) -> None:
    from dualgauge.eventlog.sources.databases import SAMPLE_ROWS
    from dualgauge.eventlog.sources.mapping import choose, select

    settings, root = workspace.settings.sources, workspace.project.root
    if not settings:
        notes.warn("sources", "the project has no source", workspace.project.file, "dualgauge log add FILE --write")
    for number, one in enumerate(settings):
        place = one.path or one.python or redact(one.url)
        with notes.checking("sources", place):
            (chosen,) = choose(settings, root, workspace.project.file, one.name, every=False)
            if one.path and not chosen.files:
                notes.warn("sources", f"{one.name}: no file matches", place, "check the path, if it should match some")
                continue
            sql = select(engine, chosen, workspace.settings.log.columns, number)
            found = "its database answers" if one.url else "imported"
            what = f"{one.name}: {plural(len(chosen.files), 'file') if chosen.files else found}"
            if engine.rows(f"SELECT 1 FROM ({sql}) LIMIT 1"):
                notes.ok("sources", f"{what}, whose columns fit", place)
            else:
                none = f"none of its first {SAMPLE_ROWS:,} rows is an event" if one.url else "without a row"
                notes.warn("sources", f"{what}, {none}", place, "fill it, or see its `where`")


def _comparators(notes: Notes, workspace: Workspace, handles: Handles, plans: Sequence[Plan] | None) -> None:
    from dualgauge.comparison.errors import NothingToCompare

    folder = workspace.project.path(workspace.settings.paths.comparators)
    given = handles.comparators
    if plans is None:
        what = f"{plural(len(given), 'comparator')} loaded; whether they fit the views cannot be told"
        notes.warn("comparators", what, folder, "mend the views first")
        return
    try:
        names = [pair.name for pair in handles.pairs()]
    except NothingToCompare:
        notes.warn("comparators", "there is nothing to compare", folder, "give v1 and v2 a view of the same name")
        return
    notes.ok("comparators", f"{plural(len(given), 'comparator')}; a diff compares {listed(names)}", folder)

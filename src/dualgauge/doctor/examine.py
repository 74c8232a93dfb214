"""The examination as a whole: the machine first, then the project, then what the tool keeps of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualgauge.doctor.data import look_at_data
from dualgauge.doctor.machine import look_at_machine
from dualgauge.doctor.project import look_at_content
from dualgauge.doctor.values import Examination, Notes
from dualgauge.model import Clock, utc_now
from dualgauge.project.project import find
from dualgauge.project.settings import validate
from dualgauge.settings import Settings
from dualgauge.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path


def examine(start: Path, *, clock: Clock = utc_now) -> Examination:
    """
    Look at the set-up at a path or above it, and change nothing. It raises nothing: what fails is a finding.

    Args:
        start: where to begin looking for the project; without one, the machine alone is looked at.
        clock: gives the present.
    """
    now = clock()
    notes = Notes()
    look_at_machine(notes, now)
    workspace = None
    with notes.checking("project", start.absolute()):
        project = find(start)
        notes.ok("project", "found", project.file)
        workspace = Workspace(project=project, settings=validate(Settings, project.raw, project.file), clock=clock)
        notes.ok("settings", f"valid; the migration is {workspace.settings.migration!r}", project.file)
    if workspace is not None:
        with workspace.open() as handles:
            look_at_content(notes, workspace, handles)
            look_at_data(notes, workspace, handles, now)
    return Examination(tuple(notes.findings))

"""What the tool keeps: the log, the store, the ledger, and the room they need."""

from __future__ import annotations

import shutil
from datetime import timedelta
from typing import TYPE_CHECKING

from dualgauge.doctor.machine import size
from dualgauge.model import Side, listed, plural

if TYPE_CHECKING:
    from datetime import datetime

    from dualgauge.doctor.values import Notes
    from dualgauge.workspace import Handles, Workspace

AHEAD = timedelta(minutes=5)
"""An event recorded this much in the future was recorded by another clock."""

WAIT_SECONDS = 5.0
"""How long a server, or another writer, may keep the examination waiting."""

IMPORT = "dualgauge log import --all"

UPGRADE = "dualgauge migrate upgrade"


def look_at_data(notes: Notes, workspace: Workspace, handles: Handles, now: datetime) -> None:
    """The log, the store's files, the ledger, and whether the builds are what the files say."""
    with notes.checking("log", workspace.log_place):
        _log(notes, handles)
    for side in Side:
        with notes.checking("store"):
            _store(notes, handles, side)
    with notes.checking("shapes", workspace.migrations_folder):
        _shapes(notes, workspace, handles)
    with notes.checking("ledger"):
        _ledger(notes, workspace, handles, now)
    with notes.checking("builds"):
        _builds(notes, handles)
    with notes.checking("disk", workspace.project.root):
        _disk(notes, workspace, handles)


def _log(notes: Notes, handles: Handles) -> None:
    log = handles.log
    if not log.exists:
        notes.warn("log", "there is no log yet", log.path, IMPORT)
        return
    files, present = log.event_files(), set(log.place.names())
    missing = [one.name for one in files if one.name not in present]
    if missing:
        notes.fail("log", f"files of the log are gone: {listed(missing, 3)}", log.path, "restore them from a backup")
        return
    notes.ok("log", f"head at position {log.head().last:,}, in {plural(len(files), 'file')}", log.path)


def _store(notes: Notes, handles: Handles, side: Side) -> None:
    file, found = handles.builds.file(side), handles.builds.health(side)
    if found is None:
        notes.warn("store", f"{side.value} has no file yet", file, "dualgauge replay")
    elif found.problems:
        notes.fail("store", f"{side.value} is damaged: {found.problems[0]}", file,
                   "move the file away and run `dualgauge replay`: the log has everything", exit_code=1)  # fmt: skip
    elif found.journal_mode != "wal":
        what = f"{side.value} keeps its journal as {found.journal_mode}, so readers wait for writers"
        notes.warn("store", what, file, f"sqlite3 {file} 'PRAGMA journal_mode = WAL'")
    else:
        notes.ok("store", f"{side.value} is whole (quick check, journal {found.journal_mode})", file)
    for view in found.not_as_served if found else ():
        what = f"the SQL view of {side.value}.{view} is gone, or is not the one that readers were given"
        notes.fail("store", what, file, "dualgauge replay", exit_code=1)


def _shapes(notes: Notes, workspace: Workspace, handles: Handles) -> None:
    from dualgauge.replay.run import shape_of

    shapes = [shape_of(view) for view in handles.views if not view.adopted]
    missing = handles.builds.missing(workspace.migrations_folder, shapes)
    if missing:
        mend = "dualgauge replay" if workspace.settings.store.migrate == "auto" else "dualgauge migrate revision"
        lacking = listed([one.split()[-1] for one in missing], 4)
        notes.warn("shapes", f"the store lacks {lacking}", workspace.migrations_folder, mend)
    else:
        notes.ok("shapes", f"the store has the shapes of {plural(len(shapes), 'view')}", workspace.migrations_folder)


def _ledger(notes: Notes, workspace: Workspace, handles: Handles, now: datetime) -> None:
    from dualgauge.ledger.database import Database
    from dualgauge.ledger.errors import NoLedger, OlderLedger
    from dualgauge.ledger.ledger import Ledger
    from dualgauge.ledger.tables import HEAD, REVISIONS
    from dualgauge.ledger.upgrade import look

    database = Database(workspace.ledger_url, timeout=WAIT_SECONDS)
    where = database.shown
    try:
        found = look(database)
    except NoLedger:
        notes.warn("ledger", "there is no ledger yet", where, "dualgauge replay")
        return
    except OlderLedger as older:
        notes.warn("ledger", f"it is at revision {older.found}, and this version works with {HEAD}", where, UPGRADE)
        return
    finally:
        database.close()
    if found != HEAD:
        mend = UPGRADE if found in REVISIONS else "upgrade dualgauge"
        notes.warn("ledger", f"it is at revision {found}, and this version works with {HEAD}", where, mend)
    with Ledger.look(workspace.ledger_url, timeout=WAIT_SECONDS) as ledger:
        bad, rows = ledger.verify_journal(), ledger.journal()
        if bad is not None:
            row = f" at row {bad.seq}" if bad.seq else ""
            notes.fail("ledger", f"the journal was changed by hand{row}: {bad.problem}", where,
                       "dualgauge journal --verify", exit_code=1)  # fmt: skip
        else:
            notes.ok("ledger", f"reachable, its journal of {plural(len(rows), 'row')} verified", where)
        newest = max((row.at for row in rows if not row.unreadable), default=None)
        if newest is not None and newest > now + AHEAD:
            notes.warn("clock", f"the journal's last row is from {newest:%Y-%m-%d %H:%M} UTC, which is still to come",
                       mend="set the clock of this machine, or of the one that wrote it")  # fmt: skip
        head, commits = handles.log.head(), ledger.log_commits()
        if commits and (commits[-1].place[0], commits[-1].chain) == (head.last, head.chain):
            notes.ok("log", "the ledger has the same chain of digests", where)
        elif commits or head.last:
            last = commits[-1].place[0] if commits else 0
            notes.warn("log", f"the ledger's copy of the chain ends at position {last:,}, or differs", where, IMPORT)


def _builds(notes: Notes, handles: Handles) -> None:
    from dualgauge.cutover.status import ViewReadiness, view_status

    head, served = handles.log.head().last, handles.served
    found = [view_status(view, served[view.side].get(view.name), head) for view in handles.views]
    built = [one for one in found if not one.adopted]
    waiting = [one for one in built if one.readiness is not ViewReadiness.READY]
    for one in waiting:
        notes.warn("builds", f"{one.side.value}.{one.view} is {one.readiness.value}", mend="dualgauge replay")
    if built and not waiting:
        notes.ok("builds", f"{plural(len(built), 'view')} at the head, each with the text of its file")
    for one in found:
        if one.adopted:
            place = "cannot be told" if one.position is None else f"is {one.position:,}, and the log's head {head:,}"
            notes.ok("builds", f"{one.side.value}.{one.view} is adopted from {one.adopted}: its position {place}")


def _disk(notes: Notes, workspace: Workspace, handles: Handles) -> None:
    files = [*handles.log.files(), *map(handles.builds.file, Side)]
    used = sum(file.stat().st_size for file in files if file.is_file())
    free = shutil.disk_usage(workspace.project.root).free
    said = f"{size(free)} free; log and store take {size(used)}"
    # A replay builds each view anew beside the one that is read.
    if free < 2 * used:
        notes.warn("disk", f"{said}, and a replay needs as much again", workspace.project.root, "free some space")
    else:
        notes.ok("disk", said, workspace.project.root)

"""What a serving store refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualgauge.errors import ConflictError, DataError, DualgaugeError, UsageError
from dualgauge.model import NextStep, listed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class NoStoreType(UsageError):
    """A DuckDB type that the stores cannot hold."""

    def __init__(self, view: str, column: str, kind: str, advice: str) -> None:
        self.view, self.column, self.kind = view, column, kind
        super().__init__(f"view {view}: column {column!r} is {kind}, which no store can hold; {advice}")


class UnstorableValue(DataError):
    """A value that its column's stored type cannot hold exactly."""

    def __init__(self, view: str, reason: str) -> None:
        self.view, self.reason = view, reason
        super().__init__(f"view {view}: {reason}; nothing was served from this build, and readers keep the one before")


class BadKeys(DataError):
    """A view whose rows do not have one key each."""

    def __init__(self, view: str, key: Sequence[str], problem: str, sample: str) -> None:
        self.view, self.key, self.problem, self.sample = view, tuple(key), problem, sample
        super().__init__(
            f"view {view}: {problem} in its key ({listed(key)}), for example {sample}; a key is never NULL and is "
            "there once: filter or group the rows in the view's SELECT, or choose another key; "
            "readers keep the build before"
        )


class MissingShape(ConflictError):
    """A view whose shape is not in the store, with `migrate = "manual"`."""

    def __init__(self, views: Sequence[str]) -> None:
        self.views = tuple(views)
        super().__init__(
            f"the store's shapes are not those of the views: {listed(views)}; with [tool.dualgauge.store] migrate = "
            '"manual" '
            "the revision is yours: write it, read it, and apply it",
            next_steps=(
                NextStep("dualgauge migrate revision", "write the missing revision"),
                NextStep("dualgauge migrate upgrade", "apply it"),
            ),
        )


class NotBuilt(ConflictError):
    """A view that has no build readers could be given."""

    def __init__(self, view: str) -> None:
        self.view = view
        super().__init__(
            f"view {view} has no build yet; replay it first",
            next_steps=(NextStep("dualgauge replay", "build every view from the log"),),
        )


class Fenced(ConflictError):
    """Another process has taken over the build."""

    def __init__(self, view: str, build: int, mine: int, now: int) -> None:
        self.view, self.build, self.mine, self.now = view, build, mine, now
        super().__init__(
            f"build {build} of view {view} was taken over by another process (epoch {now}, this one had {mine}); "
            "nothing more was written here: let that one finish, and look with `dualgauge status`"
        )


class StoreHeld(ConflictError):
    """The database is locked by another process for longer than we wait."""

    def __init__(self, path: str, seconds: float, holders: Sequence[int] = ()) -> None:
        self.path, self.seconds, self.holders = path, seconds, tuple(holders)
        which = f" (process {listed(holders)})" if holders else ""
        super().__init__(
            f"{path} has been held by another process's transaction{which} for over {seconds:g} seconds; "
            "nothing was written: wait for that process or end it, and run the command again"
        )


class StoreRefused(DualgaugeError):
    """A store file that the system does not let us make, read or write."""

    def __init__(self, path: str, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(
            f"{path} cannot be used: {reason}; nothing was written: see that you may write the file and its folder (a "
            "read needs that too) and that the disk has room, or set [tool.dualgauge.store] url to another place"
        )


class RevisionFailed(DualgaugeError):
    """A revision that Alembic, or the store, refused."""

    def __init__(self, folder: Path, reason: str) -> None:
        self.folder, self.reason = folder, reason
        super().__init__(
            f"the revisions in {folder / 'versions'} cannot be applied: {reason}; nothing of them was kept: "
            "mend or restore the revision, and run the command again",
            next_steps=(NextStep("dualgauge migrate history", "see which revisions are applied"),),
        )


class NotADatabase(DualgaugeError):
    """A store file that holds something else."""

    exit_code = 2

    def __init__(self, path: Path | str, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(
            f"{path} cannot be opened as a SQLite database: {reason}; set [tool.dualgauge.store] url to another file, "
            "or move this one away and replay: everything in a store can be rebuilt from the log"
        )


class NoMigrations(UsageError):
    """The Alembic environment is not there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        super().__init__(
            f"{folder} has no env.py: the store's shapes are owned by an Alembic environment there; "
            "restore the folder from version control"
        )


class BadKey(UsageError):
    """A key on the command line that does not fit the view's key."""

    def __init__(self, view: str, columns: Sequence[str], reason: str) -> None:
        self.view, self.columns, self.reason = view, tuple(columns), reason
        super().__init__(f"view {view}: {reason}; its key is {listed(columns)}, so give {len(columns)} in that order")

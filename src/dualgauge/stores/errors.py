"""What a serving store refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualgauge.errors import ConflictError, DataError, DualgaugeError, UsageError
from dualgauge.model import NextStep, listed, nearest

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from dualgauge.stores.adopted.adoption import Adoption


class BadStoreUrl(UsageError):
    """A setting that, with its environment variables, is no URL that can be used."""

    def __init__(self, key: str, reason: str) -> None:
        self.key, self.reason = key, reason
        super().__init__(f"{key}: {reason}; mend the setting or the variable that it names")


class NoStoreType(UsageError):
    """A DuckDB type that the stores cannot hold."""

    def __init__(self, view: str, column: str, kind: str, advice: str) -> None:
        self.view, self.column, self.kind = view, column, kind
        super().__init__(f"view {view}: column {column!r} is {kind}, which no store can hold; {advice}")


class UnstorableValue(DataError):
    """A value that its column's stored type cannot hold exactly."""

    def __init__(self, view: str, reason: str) -> None:
        self.view, self.reason = view, reason
        super().__init__(f"view {view}: {reason}; nothing of it was written, and readers keep what they had")


class BadKeys(DataError):
    """A view whose rows do not have one key each."""

    def __init__(self, view: str, key: Sequence[str], problem: str, sample: str) -> None:
        self.view, self.key, self.problem, self.sample = view, tuple(key), problem, sample
        super().__init__(
            f"view {view}: {problem} in its key ({listed(key)}), for example {sample}; a key is never NULL and is "
            "there once: filter or group the rows in the view's SELECT, or choose another key; "
            "readers keep what they had"
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

    def __init__(self, view: str, served: Iterable[str] = ()) -> None:
        self.view = view
        super().__init__(
            f"view {view} has no build yet{nearest(view.partition('.')[2], served)}; replay it first",
            next_steps=(NextStep("dualgauge replay", "build every view from the log"),),
        )


class NotAsServed(ConflictError):
    """A view whose SQL view was dropped or made anew by another hand, so that readers do not get its build."""

    def __init__(self, view: str) -> None:
        self.view = view
        super().__init__(
            f"the SQL view of {view} is gone, or is not the one that readers were given: it was changed by hand",
            next_steps=(NextStep("dualgauge replay", "build the view anew and let readers have it"),),
        )


class NameTaken(ConflictError):
    """A table of another hand in the place of the SQL view that readers are to have."""

    def __init__(self, view: str) -> None:
        self.view = view
        side, _, name = view.partition(".")
        super().__init__(
            f"{side} has a table {name!r}, which dualgauge did not make, where readers are to have their SQL view: "
            "drop or rename the table, then run the command again; what was built so far is kept"
        )


class BuildGone(ConflictError):
    """A build that was taken from readers, and dropped, before all of it was read."""

    def __init__(self, view: str) -> None:
        self.view = view
        super().__init__(
            f"view {view}: its build was replaced while it was read; nothing was compared: run the command again"
        )


class ReadingEnded(DualgaugeError):
    """A build that could not be read to its end."""

    def __init__(self, path: Path | str, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"{path} could not be read to its end: {reason}; nothing was compared: run the command again")


class ReaderForked(UsageError):
    """A read through a reader that another process opened: this one was forked from it."""

    def __init__(self, side: str, process: int) -> None:
        self.side, self.process = side, process
        super().__init__(
            f"the reader of {side} was opened in process {process}, and this is another one, forked from it; nothing "
            "was read: open a reader in the process that reads"
        )


class Fenced(ConflictError):
    """Another process has taken over the build."""

    def __init__(self, view: str, build: int, mine: int, now: int) -> None:
        self.view, self.build, self.mine, self.now = view, build, mine, now
        super().__init__(
            f"build {build} of view {view} was taken over by another process (epoch {now}, this one had {mine}); "
            "nothing more was written here: let that one finish, and look with `dualgauge status`"
        )


class SideHeld(ConflictError):
    """Another process brings a side's builds forward."""

    def __init__(self, side: str, holder: str, until: dt.datetime) -> None:
        self.side, self.holder, self.until = side, holder, until
        super().__init__(
            f"{side} is held by {holder} until {until:%Y-%m-%d %H:%M:%S}Z, and longer while that one runs; nothing was "
            "written: let it go on, or end it and run the command again"
        )


class LeaseLost(ConflictError):
    """Another process has taken over a side that this one held."""

    def __init__(self, side: str, holder: str) -> None:
        self.side, self.holder = side, holder
        super().__init__(
            f"{side} was taken over by {holder}, because the lease of this process had run out; nothing more was "
            "written here: look with `dualgauge status`"
        )


class NotNext(ConflictError):
    """A build is not where a batch begins."""

    def __init__(self, view: str, build: int, position: int, first: int) -> None:
        self.view, self.build, self.position, self.first = view, build, position, first
        super().__init__(
            f"build {build} of view {view} is at position {position}, and the batch begins at {first}; nothing was "
            "written: run the command again, which begins where the build is"
        )


class StoreHeld(ConflictError):
    """The database is locked by another process for longer than we wait."""

    def __init__(self, path: str, seconds: float, holders: Sequence[int] = ()) -> None:
        self.path, self.seconds, self.holders = path, seconds, tuple(holders)
        which = f" (process {listed(holders)})" if holders else ""
        super().__init__(
            f"{path} has been held by another process's transaction{which} for over {seconds:g} seconds; "
            "what was under way wrote nothing: wait for that process or end it, and run the command again"
        )


class StoreRefused(DualgaugeError):
    """A store file that the system does not let us make, read or write."""

    def __init__(self, path: str, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(
            f"{path} cannot be used: {reason}; what was under way wrote nothing: see that you may write the file and "
            "its folder (a read needs that too) and that the disk has room, or set [tool.dualgauge.store] url to "
            "another place"
        )


class StoreDamaged(DualgaugeError):
    """A store file that lacks what dualgauge made in it."""

    def __init__(self, path: str, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(
            f"{path} lacks what dualgauge made in it: {reason}; what was under way wrote nothing: put back the file, "
            "or move it away and replay: everything in a store can be rebuilt from the log",
            next_steps=(NextStep("dualgauge doctor", "see what else is wrong"),),
        )


class StoreReplaced(ConflictError):
    """A store file that another one took the place of, or that was removed, while it was open."""

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(
            f"{path} was replaced or removed while it was being written; what was under way wrote nothing to the file "
            "that is there now: run the command again, which goes on from what that has",
            next_steps=(NextStep("dualgauge status", "see what readers get"),),
        )


class NobodyHolds(StoreReplaced):
    """A side that this process held, whose database knows of an earlier time alone."""

    def __init__(self, side: str) -> None:
        self.side = side
        DualgaugeError.__init__(
            self,
            f"{side} is held by this process no longer, and nobody has taken it: its database was put back from a "
            "backup; nothing more was written: run the command again, which goes on from what is there",
            next_steps=(NextStep("dualgauge status", "see what readers get"),),
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


class BadTablesUrl(UsageError):
    """A URL that names no database that can be opened; `url` is as it may be shown."""

    def __init__(self, url: str, reason: str) -> None:
        self.url, self.reason = url, reason
        super().__init__(
            f"the database {url} cannot be opened: {reason}; "
            "write it as sqlite:///shop.db or postgresql://user@host/database"
        )


class NoTablesFile(UsageError):
    """A SQLite database that is not there: it is only read, so it is never made."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"{path} cannot be read as a SQLite database: {reason}; correct its path")


class TablesUnreachable(DualgaugeError):
    """Somebody else's database does not answer, or is none; `url` is as it may be shown."""

    def __init__(self, url: str, reason: str) -> None:
        self.url, self.reason = url, reason
        super().__init__(
            f"{url} cannot be read: {reason}; see that it is the right one, that it runs, and that you may read it"
        )


class TablesRefused(UsageError):
    """A statement that somebody else's database refuses: it is wrong, or it would write."""

    def __init__(self, url: str, reason: str) -> None:
        self.url, self.reason = url, reason
        super().__init__(f"{url} refuses the query: {reason}; it is only read: give one SELECT that it can answer")


class NoTable(UsageError):
    """A name that no table or view of the database has."""

    def __init__(self, url: str, table: str, known: Sequence[str]) -> None:
        self.url, self.table = url, table
        have = f"it has {listed(known)}" if known else "it has no tables"
        super().__init__(f"{url} has no table {table!r}{nearest(table, known)}; {have}; name one of its tables")


class NoTableColumn(UsageError):
    """A name that no column of the table has."""

    def __init__(self, table: str, column: str, known: Iterable[str]) -> None:
        names = list(known)
        self.table, self.column = table, column
        super().__init__(
            f"table {table} has no column {column!r}{nearest(column, names)}; it has {listed(names)}; name one of them"
        )


class AdoptedTableMissing(UsageError):
    """A view file adopts a table that its database does not have."""

    def __init__(self, adoption: Adoption, fault: NoTable) -> None:
        self.table = adoption.table
        super().__init__(
            f"{adoption.file}: {fault}, or name the database in [tool.dualgauge.store] adopt_url",
        )


class BadPosition(UsageError):
    """The position query of an adopted view does not give a position."""

    def __init__(self, adoption: Adoption, reason: str) -> None:
        self.reason = reason
        advice = (
            f"write a SELECT that gives the value of the cursor of source {adoption.fed_by!r} up to which the table "
            "has every row"
            if adoption.fed_by
            else "write a SELECT that gives the number of the last event that the table has in it, or remove the line: "
            "the position is then unknown"
        )
        super().__init__(f"{adoption.file}: `-- position_query:` {reason}; {advice}")


class UnreadableValue(DataError):
    """A value that the database itself cannot hand out as what it says it is."""

    def __init__(self, url: str, reason: str) -> None:
        self.url, self.reason = url, reason
        super().__init__(f"{url} holds a value that cannot be read: {reason}; correct that row in its application")


class UnfitValue(DataError):
    """A value that is none of the type by which its column leaves the database."""

    def __init__(self, url: str, column: str, value: object, kind: str) -> None:
        self.url, self.column, self.value, self.kind = url, column, value, kind
        super().__init__(
            f"{url}: column {column!r} holds {_short(value)}, which is no {kind}; correct that row in its application, "
            "or give a statement that makes a text of the column"
        )


class NoCursorColumn(UsageError):
    """The column by which new rows are told is not there."""

    def __init__(self, what: str, column: str, known: Iterable[str]) -> None:
        names = list(known)
        self.what, self.column = what, column
        super().__init__(
            f"{what} has no column {column!r}{nearest(column, names)}, which its cursor names; it has {listed(names)}; "
            "name a column that grows"
        )


class AlikeColumns(UsageError):
    """Two columns of a table or a query that SQL of the engine takes for one; `kept`: the second is the import's."""

    def __init__(self, what: str, first: str, second: str, *, kept: bool) -> None:
        self.what, self.first, self.second = what, first, second
        if kept:
            reason = f"has a column {first!r}, by which name an import keeps a row's place in the order of the cursor"
        elif first == second:
            reason = f"has two columns called {first!r}"
        else:
            reason = f"has the columns {first!r} and {second!r}, which differ by case alone"
        super().__init__(
            f"{what} {reason}, so one would be taken for the other; read it by statement = ..., a SELECT that gives it "
            f'another name (`"{second}" AS other_name`)'
        )


class UnnamedColumn(UsageError):
    """A column of a table or a query that has an empty name; `place` counts from 1."""

    def __init__(self, what: str, place: int) -> None:
        self.what, self.place = what, place
        super().__init__(
            f"{what} gives its column {place} an empty name, which SQL cannot say; read it by statement = ..., a "
            "SELECT that gives each column a name (`AS other_name`)"
        )


class UnfitCursor(UsageError):
    """The column by which new rows are told holds what cannot be kept and asked for again."""

    def __init__(self, what: str, column: str, kind: str) -> None:
        self.what, self.column, self.kind = what, column, kind
        super().__init__(
            f"{what}: the cursor column {column!r} holds values of the type {kind}; name a column that grows, of "
            "numbers, texts, dates or times"
        )


class NullCursor(DataError):
    """A row without a value in the column by which new rows are told: it would be read once, or never."""

    def __init__(self, what: str, column: str) -> None:
        self.what, self.column = what, column
        super().__init__(
            f"{what} has a row whose cursor column {column!r} is NULL, so nobody can tell when it is new; fill the "
            "column, name another one, or leave such rows out by a statement with a WHERE"
        )


def _short(value: object) -> str:
    text = repr(value)
    most = 60
    return text if len(text) <= most else f"{text[:most]}..."

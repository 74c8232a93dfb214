"""
What a serving store does: the port that replay, comparison and reads go through.

`tests/contract/store.py` holds what every implementation must show.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from dualgauge_router.stores.freshness import TIMEOUT

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import Any, Self

    import pyarrow as pa
    from alembic.runtime.environment import EnvironmentContext

    from dualgauge.model import Position, Side
    from dualgauge.stores.adopted.adopting import AdoptedRows
    from dualgauge.stores.external.sql_location import SqlLocation
    from dualgauge.stores.serving.checkpoints import Checkpoint
    from dualgauge.stores.serving.migrations import Revision
    from dualgauge.stores.serving.shapes import Shape
    from dualgauge.stores.serving.tail_state import TailState
    from dualgauge.stores.serving.writers import Lease


@dataclass(frozen=True, slots=True)
class Health:
    """
    `problems` is what the database's own check found, at most five lines; none is whole.

    `not_as_served` are views whose SQL view was dropped, or made anew by another hand.
    """

    journal_mode: str
    problems: tuple[str, ...]
    not_as_served: tuple[str, ...] = ()


class Loading(Protocol):
    """A build that this process is loading, under its epoch."""

    @property
    def build(self) -> int:
        """The build's number."""

    @property
    def rows(self) -> int:
        """Rows loaded so far, in key order; more than 0 at the start where a killed load is resumed."""

    def append(self, batch: pa.RecordBatch) -> None:
        """
        Load more rows, with the progress, in one transaction.

        The batch has the columns of the shape as `types.bound_columns` makes them, in its order, and `_position`.

        Raises:
            Fenced: another process took the build over; nothing was written.
        """

    def keep(self, lookups: Sequence[tuple[int, str, str]]) -> None:
        """
        Keep what the view looks up beside the build: the number of a look-up, a key and its last row, as text.

        Raises:
            Fenced: another process took the build over; nothing was written.
        """

    def finish(self) -> int | None:
        """
        Index the build; then move its checkpoint to the target and let readers have it, in one transaction.

        Gives the number of the build that readers had. Older ones are dropped. Where a process brings the side forward,
        the checkpoint moves alone: that process lets readers have the build once both are at one position.

        Raises:
            Fenced: another process took the build over; readers keep what they had.
        """


class Advancing(Protocol):
    """A whole build that this process brings forward, batch by batch, under its epoch."""

    @property
    def position(self) -> Position:
        """The position that it is at."""

    @property
    def history(self) -> str | None:
        """What the log was known by at that position."""

    @property
    def fits(self) -> bool:
        """Whether it has the columns that its view's plan asks for; a build of another version may not."""

    def stored(self, keys: pa.Table) -> pa.Table:
        """
        What is stored of some keys: `_i`, the place of the key among those asked for, and the hidden columns.

        Keys that the build has no row of are left out. The columns of `keys` are those of the shape's key, in its
        order, as `types.bound_columns` makes them.

        Raises:
            Fenced: the build is gone, or another process took it over.
        """

    def newest(self, column: str) -> object:
        """The highest value of a column of its key, as it is stored; None where it has no row."""

    def lookups(self) -> list[tuple[int, str, str]]:
        """What is kept beside the build of what its view looks up; see `Loading.keep`."""

    def apply(
        self, rows: pa.Table, first: Position, last: Position, history: str | None, *, new: bool,
        lookups: Sequence[tuple[int, str, str]] = (),
    ) -> None:  # fmt: skip
        """
        Write the rows of a batch, and move the checkpoint over it, in one transaction.

        Args:
            rows: as `Loading.append` takes them, at most one a key.
            first: the batch's first event.
            last: its last one.
            history: what the log is known by there; None where it cannot say.
            new: whether no row may be there yet; else a row takes the place of the one with its key.
            lookups: what the view looks up from now on; each takes the place of the one with its key.

        Raises:
            BadKeys: a key is NULL; or `new`, and it is there.
            Fenced, LeaseLost: another process took over the build, or the side; nothing was written.
            NotNext: the build is not right before `first`; nothing was written.
        """

    def pass_over(self, others: Sequence[Self], first: Position, last: Position, history: str | None) -> None:
        """
        Move its checkpoint, and those of other builds of its side, over a batch that changes nothing in them.

        Raises:
            Fenced, LeaseLost, NotNext: as `apply`, for one of them; none was moved.
        """


@dataclass(frozen=True, slots=True)
class Only:
    """
    Some rows of a build: those of some keys, and a stretch of all, in the order in which the store keeps them.

    Args:
        key: the names of the key's columns, in the build's order.
        keys: the keys, as `Snapshot.bound` makes their columns, each once.
        after: the stretch begins behind this key, as it is stored; None: with the first.
        upto: and ends with this one; None: with the last.
    """

    key: tuple[str, ...]
    keys: pa.Table
    after: tuple[Any, ...] | None
    upto: tuple[Any, ...] | None


class Snapshot(Protocol):
    """One side at one moment: every read in it sees the same state."""

    def served(self, view: str) -> Checkpoint | None:
        """The build of a view that readers get; None where there is none. Raises NotAsServed."""

    def export(
        self, view: str, columns: Mapping[str, str], to: Path, only: Only | None = None
    ) -> AbstractContextManager[Iterator[int]]:  # fmt: skip
        """
        Begin to write rows of the served build into a Parquet file, which is whole when the iteration is at its end.

        All of them, or `only` some. Several are written at once where they are begun before the first is waited for.
        `columns` are names, of public and hidden columns alike, with DuckDB types; `exported` says how the file is
        read. What is iterated over are the numbers of rows written so far.

        Raises:
            BuildGone: readers were given another build meanwhile, and this one was dropped.
        """

    def exported(self, view: str, columns: Mapping[str, str]) -> tuple[dict[str, str], str]:
        """How what `export` wrote is read: the file's columns with their DuckDB types, and what to SELECT of them."""

    def bound(self, view: str, columns: Mapping[str, str]) -> list[str]:
        """For each column, given with its DuckDB type, the expression of what the store keeps of it."""

    def place(self, view: str, key: Sequence[str], after: tuple[Any, ...] | None, rows: int) -> tuple[Any, ...] | None:
        """The key of the last of so many rows behind a key of the served build, as stored; None: no more is left."""

    def adopted(self, view: str) -> AdoptedRows | None:
        """The table of the user's own behind a view; None where readers get a build."""


class PointReader(Protocol):
    """Point reads of one side; each sees the build that is served at that moment."""

    def get(
        self, view: str, key: Sequence[str], *, at_least: int | None = None, timeout: float = TIMEOUT
    ) -> dict[str, Any] | None:  # fmt: skip
        """
        The row of a key; None where there is none.

        With `at_least`, what readers get of the view is first waited for until it is at that position of the log or
        past it, for at most `timeout` seconds.

        Raises:
            NotBuilt, BadKey: there is no such view, or no such key.
            NotFresh: the view did not come to the position in time.
            PositionUnknown: the view is an adopted table that does not say how far it is.
        """


class ServedStore(Protocol):
    """A database that answers reads, with one schema a side: builds, and tables of the user's own."""

    def served_builds(self, side: Side) -> dict[str, Checkpoint]:
        """The checkpoint of each build that readers get, by view, in one transaction."""

    def served(self, side: Side) -> dict[str, int]:
        """Which build of each view readers get."""

    def snapshot(self, side: Side) -> AbstractContextManager[Snapshot]:
        """One side at one moment."""

    def point(self, side: Side, view: str, key: Sequence[str]) -> dict[str, Any] | None:
        """The row of a key through what readers see; None where there is none. Raises NotBuilt, BadKey."""

    def reader(self, side: Side) -> AbstractContextManager[PointReader]:
        """Many point reads of one side through one connection."""


class BuildStore(ServedStore, Protocol):
    """A serving store that dualgauge fills: shapes by revisions, and builds of the views. It has no adopted table."""

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`: which column of the type table counts."""

    def waiting(self, side: Side, seconds: float) -> Self:
        """The same store, which waits no longer for another process's transaction in a side's database."""

    def revise(self, folder: Path, shapes: Sequence[Shape], message: str = "") -> Revision | None:
        """Write the revision that brings the shapes to the views; None where none is due. It names them by default."""

    def upgrade(self, folder: Path, shapes: Sequence[Shape]) -> list[Revision]:
        """Apply what is not applied; gives it."""

    def history(self, folder: Path) -> list[Revision]:
        """All revisions, oldest first."""

    def missing(self, folder: Path, shapes: Sequence[Shape]) -> list[str]:
        """What the shapes in the store lack, a line each."""

    def has_shape(self, shape: Shape) -> bool:
        """Whether the store's table schema of a view is this one; nothing is written."""

    def run_alembic(self, context: EnvironmentContext, shapes: Sequence[Shape]) -> None:
        """Run Alembic's environment on the store, or print its statements: what env.py does under plain `alembic`."""

    def checkpoints(self, side: Side) -> list[Checkpoint]:
        """Every build of a side."""

    def load(
        self, shape: Shape, definition_hash: str, text: str, target: Position, history: str | None,
        *, keep: dt.timedelta = ...,
    ) -> AbstractContextManager[Loading]:  # fmt: skip
        """
        Begin the build of a view's answer at a position, or go on with a killed one.

        `history` is what the log is known by at that position: a load of another history is never gone on with. `keep`:
        for how long the build that readers have now stays, once they get this one; the one before stays in any case.
        """

    def advance(self, shape: Shape, build: int, lease: Lease) -> AbstractContextManager[Advancing]:
        """Open a whole build to bring it forward; `shape` has the hidden columns that it must have."""

    def take(self, side: Side, holder: str, now: dt.datetime, until: dt.datetime) -> Lease:
        """
        Take a side, so that this process alone brings its builds forward.

        Raises:
            SideHeld: another process does.
        """

    def renew(self, lease: Lease, until: dt.datetime) -> Lease:
        """Hold a side longer, or with a time that is past, no longer. Raises LeaseLost."""

    def writer(self, side: Side) -> Lease | None:
        """Who holds a side, or held it last."""

    def record_tail(self, lease: Lease, states: Sequence[TailState]) -> None:
        """Put what a tail says of all builds of a side in the place of what was said before. Raises LeaseLost."""

    def tail_states(self, side: Side) -> list[TailState]:
        """What a tail last said of each build of a side; nothing is written."""

    def serve(self, view: str, build: int, lease: Lease, now: dt.datetime) -> None:
        """
        Let readers have a whole build, in one transaction.

        Older ones are dropped, but for the one that readers had and those that are to be kept longer than `now`.
        """

    def previous(self, side: Side) -> dict[str, int]:
        """Which build of each view readers had before the one they get, where they had one."""

    def retire(self, side: Side, view: str) -> None:
        """Take a view from readers, and drop its builds, in one transaction. Its shape stays: a revision drops it."""

    def file(self, side: Side) -> Path:
        """The file that holds a side, whether it is there or not."""

    def place(self, side: Side) -> object:
        """What tells the database of a side from another one that is put in its place; it can be compared alone."""

    def health(self, side: Side) -> Health | None:
        """Whether a side is whole; None where there is nothing of it yet. Nothing is written."""

    def sql_location(self, side: Side, view: str, key: tuple[str, ...]) -> SqlLocation:
        """Where another library's SQL reads what readers see of a view."""

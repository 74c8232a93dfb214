"""What a replay refuses; readers keep the build that they have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualgauge.errors import ConflictError, DataError, UsageError
from dualgauge.model import listed, nearest

if TYPE_CHECKING:
    from collections.abc import Sequence


class NoSuchView(UsageError):
    """A wanted view that no side has."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        self.name, self.known = name, tuple(known)
        have = f"there are {listed(known)}" if known else "there are none yet: add one to views_v1 or views_v2"
        super().__init__(f"no view is called {name!r}{nearest(name, known)}; {have}")


class BrokenBatch(DataError):
    """A batch of the log that does not hold each position once."""

    def __init__(self, first: int, last: int, rows: int) -> None:
        self.first, self.last, self.rows = first, last, rows
        super().__init__(
            f"the log gives {rows:,} events from position {first:,} to {last:,}, where {last - first + 1:,} are due; "
            "nothing was written: look with `dualgauge log verify`"
        )


class NotUnique(DataError):
    """
    Events that agree in what their view says to be unique, or one that has a NULL there.

    `first` and `last` are the positions of the first and the last of them, which are one where it is a NULL.
    """

    def __init__(self, view: str, columns: Sequence[str], values: Sequence[str | None], first: int, last: int) -> None:
        self.view, self.columns, self.values = view, tuple(columns), tuple(values)
        self.first, self.last = first, last
        shown = " and ".join(
            f"{column} = {'NULL' if value is None else value}" for column, value in zip(columns, values, strict=True)
        )
        if first == last:
            found = f"the event at position {first:,} has {shown}, and NULL tells no event from another"
        else:
            found = f"the events at positions {first:,} and {last:,} have {shown}"
        super().__init__(
            f"view {view}: `-- unique: {', '.join(columns)}` does not hold: {found}; leave such events out in its "
            "WHERE, or take the line away and end what it orders by with position, and replay; readers keep the build "
            "before"
        )


class Tied(DataError):
    """An event of a batch that its view does not tell from the stored one that it would replace."""

    def __init__(self, view: str, call: str, value: str, stored: int, new: int) -> None:
        self.view, self.call, self.value, self.stored, self.new = view, call, value, stored, new
        super().__init__(
            f"view {view}: {' '.join(call.split())} does not tell the event at position {new:,} from the one at "
            f"{stored:,}: both have {value} in what orders them, and `-- unique:` says that no two have; leave one out "
            "in its WHERE, or take the line away and end what it orders by with position, and replay; readers keep the "
            "build before"
        )


class CannotCompute(DataError):
    """A view's SELECT that fails on an event: a cast, a division, a number out of range."""

    def __init__(self, view: str, reason: str) -> None:
        self.view, self.reason = view, reason
        super().__init__(
            f"view {view}: its SELECT cannot be computed over these events: {reason}; "
            "mend the expression (TRY_CAST gives NULL where a cast fails) and replay; readers keep what they had"
        )


class NoSuchPosition(UsageError):
    """A position to replay to that the log does not have."""

    def __init__(self, position: int, head: int) -> None:
        self.position, self.head = position, head
        super().__init__(f"the log has no position {position:,}: it ends at {head:,}; give one from 1 to {head:,}")


class NothingToUndo(ConflictError):
    """A view without a build that readers had before; `view` is empty where no chosen one has any."""

    def __init__(self, view: str) -> None:
        self.view = view
        super().__init__(
            f"{view or 'no view'} has {'no' if view else 'a'} build before the one that readers get: "
            f"{'it' if view else 'each'} is its view's first, or the one before was dropped; "
            "`dualgauge replay --keep HOURS` keeps one longer. To have an earlier definition, restore the view's file "
            "and run `dualgauge replay`"
        )


class CannotUndo(DataError):
    """A build that cannot be brought to the log's head."""

    def __init__(self, view: str, build: int, reason: str) -> None:
        self.view, self.build, self.reason = view, build, reason
        super().__init__(
            f"build {build} of {view}, which readers had before, cannot be brought to the log's head: {reason}; "
            "readers keep the build that they have. Restore the view's file and run `dualgauge replay`"
        )

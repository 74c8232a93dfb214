"""What may go wrong with a point read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from dualgauge_router.errors import ConflictError, DualgaugeError, UsageError
from dualgauge_router.model import NextStep

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

_REPLAY = (NextStep("dualgauge replay", "build every view from the log"),)


class BadStore(UsageError):
    """A URL that names no serving store that can be read here."""

    def __init__(self, url: str, reason: str) -> None:
        self.url, self.reason = url, reason
        super().__init__(
            f"the store {url} cannot be read: {reason}; write it as in [tool.dualgauge.store] of the project, such as "
            "sqlite:////srv/orders/.dualgauge/views_{side}.db"
        )


class NoStore(ConflictError):
    """A store's file that is not there, or that cannot be read."""

    def __init__(self, path: Path | str, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(
            f"{path} cannot be read: {reason}; a replay makes it, and a reader needs to write in its folder",
            next_steps=_REPLAY,
        )


class NotServed(ConflictError):
    """A view of which readers have no build."""

    def __init__(self, view: str, others: Iterable[str] = ()) -> None:
        self.view, self.others = view, tuple(others)
        there = f"there are {', '.join(self.others)}" if self.others else "it has no view yet"
        super().__init__(f"view {view} has no build in this store ({there}); replay it first", next_steps=_REPLAY)


class NoTypes(ConflictError):
    """A build of an older dualgauge, which kept no types beside it."""

    def __init__(self, view: str) -> None:
        self.view = view
        super().__init__(
            f"the build of view {view} was made by an older dualgauge, which kept no types of its columns; nothing was "
            "read: make it anew",
            next_steps=(NextStep("dualgauge replay --force", "make the builds anew, with the types of their columns"),),
        )


class BadKey(UsageError):
    """A key that does not fit the view's key."""

    def __init__(self, view: str, columns: Sequence[str], reason: str) -> None:
        self.view, self.columns, self.reason = view, tuple(columns), reason
        names = ", ".join(self.columns)
        super().__init__(f"view {view}: {reason}; its key is {names}, so give {len(columns)} in that order")

    @classmethod
    def of_count(cls, view: str, columns: Sequence[str], given: int) -> Self:
        """The error of a key of too many or too few parts."""
        return cls(view, columns, "1 key value was given" if given == 1 else f"{given:,} key values were given")


class NotIndexed(UsageError):
    """A part of a view that is asked for by columns that no index begins with."""

    def __init__(self, view: str, columns: Iterable[str], indexes: Iterable[Sequence[str]]) -> None:
        self.view, self.columns = view, tuple(columns)
        self.indexes = tuple(map(tuple, indexes))
        ways = " or ".join(f"({', '.join(one)})" for one in self.indexes)
        super().__init__(
            f"view {view} cannot be asked by {', '.join(self.columns)}: every row would be looked at; ask by the first "
            f"columns of its key or of an index, {ways}, or name an index in the view's file"
        )


class OtherKey(ConflictError):
    """A page that is to begin behind a key of the other side, whose key is another one."""

    def __init__(self, view: str, columns: Sequence[str]) -> None:
        self.view, self.columns = view, tuple(columns)
        super().__init__(
            f"view {view}: the page before was read by another key than {', '.join(columns)}, such as that of the "
            "other side; nothing was read: read the pages anew from the first, or give `after` as that page had it"
        )


class TooManyRows(UsageError):
    """More rows than a read of many may give."""

    def __init__(self, view: str, limit: int) -> None:
        self.view, self.limit = view, limit
        super().__init__(
            f"view {view}: more than {limit:,} rows; none was given: raise `limit`, or read them by `page`"
        )


class StoreBusy(ConflictError):
    """A store's file that another connection kept locked."""

    def __init__(self, path: Path | str, seconds: float) -> None:
        self.path, self.seconds = path, seconds
        super().__init__(f"{path} was locked for over {seconds:g} seconds; nothing was read: read again")


class ReaderClosed(UsageError):
    """A read through a reader that was closed."""

    def __init__(self, side: str) -> None:
        self.side = side
        super().__init__(
            f"the reader of {side} was closed; nothing was read: read inside the `with` that opened it, or open "
            "another one"
        )


class StoreForked(ConflictError):
    """The parent process was at work in a SQLite file when this one was forked from it."""

    def __init__(self, path: Path | str) -> None:
        self.path = path
        super().__init__(
            f"{path} was in use when this process was forked, and SQLite cannot lock a file in a process that was "
            "forked meanwhile; nothing was read or written: start processes by spawn "
            '(`multiprocessing.get_context("spawn")`) or by a command of their own'
        )


class Unreadable(DualgaugeError):
    """A stored value that is none of its column's type."""

    def __init__(self, view: str, column: str, kind: str) -> None:
        self.view, self.column, self.kind = view, column, kind
        super().__init__(
            f"view {view}: a value of column {column} is no {kind}; nothing was read: see what wrote into the store, "
            "and replay the view",
            next_steps=_REPLAY,
        )

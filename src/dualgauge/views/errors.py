"""What can be wrong with a view file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualgauge.errors import UsageError
from dualgauge.model import listed, nearest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class ViewError(UsageError):
    """A view file cannot be used; names the file."""

    def __init__(self, file: Path, sentence: str) -> None:
        self.file = file
        super().__init__(f"{file}: {sentence}")


class UnknownHeader(ViewError):
    """A header name that means nothing."""

    def __init__(self, file: Path, line: int, name: str, known: Sequence[str]) -> None:
        self.line, self.name, self.known = line, name, tuple(known)
        super().__init__(
            file,
            f"line {line}: no header is called {name!r}{nearest(name, known)}; known: {listed(known)}; "
            "put a blank line before comments that are not headers",
        )


class NoKey(ViewError):
    """A view without a key."""

    def __init__(self, file: Path, columns: Sequence[str]) -> None:
        self.columns = tuple(columns)
        have = f" out of {listed(columns, 20)}" if columns else ""
        super().__init__(
            file, f"the view has no key; begin the file with `-- key: COLUMN`, naming what identifies a row{have}"
        )


class UnknownColumn(ViewError):
    """A header names a column that the SELECT does not give."""

    def __init__(self, file: Path, header: str, column: str, columns: Sequence[str]) -> None:
        self.header, self.column, self.columns = header, column, tuple(columns)
        super().__init__(
            file,
            f"`-- {header}:` names {column!r}, which the SELECT does not give{nearest(column, columns)}; "
            f"its columns are {listed(columns, 20)}",
        )


class NoColumn(ViewError):
    """The key of an adopted view names a column that its table does not have."""

    def __init__(self, file: Path, table: str, column: str, columns: Sequence[str]) -> None:
        self.table, self.column, self.columns = table, column, tuple(columns)
        super().__init__(
            file,
            f"`-- key:` names {column!r}, which the table {table!r} does not have{nearest(column, columns)}; "
            f"its columns are {listed(columns, 20)}",
        )


class NoEventColumn(ViewError):
    """A header names a column that no event has."""

    def __init__(self, file: Path, header: str, column: str, columns: Sequence[str]) -> None:
        self.header, self.column, self.columns = header, column, tuple(columns)
        super().__init__(
            file,
            f"`-- {header}:` names {column!r}, which the events do not have{nearest(column, columns)}; "
            f"their columns are {listed(columns, 40)}",
        )


class BadAffectedBy(ViewError):
    """An `-- affected_by:` line that gives no rows of the view."""

    def __init__(self, file: Path, line: str, reason: str, advice: str) -> None:
        self.line, self.reason = line, reason
        super().__init__(file, f"`-- affected_by: {line}`: {reason}; {advice}")


class UnknownFeed(ViewError):
    """An adopted table is fed by a source that the settings do not have."""

    def __init__(self, file: Path, source: str, known: Sequence[str]) -> None:
        self.source, self.known = source, tuple(known)
        super().__init__(
            file,
            f"`-- fed_by:` names the source {source!r}{nearest(source, known)}, which is not in the settings; known: "
            f"{listed(known) or 'none'}; name one of them, or add it as a table [[tool.dualgauge.sources]]",
        )


class FeedElsewhere(ViewError):
    """An adopted table is fed by a source that no snapshot of its database holds."""

    def __init__(self, file: Path, source: str) -> None:
        self.source = source
        super().__init__(
            file,
            f"`-- fed_by:` names the source {source!r}, which is not in the database of [tool.dualgauge.store] "
            "adopt_url, and both must be read in one transaction: write the same host, port and database in its url as "
            "in adopt_url, or remove the line",
        )


class CountedFeed(ViewError):
    """The position query of a table that a source feeds counts the rows of that source."""

    def __init__(self, file: Path, source: str, table: str) -> None:
        self.source, self.table = source, table
        super().__init__(
            file,
            f"`-- position_query:` counts {table!r} or takes its highest value, which says how far the source "
            f"{source!r} is and not the adopted table, and nothing where writers overlap; if the table is written in "
            "the transactions that write the source remove the line, else ask what the job that keeps the table notes",
        )


class AdoptsOnV2(ViewError):
    """A table is adopted as v2."""

    def __init__(self, file: Path, table: str) -> None:
        self.table = table
        super().__init__(
            file,
            f"it adopts the table {table!r}, and only v1 may be adopted: v2 is built from the log; write the SELECT "
            "that gives v2's rows, and put `-- adopt:` into the file of the same name in v1's folder",
        )


class BadSelect(ViewError):
    """The SELECT does not parse or names what does not exist; `line` is 0 where nothing says which."""

    def __init__(self, file: Path, reason: str, columns: Sequence[str], line: int = 0) -> None:
        self.reason, self.columns, self.line = reason, tuple(columns), line
        place = f"line {line}: " if line else ""
        super().__init__(
            file,
            f"{place}{reason}; mend the file: a view reads the relation `events`, whose columns are "
            f"{listed(columns, 40)}",
        )


class NotDeterministic(ViewError):
    """A view whose answer does not depend on the log alone."""

    def __init__(self, file: Path, functions: Sequence[str]) -> None:
        self.functions = tuple(functions)
        super().__init__(
            file,
            f"{listed(functions)} would give another answer at every replay; a view is a function of the log alone: "
            "use a column of the events instead, such as occurred_at",
        )


class UnsureOrder(ViewError):
    """A view whose answer hangs on an order of rows that nothing makes unique."""

    def __init__(self, file: Path, doubts: Sequence[tuple[str, str]]) -> None:
        self.doubts = tuple(doubts)
        (sql, idiom), *others = doubts
        more = f" (so may {listed([one for one, _ in others])})" if others else ""
        super().__init__(
            file,
            f"{sql} may give another answer at the next replay of the same log, for nothing makes its order unique"
            f"{more}: {idiom}",
        )


class UnlikeValues(ViewError):
    """A view that groups by values that are one to the engine and written unlike."""

    def __init__(self, file: Path, kind: str) -> None:
        self.kind = kind
        example, instead = {
            "INTERVAL": ("1 month and 30 days", "its text, CAST(x AS VARCHAR), or a number, as epoch(x)"),
            "VARIANT": ("the numbers 1 and 1.0", "its text, CAST(x AS VARCHAR)"),
        }[kind]
        super().__init__(
            file,
            f"it groups by a value of type {kind}, or makes such values distinct: {example} are one there, and which "
            f"of them is shown may be another at the next replay of the same log; group by {instead}",
        )


class OtherRelation(ViewError):
    """A view that reads something besides the log."""

    def __init__(self, file: Path, names: Sequence[str]) -> None:
        self.names = tuple(names)
        super().__init__(
            file,
            f"it reads {listed(names)}, but a view reads only `events`: what is not in the log cannot be replayed; "
            "import that data as events",
        )


class BadColumn(ViewError):
    """An output column that no store can hold."""

    def __init__(self, file: Path, column: str, reason: str) -> None:
        self.column, self.reason = column, reason
        super().__init__(file, f"column {column!r} {reason}")


class BadName(ViewError):
    """A file name that cannot be a view's name."""

    def __init__(self, file: Path) -> None:
        super().__init__(
            file,
            "a view is named by its file: lower-case letters, digits and single underscores, beginning with a letter, "
            "at most 40 characters; rename the file",
        )


class TakenName(ViewError):
    """A view called like a table of the serving store's own."""

    def __init__(self, file: Path) -> None:
        super().__init__(
            file,
            f"{file.stem!r} is a name of the serving store's own, as all that begin with sqlite_, and alembic_version; "
            "rename the file",
        )


class NotSql(ViewError):
    """A Python file among the views."""

    def __init__(self, file: Path) -> None:
        super().__init__(
            file, "views are .sql files in this version; folds in Python are not supported yet; move the file away"
        )

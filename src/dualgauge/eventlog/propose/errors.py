"""What `log add` refuses. Nothing was written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualgauge.errors import ConflictError, DataError, UsageError
from dualgauge.model import NextStep, listed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


_MOST_SHOWN = 60


def _short(text: str) -> str:
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."


class NoSuchData(UsageError):
    """A file or glob that `log add` was given matches nothing."""

    def __init__(self, path: str, folder: Path, *, is_folder: bool = False) -> None:
        self.path, self.folder = path, folder
        found = "is a folder" if is_folder else "matches no file"
        glob = f'name a file in it, or a glob in quotes ("{path.rstrip("/")}/*.csv")'
        advice = glob if is_folder else "check the path"
        super().__init__(f"{path} {found} (looked for from {folder}); {advice}")


class NothingToRead(UsageError):
    """A file without a row: a source is proposed from values."""

    def __init__(self, file: str, reason: str) -> None:
        self.file, self.reason = file, reason
        super().__init__(
            f"{file}: {reason}, and a source is proposed from the values of its rows; name a file that has some, "
            "or write its [[tool.dualgauge.sources]] table by hand"
        )


class NoHeader(UsageError):
    """A CSV file whose first line is a row."""

    def __init__(self, file: str, line: str) -> None:
        self.file, self.line = file, line
        super().__init__(
            f"{file}: its first line ({_short(line)}) does not name the columns; put a line with their names first, or "
            "write its [[tool.dualgauge.sources]] table by hand, with read = {header = false, names = [...]}"
        )


class UnreadableSource(DataError):
    """A file that is broken, in another encoding, or no file of its format."""

    def __init__(self, file: str, reason: str, *, encoding: str = "") -> None:
        self.file, self.reason = file, reason
        advice = (
            f"write it as UTF-8 (iconv -f {encoding} -t utf-8 {file}), or write its "
            f'[[tool.dualgauge.sources]] table by hand, with read = {{encoding = "{encoding}"}}'
            if encoding
            else "mend the file and run the command again"
        )
        super().__init__(f"{file} cannot be read: {reason}; {advice}")


class NoTime(UsageError):
    """A file in which no column tells when its rows happened."""

    def __init__(self, file: str, columns: Sequence[str], doubtful: Mapping[str, str] | None = None) -> None:
        self.file, self.columns = file, tuple(columns)
        named = [f"{name} ({_short(value)})" for name, value in (doubtful or {}).items()]
        called = f" ({listed(named, 5)} is called one, but there is no form that all its values have)" if named else ""
        super().__init__(
            f"{file}: no column reads as a time for its rows (the columns are {listed(columns, 40)}){called}, and an "
            "event has one; add such a column, or write its [[tool.dualgauge.sources]] table by hand, with occurred_at "
            "as an expression"
        )


class NoTableGiven(UsageError):
    """A database of several tables, or of none, and no table named."""

    def __init__(self, url: str, tables: Sequence[str]) -> None:
        self.url, self.tables = url, tuple(tables)
        have = f"it has {listed(tables)}" if tables else "it has none"
        advice = f"name one, as in {url}#{tables[0]}" if tables else "check the URL"
        super().__init__(f"{url}: which table is to be a source is not said, and {have}; {advice}")


class NoCursor(UsageError):
    """A table in which no column tells which rows are new."""

    def __init__(self, table: str, columns: Sequence[str]) -> None:
        self.table, self.columns = table, tuple(columns)
        super().__init__(
            f"{table}: no column tells which rows are new: none is a primary key of one whole number, or a number or a "
            f"time that grows from each row to the next (the columns are {listed(columns, 40)}); add such a column, or "
            "write its [[tool.dualgauge.sources]] table by hand, with a cursor that you know to grow"
        )


class NoIdentity(UsageError):
    """A table in which nothing identifies a row."""

    def __init__(self, table: str, because: str) -> None:
        self.table = table
        super().__init__(
            f"{table}: nothing identifies a row of it, and an event has an id ({because}); give the table a key, or "
            "write its [[tool.dualgauge.sources]] table by hand, with event_id as an expression"
        )


class PasswordInUrl(UsageError):
    """A URL with a password, which the settings would keep."""

    def __init__(self) -> None:
        super().__init__(
            "the URL has a password in it, and the settings would keep it; nothing was read: put the password into an "
            "environment variable, and write ${NAME} in its place, in single quotes"
        )


class NamesByCase(UsageError):
    """A table with two columns that differ by case alone."""

    def __init__(self, table: str, one: str, other: str) -> None:
        self.table, self.names = table, (one, other)
        super().__init__(
            f"{table} has the columns {one!r} and {other!r}, which differ by case alone, and a source's expressions do "
            "not tell them apart; write its [[tool.dualgauge.sources]] table by hand, with a statement that renames one"
        )


class BadSourceName(UsageError):
    """A name that no source can have."""

    def __init__(self, name: str) -> None:
        self.name = name
        rule = "a letter, then letters, digits, - and _"
        super().__init__(f"{name!r} is no source's name: {rule}; give another with --name")


class AlreadyASource(ConflictError):
    """The project has a source of that name, or one that reads that file."""

    def __init__(self, name: str, path: str, *, same_path: bool) -> None:
        self.name, self.path = name, path
        steps: tuple[NextStep, ...] = ()
        if same_path:
            sentence = (
                f"source {name!r} reads {path} already; nothing was written: import it, or change or remove its "
                "[[tool.dualgauge.sources]] table first"
            )
            steps = (NextStep(f"dualgauge log import {name}", "take in its rows that are new"),)
        else:
            sentence = (
                f"there is a source {name!r} already, which does not read {path}; nothing was written: give this one "
                "a name of its own with --name"
            )
        super().__init__(sentence, next_steps=steps)


class DeclaredOtherwise(ConflictError):
    """A column of the file has the name of a declared one, and another type."""

    def __init__(self, column: str, declared: str, found: str, file: str) -> None:
        self.column, self.declared, self.found, self.file = column, declared, found, file
        super().__init__(
            f"column {column!r} is declared as {declared} in [tool.dualgauge.log.columns] and holds {found} in {file}; "
            f"nothing was written: rename the column in the file, or, while nothing is imported, declare {column!r} "
            f"as {found}"
        )

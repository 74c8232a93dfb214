"""The rows of a build out of its SQLite file into Parquet: a few here, many in a process of their own."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.parquet as pq

from dualgauge.model import quote
from dualgauge.stores.errors import BuildGone, NotADatabase, ReadingEnded

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Mapping

    from dualgauge.stores.serving.port import Only
    from dualgauge.stores.serving.types import Codec

LARGE: Final = 100_000
"""More rows than these are read in a process of their own, which takes half a second to start."""

KEYS: Final = "_asked_keys"
"""The table, of the connection alone, of the keys whose rows are asked for."""

_ARROW: Final = {"int64": pa.int64(), "float64": pa.float64(), "string": pa.string(), "binary": pa.binary()}
_DAMAGED: Final = re.compile("malformed|not a database")
_BATCH: Final = 50_000
_PROGRAM: Final = Path(__file__).with_name("export_process.py")


@dataclass(frozen=True, slots=True)
class Export:
    """
    What is to be written: a build's table, and its columns with how they leave it, by the type table.

    `where` is the condition by which readers see its rows, with its WHERE, empty where they see all. `check` is a
    SELECT of one row, which is `expected` as long as the build is the one that is meant. `only` some rows, if not all.
    """

    label: str
    schema: str
    file: Path
    table: str
    columns: Mapping[str, Codec]
    where: str
    check: str
    expected: tuple[object, ...]
    only: Only | None = None


def is_large(raw: sqlite3.Connection, asked: Export) -> bool:
    """Whether a table has more rows than are read here."""
    return raw.execute(f"SELECT 1 FROM {_name(asked)} LIMIT 1 OFFSET {LARGE:d}").fetchone() is not None


def written_here(raw: sqlite3.Connection, asked: Export, to: Path) -> Iterator[int]:
    """
    Write the rows through a connection that is open; says after each batch how many there are.

    Raises:
        ReadingEnded: a value is none of its column's type, and not what a load wrote.
    """
    schema = pa.schema([(name, _ARROW[one.arrow]) for name, one in asked.columns.items()])
    cursor, written = raw.cursor(), 0
    try:
        cursor.execute(_rows(asked, _name(asked)), stretch_of(asked.only)[1] * 2 if asked.only else ())
        with pq.ParquetWriter(to, schema, compression="snappy") as writer:
            while rows := cursor.fetchmany(_BATCH):
                try:
                    columns = list(map(pa.array, zip(*rows, strict=True), schema.types))
                except pa.ArrowException as fault:
                    raise ReadingEnded(asked.file, str(fault)) from fault
                writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
                written += len(rows)
                yield written
    finally:
        cursor.close()


@contextmanager
def written_apart(asked: Export, to: Path) -> Iterator[Iterator[int]]:
    """
    Begin to write the rows in a process of their own, in a transaction of its own; it is ended with the `with`.

    Raises:
        BuildGone: the build was replaced before that process looked at it.
        NotADatabase, ReadingEnded: the file cannot be read to its end.
    """
    told = {
        "file": f"{asked.file.absolute().as_uri()}?mode=ro", "to": str(to), "size": _BATCH,
        "columns": {name: one.arrow for name, one in asked.columns.items()},
        "check": asked.check, "expected": asked.expected, "rows": _rows(asked, quote(asked.table)),
        "path": [one for one in sys.path if one],
    }  # fmt: skip
    words, said = to.with_suffix(".json"), to.with_suffix(".said")
    words.write_text(json.dumps(told), encoding="utf-8")
    with (
        words.open("rb") as given,
        # A pipe that nobody reads meanwhile would hold it up.
        said.open("wb") as wrong,
        subprocess.Popen(  # noqa: S603  (a program of ours, and its words come from a file)
            # What is said of Python in the environment is not meant for it.
            [sys.executable, "-I", str(_PROGRAM)],
            stdin=given, stdout=subprocess.PIPE, stderr=wrong, text=True, encoding="utf-8", errors="replace",
        ) as process,
    ):  # fmt: skip
        try:
            yield _told(process, asked, said)
        finally:
            process.kill()


def _told(process: subprocess.Popen[str], asked: Export, said: Path) -> Iterator[int]:
    for line in process.stdout or ():
        match line.split():
            case ["rows", count]:
                yield int(count)
            case ["done"]:
                return
            case ["gone"]:
                raise BuildGone(asked.label)
    # Its exit code says nothing where somebody else waits for this process's children.
    process.wait()
    reason = said.read_text(encoding="utf-8", errors="replace").strip()
    if "no such table" in reason:
        raise BuildGone(asked.label)
    last = reason.rpartition("\n")[2] or f"the process that reads it ended with {process.returncode}"
    raise (NotADatabase if _DAMAGED.search(last) else ReadingEnded)(asked.file, last)


def _name(asked: Export) -> str:
    return f"{quote(asked.schema)}.{quote(asked.table)}"


def _rows(asked: Export, table: str) -> str:
    # Qualified: SQLite would take a quoted name that is no column for a text.
    chosen = (one.leaves(f"b.{quote(name)}") for name, one in asked.columns.items())
    rows = f"SELECT {', '.join(chosen)} FROM {table} AS b{asked.where}"
    if asked.only is None:
        return rows
    seen, inside = "AND" if asked.where else "WHERE", stretch_of(asked.only)[0]
    same = " AND ".join(f"b.{quote(name)} = k.{quote(name)}" for name in asked.only.key)
    # In this order of joining each key is one look-up. What is in the stretch is given once.
    of_keys = rows.replace(f" FROM {table} AS b", f" FROM temp.{KEYS} AS k CROSS JOIN {table} AS b ON {same}", 1)
    return f"{of_keys} {seen} NOT ({inside}) UNION ALL {rows} {seen} {inside}"


def stretch_of(only: Only) -> tuple[str, tuple[object, ...]]:
    """The condition that a row `b` is in the stretch, and what is bound to it."""
    key, marks = (f"({', '.join(one)})" for one in ([f"b.{quote(name)}" for name in only.key], "?" * len(only.key)))
    ends = [(mark, end) for mark, end in ((">", only.after), ("<=", only.upto)) if end is not None]
    return (
        " AND ".join(f"{key} {mark} {marks}" for mark, _ in ends) or "true",
        tuple(value for _, end in ends for value in end),
    )

"""
DuckDB, opened in the one way that is safe here.

Every connection sets the session zone to UTC, switches the progress bar off (it prints on stdout, even into
a pipe), bounds memory, spills into a folder of its own, and is closed. Only icu, json and parquet are used:
they are built in, so nothing is downloaded.
"""

from __future__ import annotations

import errno
import json
import mmap
import os
import re
import signal
import threading
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, cast

import duckdb
from duckdb.func import FunctionNullHandling

from dualgauge.engines.errors import (
    BadMemoryLimit,
    BadStatement,
    BadValue,
    CannotRead,
    CannotWrite,
    EngineError,
    OutOfMemory,
)
from dualgauge.engines.scratch import scratch
from dualgauge.model import literal, meanwhile, quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    import numpy as np
    import pyarrow as pa

Row = tuple[Any, ...]

MEMORY_LIMIT = "1GB"
"""Bound of DuckDB's own memory; the process needs some more for Python and Arrow."""

_SIZE = re.compile(r"\s*[0-9]+(?:\.[0-9]+)?\s*[KMGT]i?B\s*", re.IGNORECASE)

_WRAPPED = re.compile(r'"exception_message":("(?:[^"\\]|\\.)*")')

_LINE = re.compile(r"^LINE ([0-9]+): ", re.MULTILINE)

_REFUSED = re.compile(
    "Could not write|"
    + "|".join(re.escape(os.strerror(one)) for one in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS))
)
"""How DuckDB tells that the disk takes no more; it has no error of its own for it."""

BATCH_ROWS = 20_000

_REST = 0.1
"""Seconds between two times at which the memory of registered files is left to others."""

_ALSO_NULL = FunctionNullHandling.SPECIAL


class Engine:
    """One open connection. Not shared between threads; `open_engine` closes it."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
        self._connection = connection
        self.folder = folder
        """Where what is needed while the engine is open may be written."""
        self._defined: set[str] = set()
        self._bound: dict[str, list[str]] = {}
        self._mapped: list[mmap.mmap] = []

    def execute(self, sql: str, values: Sequence[object] = ()) -> None:
        """Run a statement for its effect."""
        with translated():
            self._connection.execute(sql, list(values))

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[Row]:
        """All rows of a query. Times with a zone must be cast to text first (they leave by Arrow otherwise)."""
        with translated():
            return self._connection.execute(sql, list(values)).fetchall()

    def row(self, sql: str, values: Sequence[object] = ()) -> Row:
        """The first row of a query that always has one."""
        return self.rows(sql, values)[0]

    def batches(self, sql: str, size: int = BATCH_ROWS) -> Iterator[list[Row]]:
        """
        The rows of a query in lists of at most `size`, in the query's order, never all in memory.

        No other statement may run on this engine until the last list was taken.
        """
        with translated():
            cursor = self._connection.execute(sql)
            while batch := cursor.fetchmany(size):
                yield batch

    def stream(self, sql: str, size: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
        """
        The rows of a query in Arrow batches of at most `size`, in the query's order, never all in memory.

        No other statement may run on this engine until the last batch was taken.
        """
        with translated():
            try:
                yield from self._connection.sql(sql).to_arrow_reader(size)
            except OSError as fault:
                # What fails behind the first batch comes through Arrow, as a text.
                raise _named(str(fault)) from fault

    def arrow(self, sql: str) -> pa.Table:
        """The whole result as an Arrow table."""
        with translated():
            return self._connection.sql(sql).to_arrow_table()

    def numbers(self, sql: str) -> np.ndarray[Any, Any]:
        """The one column of a query, of numbers; masked where it is NULL. It loads no pandas, as Arrow's arrays do."""
        with translated():
            (found,) = self._connection.execute(sql).fetchnumpy().values()
        return cast("np.ndarray[Any, Any]", found)

    def columns(self, sql: str) -> dict[str, str]:
        """Names and DuckDB types of a query's columns, in order, without running it."""
        with translated():
            return {row[0]: row[1] for row in self._connection.execute(f"DESCRIBE {sql}").fetchall()}

    def statements(self, sql: str) -> int:
        """How many statements a text holds, as the engine reads it."""
        with translated():
            return len(self._connection.extract_statements(sql))

    def define(self, name: str, function: Callable[[str | None], str | None]) -> None:
        """Give a Python function from text to text a name in SQL, which it keeps; it must give the same every time."""
        if name not in self._defined:
            with translated():
                self._connection.create_function(name, function, ["VARCHAR"], "VARCHAR", null_handling=_ALSO_NULL)
            self._defined.add(name)

    @contextmanager
    def bound(self, name: str, select: str) -> Iterator[None]:
        """Let a name stand for what a SELECT gives; where it stood for something else, it does again afterwards."""
        before = self._bound.setdefault(name, [])
        self.execute(f"CREATE OR REPLACE TEMP VIEW {quote(name)} AS {select}")
        before.append(select)
        try:
            yield
        finally:
            before.pop()
            again = f"CREATE OR REPLACE TEMP VIEW {quote(name)} AS {before[-1]}" if before else ""
            self.execute(again or f"DROP VIEW {quote(name)}")

    @contextmanager
    def one_thread(self) -> Iterator[None]:
        """Use one thread meanwhile: where Python has the most to do, a second one makes both slower."""
        (threads,) = self.row("SELECT current_setting('threads')")
        self.execute("SET threads = 1")
        try:
            yield
        finally:
            self.execute(f"SET threads = {threads:d}")

    def register(self, name: str, relation: object) -> None:
        """Give an Arrow table, an Arrow reader or a data frame a name in SQL."""
        with translated():
            self._connection.register(name, relation)

    def register_files(self, name: str, files: Iterable[Path], schema: pa.Schema) -> None:
        """Give the rows of Arrow files a name in SQL; they are read as memory is. The files stay with the engine."""
        # Imported here: whoever reads no JSON need not wait for it.
        import pyarrow as pa

        tables = [pa.Table.from_batches([], schema)]
        for file in files:
            with file.open("rb") as opened:
                self._mapped.append(mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ))
            tables.append(pa.ipc.open_file(pa.BufferReader(pa.py_buffer(self._mapped[-1]))).read_all())
        self.register(name, pa.concat_tables(tables, promote_options="default"))

    @contextmanager
    def resting(self) -> Iterator[None]:
        """While a long statement runs, leave the memory to others that registered files were read into already."""
        over = threading.Event()

        def rest() -> None:
            while not over.wait(_REST):
                for one in self._mapped:
                    one.madvise(mmap.MADV_DONTNEED)

        with meanwhile(rest, over.set) if self._mapped else nullcontext():
            yield

    def unregister(self, name: str) -> None:
        """Take a registered name away; the data it held is released."""
        with translated():
            self._connection.unregister(name)


@contextmanager
def open_engine(
    *, memory_limit: str = MEMORY_LIMIT, threads: int | None = None, folder: Path | None = None
) -> Iterator[Engine]:
    """
    Open an engine for a while.

    Args:
        memory_limit: bound of the engine's memory, as DuckDB writes it (`1GB`); above it, it spills.
        threads: how many cores to use; all of them by default.
        folder: where to spill; a temporary folder by default. What is spilled is removed at the end.

    Raises:
        BadMemoryLimit: `memory_limit` is not a size.
        NoScratch: there is no place to spill.
    """
    if not _SIZE.fullmatch(memory_limit):
        # DuckDB takes -1GB for no limit at all.
        raise BadMemoryLimit(memory_limit)
    with scratch("engine", folder) as spill:
        connection = duckdb.connect()
        try:
            engine = Engine(connection, spill)
            engine.execute("SET enable_progress_bar = false")
            engine.execute("SET TimeZone = 'UTC'")
            engine.execute(f"SET memory_limit = {literal(memory_limit)}")
            engine.execute(f"SET temp_directory = {literal(str(spill))}")
            engine.execute("SET autoinstall_known_extensions = false")
            if threads is not None:
                engine.execute(f"SET threads = {threads:d}")
            with _heeding_ctrl_c(connection):
                yield engine
        finally:
            connection.close()


@contextmanager
def _heeding_ctrl_c(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """
    Let Ctrl-C end a running statement at once.

    Seen: DuckDB asks for signals only between its tasks, so one of minutes was not ended in one run of four. Python
    writes a signal's number into a file as it comes, whatever the main thread does; a thread waits for it there.
    An application that handles signals itself (an event loop) is left alone.
    """
    if not _signals_are_free():
        yield
        return
    reading, writing = os.pipe()
    os.set_blocking(writing, False)

    def watch() -> None:
        try:
            while number := os.read(reading, 1):
                if number[0] == signal.SIGINT:
                    connection.interrupt()
        finally:
            os.close(reading)

    def end() -> None:
        signal.set_wakeup_fd(-1)
        os.close(writing)

    with meanwhile(watch, end):
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        yield


def _signals_are_free() -> bool:
    """Whether this is the main thread, Ctrl-C means what Python makes of it, and nobody else listens for signals."""
    if threading.current_thread() is not threading.main_thread():
        return False
    handler = signal.getsignal(signal.SIGINT)
    if handler is not signal.default_int_handler and not getattr(handler, "means_interrupt", False):
        return False
    listening = signal.set_wakeup_fd(-1)
    if listening != -1:
        signal.set_wakeup_fd(listening)
    return listening == -1


@contextmanager
def translated() -> Iterator[None]:
    """Say what DuckDB refuses in the words of `engines.errors`."""
    try:
        yield
    except duckdb.InterruptException:
        # Ctrl-C reaches a running statement as an error of DuckDB's own.
        raise KeyboardInterrupt from None
    except duckdb.OutOfMemoryException as fault:
        raise OutOfMemory(*_told(fault)) from fault
    except (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException, duckdb.SyntaxException) as fault:
        raise BadStatement(*_told(fault)) from fault
    except duckdb.IOException as fault:
        raise (CannotWrite if _REFUSED.search(str(fault)) else CannotRead)(*_told(fault)) from fault
    except (duckdb.DataError, duckdb.InvalidInputException, duckdb.OutOfRangeException) as fault:
        raise BadValue(*_told(fault)) from fault
    except duckdb.Error as fault:
        raise EngineError(*_told(fault)) from fault
    except RuntimeError as fault:
        # Seen: the same Ctrl-C, while DuckDB brings a result to Arrow or has just begun, is no error of its own.
        if str(fault) != "Query interrupted":
            raise
        raise KeyboardInterrupt from None


def _named(page: str) -> duckdb.Error:
    """DuckDB's error, of which Arrow told the text alone."""
    kinds = {
        "Out of Memory Error": duckdb.OutOfMemoryException,
        "IO Error": duckdb.IOException,
        "INTERRUPT Error": duckdb.InterruptException,
    }
    return kinds.get(page.partition(":")[0], duckdb.InvalidInputException)(page)


def _told(fault: duckdb.Error) -> tuple[str, int]:
    """DuckDB's own words, without the stack of hints behind them, and the line of the statement that it points to."""
    text = str(fault).strip()
    line = _LINE.search(text)
    reason = text.split("\n\n", maxsplit=1)[0].strip()
    # What fails in a thread of its own comes wrapped as JSON.
    if wrapped := _WRAPPED.search(reason):
        reason = f"{reason.partition(':')[0]}: {json.loads(wrapped[1])}"
    return reason, int(line[1]) if line else 0

"""A view as another library reads it by SQL: where it is, and a URL that lets nothing be written where that can be."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from dualgauge.errors import keep_secret
from dualgauge.stores.errors import StoreRefused
from dualgauge_router.sqlite_files import Watched, watched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True, slots=True)
class SqlLocation:
    """
    One table or SQL view in its database.

    `url` is for opening, not for showing: it may hold a password. `kind` is SQLAlchemy's name of the database
    (`sqlite`, `postgresql`). `key` names a row, for samples.
    """

    url: str
    kind: str
    table: str
    schema: str | None
    key: tuple[str, ...]


def in_file(file: Path, table: str, key: tuple[str, ...]) -> SqlLocation:
    """Where a table of a SQLite file is, opened by `mode=ro`."""
    # The path goes through a URI, and SQLAlchemy reads one layer of escapes: it is escaped twice.
    uri = file.absolute().as_uri()
    url = sa.URL.create("sqlite", database=uri, query={"mode": "ro", "uri": "true"})
    return SqlLocation(url=url.render_as_string(), kind="sqlite", table=table, schema=None, key=key)


_WAIT: Final = 30.0
"""Seconds to wait for another process's lock, as the store does."""


class _Still(Watched):
    """A connection whose one transaction stays open, whatever its user ends or closes."""

    def commit(self) -> None:
        """Go on in the transaction."""

    def rollback(self) -> None:
        """Go on in the transaction."""

    def close(self) -> None:
        """Stay open."""

    def let_go(self) -> None:
        """Close it."""
        super().close()


@contextmanager
def standing_still(place: SqlLocation) -> Iterator[Callable[[], sqlite3.Connection]]:
    """
    A SQLite file as it is now, for as long as the context: the `creator` of an SQLAlchemy engine.

    The transaction is open when this returns. The file must have a write-ahead log: else its writers wait.

    Raises:
        StoreRefused: it cannot be opened or read.
    """
    dialect = sa.create_engine(place.url).dialect
    given, named = dialect.create_connect_args(sa.make_url(place.url))
    # Who opened a file by mode=ro and closes it last leaves its write-ahead log behind.
    file = given[0].replace("mode=ro", "mode=rw")
    raw = None
    try:
        try:
            raw = sqlite3.connect(file, factory=_Still, isolation_level=None, **{**named, "timeout": _WAIT})
            raw.execute("PRAGMA query_only = ON")
            watched(raw, Path(raw.execute("PRAGMA database_list").fetchone()[2]))
            raw.execute("BEGIN")
            raw.execute("SELECT 1 FROM sqlite_master").fetchone()
        except sqlite3.Error as fault:
            raise StoreRefused(file, str(fault)) from fault
        opened = raw
        yield lambda: opened
    finally:
        if raw is not None:
            raw.let_go()


def in_database(url: str, table: str, key: tuple[str, ...], *, root: Path) -> SqlLocation:
    """
    Where a table of somebody else's database is, opened read-only where that can be: SQLite, PostgreSQL.

    Args:
        url: the database, its environment variables filled in; a relative SQLite path is relative to the root.
        table: `table` or `schema.table`.
        key: the columns that name a row.
        root: the project's folder.
    """
    schema, _, name = table.rpartition(".")
    parsed = sa.make_url(f"postgresql://{url.removeprefix('postgres://')}" if url.startswith("postgres://") else url)
    kind = parsed.get_backend_name()
    if kind == "sqlite":
        return in_file(root / str(parsed.database), name, key)
    if kind == "postgresql":
        read_only = "-c default_transaction_read_only=on -c TimeZone=UTC"
        given = parsed.query.get("options", "")
        options = f"{given if isinstance(given, str) else ' '.join(given)} {read_only}".strip()
        parsed = parsed.set(query={**parsed.query, "options": options})
    # A $ would be taken for a variable by Great Expectations.
    opened = parsed.render_as_string(hide_password=False).replace("$", "%24")
    keep_secret(opened)
    return SqlLocation(url=opened, kind=kind, table=name, schema=schema or None, key=key)

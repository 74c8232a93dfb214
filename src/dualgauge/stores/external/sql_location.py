"""A view as another library reads it by SQL: where it is, and a URL that lets nothing be written where that can be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from dualgauge.errors import keep_secret

if TYPE_CHECKING:
    from pathlib import Path


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

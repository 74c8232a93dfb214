"""URLs of somebody else's database: read, and shown without their password."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from dualgauge.stores.errors import BadTablesUrl, NoTablesFile

if TYPE_CHECKING:
    from pathlib import Path

_PORTS: Final = {"postgresql": 5432, "mysql": 3306, "mariadb": 3306}
_SECRETS: Final = frozenset(("password", "passwd", "pwd", "sslpassword", "token", "secret"))


def shown_url(url: str) -> str:
    """A database's URL as it may be shown: without its password, wherever in it that stands."""
    try:
        parsed = parsed_url(url)
    except BadTablesUrl as fault:
        return fault.url
    query = {name: "***" if name.casefold() in _SECRETS else value for name, value in parsed.query.items()}
    return parsed.set(query=query).render_as_string(hide_password=True)


def parsed_url(url: str) -> sa.URL:
    """A text as SQLAlchemy's URL. Raises BadTablesUrl, which does not show what cannot be read."""
    kind = url.partition("://")[0] if "://" in url else ""
    hidden = f"{kind}://..." if kind else "what was given"
    try:
        # `postgres://` is how many providers write it.
        parsed = sa.make_url(f"postgresql://{url.removeprefix('postgres://')}" if kind == "postgres" else url)
    except (sa.exc.ArgumentError, ValueError) as fault:
        raise BadTablesUrl(hidden, "it cannot be read as a URL") from fault
    if "@" in (parsed.host or ""):
        raise BadTablesUrl(hidden, "it has more than one @; write an @ in a user name or a password as %40")
    return parsed


def same_database(one: str, other: str, root: Path) -> bool:
    """Whether two URLs name one database, whoever connects to it; relative SQLite paths are relative to `root`."""
    places = []
    for url in map(parsed_url, (one, other)):
        kind = url.get_backend_name()
        if kind == "sqlite":
            places.append((kind, "", 0, str((root / (url.database or "")).resolve())))
        else:
            places.append((kind, url.host or "", url.port or _PORTS.get(kind, 0), url.database or ""))
    return places[0] == places[1]


def sqlite_file(url: sa.URL, root: Path, shown: str) -> Path:
    """The file of a SQLite URL. Raises BadTablesUrl, NoTablesFile."""
    if url.host or not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        # With two slashes the path's first part is a host, and another file would be read.
        raise BadTablesUrl(shown, "a SQLite database is a file, given by its path behind three slashes")
    if url.get_driver_name() != "pysqlite":
        raise BadTablesUrl(shown, "SQLite is read by Python's own sqlite3, so write sqlite:///")
    return existing(root / url.database)


def existing(file: Path) -> Path:
    """A file that is there. Raises NoTablesFile."""
    if not file.is_file():
        raise NoTablesFile(file, "it is a folder" if file.is_dir() else "there is no such file")
    return file

"""The URL of a ledger, read as SQLAlchemy reads it, without SQLAlchemy."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, unquote

from dualgauge_router.errors import HIDDEN, keep_secret, keep_secret_value, redact
from dualgauge_router.ledger_errors import UNREADABLE, BadLedgerUrl

if TYPE_CHECKING:
    from collections.abc import Mapping

_URL: Final = re.compile(
    r"""
    (?P<backend>\w+)(?:\+(?P<driver>\w+))?://
    (?:(?P<user>[^:/]*)(?::(?P<password>[^@]*))?@)?
    (?:\[(?P<ipv6>[^/?]+)\]|(?P<host>[^/:?]+)?)(?::(?P<port>[^/?]*))?
    (?:/(?P<database>[^?]*))?(?:\?(?P<query>.*))?
    """,
    re.VERBOSE | re.DOTALL,
)


_PASSWORDS: Final = ("password", "sslpassword")


@dataclass(frozen=True, slots=True)
class LedgerUrl:
    """
    Where a ledger is: a SQLite file's `path`, absolute, or else what psycopg connects with (`server`).

    `shown` is the URL without its passwords.
    """

    shown: str
    path: Path | None = None
    server: Mapping[str, str] = field(default_factory=dict, repr=False)


def ledger_url(text: str) -> LedgerUrl:
    """
    Read a URL such as `sqlite:///.dualgauge/ledger.db` or `postgresql+psycopg://user:password@host/database`.

    Raises:
        BadLedgerUrl: no database URL, one of an unknown kind, or SQLite in memory.
    """
    keep_secret(text)
    found = _URL.fullmatch(text)
    if found is None or not (found["port"] or "0").isdigit():
        raise BadLedgerUrl(UNREADABLE)
    backend, database = found["backend"], unquote(found["database"] or "")
    host = found["ipv6"] or found["host"]
    if backend == "sqlite":
        if host or not database or database == ":memory:" or database.startswith("file:"):
            # With two slashes the path's first part is a host: a ledger in another place would be opened.
            raise BadLedgerUrl("a SQLite ledger is a file, given by its path behind three slashes")
        return LedgerUrl(redact(text), Path(database).absolute())
    if backend != "postgresql":
        raise BadLedgerUrl(f"a ledger is kept in SQLite or PostgreSQL, not in {backend}")
    options: dict[str, str] = {}
    for name, value in parse_qsl(found["query"] or ""):
        # A URL with several hosts says each by itself.
        options[name] = f"{options[name]},{value}" if name in options else value
    given = {
        "host": host, "port": found["port"], "dbname": database,
        "user": None if found["user"] is None else unquote(found["user"]),
        "password": None if found["password"] is None else unquote(found["password"]),
    }  # fmt: skip
    server = {name: value for name, value in given.items() if value} | options
    return LedgerUrl(_shown(found, server), server=server)


def _shown(found: re.Match[str], server: Mapping[str, str]) -> str:
    """A server's URL without its passwords, which are remembered: a driver may write them into what it says."""
    # Who forgets to escape an @ in a password has its end in the host's name.
    ends = [text.rpartition("@")[0] for text in server.get("host", "").split(",")]
    passwords = [found["password"] or "", *(server.get(name, "") for name in _PASSWORDS), *ends]
    for text in passwords:
        for one in (text, unquote(text), text.rpartition(":")[2]):
            keep_secret_value(one)
    user = "" if found["user"] is None else found["user"] + ("" if found["password"] is None else f":{HIDDEN}") + "@"
    host = f"[{found['ipv6']}]" if found["ipv6"] else (found["host"] or "").rpartition("@")[2]
    port, database = (
        f"{sign}{found[name]}" if found[name] else "" for sign, name in ((":", "port"), ("/", "database"))
    )
    options = "&".join(
        f"{name}={HIDDEN if name in _PASSWORDS or '@' in value else value}"
        for name, value in parse_qsl(found["query"] or "")
    )
    scheme = found["backend"] + (f"+{found['driver']}" if found["driver"] else "")
    return redact(f"{scheme}://{user}{host}{port}{database}{f'?{options}' if options else ''}")

"""
Opening a ledger: to write, which makes and upgrades it, or to look, which leaves it as it is.

Whoever looks may be an older or a newer dualgauge than the one that wrote last. What is older than this one reads is
refused with the command that upgrades it; what is newer is read where its own revision says that it can be.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Column, MetaData, PrimaryKeyConstraint, String, Table, inspect, select

from dualgauge.ledger.database import Database
from dualgauge.ledger.errors import NewerLedger, NoLedger, NotALedger, OlderLedger, ReadOnlyLedger
from dualgauge.ledger.tables import HEAD, METADATA, OLDEST_READ, READABLE_FROM, READERS, REVISIONS, VERSION_TABLE
from dualgauge.model import ALEMBIC

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

SCRIPTS: Final = Path(__file__).with_name("revisions")

TIMEOUT: Final = 30.0
"""Seconds to wait for another writer."""

_READ: Final = REVISIONS[REVISIONS.index(OLDEST_READ) :]

_VERSION: Final = Table(
    VERSION_TABLE,
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name=f"{VERSION_TABLE}_pkc"),
)
"""Alembic's table, as Alembic makes it."""


def bring_up(database: Database, *, create: bool) -> str | None:
    """
    Have the ledger at the revision that this dualgauge writes; gives the one that it was at, None where it was made.

    Two processes may do this at once: the second waits for the first, and finds it done.

    Raises:
        NoLedger: there is none, and `create` is False.
        NewerLedger, ReadOnlyLedger: it was written by a later dualgauge.
        NotALedger: tables of these names stand there that dualgauge did not make.
    """
    if create:
        database.make()
    with database.reading() as connection:
        before = _known(connection, database.shown, create=create)
        if before == HEAD:
            return before
    database.use_wal()
    with database.writing() as connection:
        before = _known(connection, database.shown, create=create)
        if before is None:
            _make(connection)
        elif before != HEAD:
            _upgrade(connection)
    return before


def upgrade_at(url: str) -> tuple[str | None, str | None]:
    """
    Upgrade the ledger at a URL; gives its revisions before and after, None for both where there is no ledger.

    Raises:
        NewerLedger, ReadOnlyLedger, NotALedger: as `bring_up`.
    """
    database = Database(url, timeout=TIMEOUT)
    try:
        return bring_up(database, create=False), HEAD
    except NoLedger:
        return None, None
    finally:
        database.close()


def look(database: Database) -> str:
    """
    The revision of a ledger that can be read as it is; nothing is upgraded.

    Raises:
        NoLedger, NotALedger: as `bring_up`.
        OlderLedger, NewerLedger: it cannot be read.
    """
    with database.reading() as connection:
        _found(connection, database.shown, create=False)
        return readable(connection, database.shown)


def readable(connection: Connection, shown: str) -> str:
    """
    The revision of an open ledger, in the snapshot of a connection, if it can be read.

    Raises:
        OlderLedger, NewerLedger: it cannot be read.
    """
    found = _revision(connection, shown)
    if found in _READ:
        return found
    if found in REVISIONS:
        raise OlderLedger(shown, found, OLDEST_READ, HEAD)
    if not _open_to_readers(connection, found):
        raise NewerLedger(shown, found, HEAD)
    return found


def writable(connection: Connection, shown: str) -> None:
    """
    Raise unless an open ledger is at the revision that is written.

    Raises:
        OlderLedger: it was opened to look, and nothing upgraded it.
        NewerLedger, ReadOnlyLedger: a later dualgauge upgraded it, perhaps since it was opened.
    """
    found = _revision(connection, shown)
    _refuse_newer(connection, shown, found)
    if found != HEAD:
        raise OlderLedger(shown, found, OLDEST_READ, HEAD)


def _known(connection: Connection, shown: str, *, create: bool) -> str | None:
    """The revision that is there, if it is none of a later dualgauge; None where there is none and it may be made."""
    found = _found(connection, shown, create=create)
    if found is not None:
        _refuse_newer(connection, shown, found)
    return found


def _refuse_newer(connection: Connection, shown: str, found: str) -> None:
    if found not in REVISIONS:
        raise (ReadOnlyLedger if _open_to_readers(connection, found) else NewerLedger)(shown, found, HEAD)


def _open_to_readers(connection: Connection, found: str) -> bool:
    """Whether a revision that is not known here says that who knows ours can read it."""
    if not inspect(connection).has_table(READABLE_FROM.name):
        return False
    said = select(READABLE_FROM.c.reader).where(READABLE_FROM.c.revision == found)
    return connection.scalar(said) in REVISIONS


def _revision(connection: Connection, shown: str) -> str:
    found = connection.scalar(select(_VERSION.c.version_num))
    if found is None:
        raise NotALedger(shown, f"it has no revision in {VERSION_TABLE!r}")
    return str(found)


def _found(connection: Connection, shown: str, *, create: bool) -> str | None:
    """The revision of the tables that are there; None where there are none and they may be made."""
    names = set(inspect(connection).get_table_names())
    found = connection.scalar(select(_VERSION.c.version_num)) if VERSION_TABLE in names else None
    if found is None:
        if taken := names & set(METADATA.tables):
            raise NotALedger(shown, f"it has a table {min(taken)!r} and no revision in {VERSION_TABLE!r}")
        if not create:
            raise NoLedger(shown)
    return found


def _make(connection: Connection) -> None:
    # Not by the revisions, one after the other: that loads alembic, and takes three times as long.
    METADATA.create_all(connection, checkfirst=False)
    _VERSION.create(connection, checkfirst=True)
    connection.execute(_VERSION.insert().values(version_num=HEAD))
    rows = [{"revision": revision, "reader": reader} for revision, reader in READERS]
    connection.execute(READABLE_FROM.insert(), rows)


def _upgrade(connection: Connection) -> None:
    # Imported here: alembic is needed for what an older dualgauge left, and nobody else must pay for it.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    with ALEMBIC:
        command.upgrade(config, "head")

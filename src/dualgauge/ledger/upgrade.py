"""Opening a ledger: create it, upgrade it, or say why it is not touched."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Column, MetaData, String, Table, inspect, select

from dualgauge.ledger.errors import NewerLedger, NoLedger, NotALedger
from dualgauge.ledger.tables import METADATA, REVISIONS, VERSION_TABLE
from dualgauge.model import ALEMBIC

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from dualgauge.ledger.database import Database

SCRIPTS: Final = Path(__file__).with_name("revisions")

_VERSION: Final = Table(VERSION_TABLE, MetaData(), Column("version_num", String(32), primary_key=True))


def bring_up(database: Database, *, create: bool) -> None:
    """
    Have the ledger at the revision that this dualgauge works with.

    Two processes may do this at once: the second waits for the first, and finds it done.

    Raises:
        NoLedger: there is none, and `create` is False.
        NewerLedger: it was written by a later dualgauge.
        NotALedger: tables of these names stand there that dualgauge did not make.
    """
    if create:
        database.make()
    with database.reading() as connection:
        if _found(connection, database.shown, create=create) == REVISIONS[-1]:
            return
    database.use_wal()
    with database.writing() as connection:
        if _found(connection, database.shown, create=create) != REVISIONS[-1]:
            _upgrade(connection)


def revision(database: Database) -> str:
    """
    The revision that a ledger is at, looked at without upgrading it; `REVISIONS[-1]` is the one worked with.

    Raises:
        NoLedger, NewerLedger, NotALedger: as `bring_up`.
    """
    with database.reading() as connection:
        found = _found(connection, database.shown, create=False)
    assert found is not None  # noqa: S101  (without `create`, no ledger raises)
    return found


def _found(connection: Connection, shown: str, *, create: bool) -> str | None:
    """The revision of the tables that are there; None where there are none and they may be made."""
    names = set(inspect(connection).get_table_names())
    found = connection.scalar(select(_VERSION.c.version_num)) if VERSION_TABLE in names else None
    if found is None:
        if taken := names & set(METADATA.tables):
            raise NotALedger(shown, f"it has a table {min(taken)!r} and no revision in {VERSION_TABLE!r}")
        if not create:
            raise NoLedger(shown)
    elif found not in REVISIONS:
        raise NewerLedger(shown, found, REVISIONS[-1])
    return found


def _upgrade(connection: Connection) -> None:
    # Imported here: alembic is needed once in a ledger's life, and readers must not pay for it.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    with ALEMBIC:
        command.upgrade(config, "head")

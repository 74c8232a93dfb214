"""Whether a store's file is whole: what `doctor` asks of a SQLite file. Nothing is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dualgauge.stores.sqlite.database import reading

if TYPE_CHECKING:
    from dualgauge.model import Side
    from dualgauge.stores.sqlite.database import Databases


@dataclass(frozen=True, slots=True)
class Health:
    """`problems` is what SQLite's quick check found, at most five lines; none is whole."""

    journal_mode: str
    problems: tuple[str, ...]


def look(databases: Databases, side: Side) -> Health | None:
    """
    Check the file of a side; None where there is none.

    Raises:
        NotADatabase, StoreHeld, StoreRefused: it cannot be looked at.
    """
    if not databases.file(side).exists():
        return None
    with databases.open(side) as engine, reading(engine) as connection:
        mode = connection.exec_driver_sql(f"PRAGMA {side.schema}.journal_mode").scalar_one()
        found = [row[0] for row in connection.exec_driver_sql(f"PRAGMA {side.schema}.quick_check(5)")]
    return Health(str(mode), tuple(found) if found != ["ok"] else ())

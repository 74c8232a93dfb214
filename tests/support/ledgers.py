"""Ledgers of other versions: older ones, by the packaged revisions, and later ones, as they would be left."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, inspect, text

from dualgauge.ledger.journal import JournalEntry
from dualgauge.ledger.ledger import Ledger
from dualgauge.ledger.tables import VERSION_TABLE
from dualgauge.ledger.upgrade import SCRIPTS
from dualgauge.model import holder_name

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dualgauge.ledger.values import EvidenceRun

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def url_of(shop: Path) -> str:
    """A project's ledger."""
    return f"sqlite:///{shop / '.dualgauge' / 'ledger.db'}"


def dead_holder() -> str:
    """A holder of this machine that has ended."""
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    return holder_name("eve").replace(f"process {os.getpid()} ", f"process {child} ")


def move(url: str, share_ppm: int, stage: str = "canary", name: str = "orders") -> None:
    """Bring a migration to a share and a stage, by whatever it is at."""
    with Ledger.open(url) as ledger:
        state = ledger.state(name)
        ledger.move(
            state,
            JournalEntry(
                name, "v", "ana", AT, state.stage, state.share_ppm, stage, share_ppm, f"{name}-{state.revision}"
            ),
        )


def kept_runs(ledger: Ledger) -> tuple[EvidenceRun, ...]:
    """Every run that can be read and is not unlike its seal, newest start first."""
    evidence = ledger.evidence()
    found = [one.run for one in (*evidence.sealed, *evidence.strays) if one.run]
    return tuple(sorted(found, key=lambda run: (run.started_at, run.run_id), reverse=True))


def downgrade(url: str, revision: str) -> None:
    """Leave the ledger as the dualgauge of an older revision would have."""
    _run(command.downgrade, url, revision)


def make_by_revisions(url: str) -> None:
    """Make the tables of a ledger in an empty database by every revision, one after the other."""
    _run(command.upgrade, url, "head")


def _run(what: Callable[[Config, str], None], url: str, revision: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(SCRIPTS))
        config.attributes["connection"] = connection
        what(config, revision)
    engine.dispose()


def tables_of(url: str) -> dict[str, dict[str, Any]]:
    """Every table of a database: columns in their order, keys and indexes, as the database tells of them."""
    engine = create_engine(url)
    inspector = inspect(engine)
    found = {
        name: {
            "columns": [column | {"type": str(column["type"])} for column in inspector.get_columns(name)],
            "key": inspector.get_pk_constraint(name),
            "unique": inspector.get_unique_constraints(name),
            "indexes": inspector.get_indexes(name),
        }
        for name in inspector.get_table_names()
    }
    engine.dispose()
    return found


def later(url: str, revision: str = "0099", *, reader: str | None = None) -> None:
    """Leave the ledger as a later dualgauge would; `reader` is the revision that it says who reads must know."""
    sql(url, f"UPDATE {VERSION_TABLE} SET version_num = '{revision}'")
    if reader is not None:
        sql(url, f"INSERT INTO readable_from VALUES ('{revision}', '{reader}')")


def revision_of(url: str) -> str:
    """The revision that is written in the ledger."""
    ((found,),) = sql(url, f"SELECT version_num FROM {VERSION_TABLE}")
    return str(found)


def sql(url: str, *statements: str) -> list[tuple[Any, ...]]:
    """Run statements by hand; gives the rows of the last."""
    engine = create_engine(url)
    rows: list[tuple[Any, ...]] = []
    with engine.begin() as connection:
        for statement in statements:
            done = connection.execute(text(statement.replace(":", r"\:")))
            rows = [tuple(row) for row in done] if done.returns_rows else []
    engine.dispose()
    return rows

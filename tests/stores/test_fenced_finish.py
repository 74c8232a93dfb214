"""A build whose loader lost it serves nothing, and one of an older version is begun anew so that nobody can lose it."""

from __future__ import annotations

import sqlite3
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from contract.store import TOTALS, build, rows
from dualgauge.model import Position, Side
from dualgauge.stores.errors import Fenced
from dualgauge.stores.sqlite import bulk
from dualgauge.stores.sqlite.database import Databases
from dualgauge.stores.sqlite.store import SqliteStore
from support.builds import batch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import sqlalchemy as sa


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    return SqliteStore(Databases(v1=tmp_path / "views_v1.db", v2=tmp_path / "views_v2.db", wait=30.0))


def test_who_loses_a_build_between_its_indexes_and_its_readers_serves_nothing(
    shaped: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = build(shaped, TOTALS, rows(1, 1), target=1)
    real = bulk.writing
    with ExitStack() as stack:
        first = stack.enter_context(shaped.load(TOTALS, "h", "t", Position(9), "chain"))
        first.append(batch(rows(6, 2)))

        @contextmanager
        def writing(engine: sa.Engine) -> Iterator[Any]:
            with real(engine) as connection:
                yield connection
            monkeypatch.setattr(bulk, "writing", real)
            # Another process begins a build of another text, and drops the one that is nearly done.
            stack.enter_context(shaped.load(TOTALS, "other", "t", Position(9), "chain"))

        monkeypatch.setattr(bulk, "writing", writing)
        with pytest.raises(Fenced, match="was taken over by another process"):
            first.finish()
        assert shaped.served(Side.V1) == {"totals": before}
        assert shaped.point(Side.V1, "totals", ["c000"]) == {"customer": "c000", "orders": 1}


def test_a_load_that_an_older_version_began_is_begun_anew_so_that_its_build_has_a_token(shaped: SqliteStore) -> None:
    with shaped.load(TOTALS, "h", "t", Position(9), "chain") as loading:
        loading.append(batch(rows(3, 1)))
    with closing(sqlite3.connect(shaped.databases.v1)) as hand, hand:
        hand.execute("UPDATE _dualgauge_checkpoint SET token = NULL")
    with shaped.load(TOTALS, "h", "t", Position(9), "chain") as loading:
        assert loading.rows == 0
        loading.append(batch(rows(6, 2)))
        loading.finish()

    assert shaped.served_builds(Side.V1)["totals"].identified

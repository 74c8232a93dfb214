"""Replay: the view's own answer, whole, for readers; or the answer they had."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract import shop
from dualgauge.engines.duck import open_engine
from dualgauge.model import Side, quote
from dualgauge.replay.errors import CannotCompute, NoSuchView
from dualgauge.replay.run import LARGEST_CHUNK, SMALLEST_CHUNK, TARGET_SECONDS, _next_size
from dualgauge.stores.errors import BadKeys, NoStoreType, UnstorableValue
from dualgauge.stores.serving.types import store_type
from support import builds
from support.inside import log_of, store_of

if TYPE_CHECKING:
    from pathlib import Path

    from dualgauge.migration import Migration

VIEWS = {
    "totals": shop.TOTALS,
    "each": shop.EACH,
    "odd": (
        '-- key: "Größe", "order by"\n-- index: "it\'s"\n'
        'SELECT amount AS "Größe", event_id AS "order by", customer AS "it\'s", [customer, NULL] AS "a ""b""", '
        "{'w': weight, 'a': amount} AS \"100%\" FROM events"
    ),
    "last_three": "-- key: event_id\nSELECT event_id, amount FROM events ORDER BY position DESC LIMIT 3",
    "ranked": "-- key: event_id\nSELECT event_id, row_number() OVER (ORDER BY position) AS place FROM events",
    "by_day": (
        "-- key: day\nSELECT CAST(occurred_at AT TIME ZONE 'UTC' AS DATE) AS day, sum(amount) AS total, "
        "count(DISTINCT customer) AS customers, list(event_id ORDER BY position) AS ids FROM events GROUP BY ALL"
    ),
}
EXACT = {"totals": True, "each": True, "odd": True, "last_three": False, "ranked": False}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return shop.project(tmp_path / "shop", rows=300)


def stored(migration: Migration, side: Side, name: str) -> dict[str, list[object]]:
    """A served build as it is stored, column by column."""
    [plan] = [one for one in migration.views.plan() if (one.view.side, one.view.name) == (side, name)]
    columns = {**plan.view.columns, "_position": "BIGINT"}
    with store_of(migration).snapshot(side) as snapshot:
        rows = sorted(builds.stored(snapshot, name, columns), key=repr)
    return {one: [row[place] for row in rows] for place, one in enumerate(columns)}


@pytest.mark.parametrize("name", VIEWS)
def test_a_build_is_what_the_views_select_gives_on_the_same_events(folder: Path, name: str) -> None:
    shop.view(folder, "v2", name, VIEWS[name])
    migration = shop.imported(folder)
    done = migration.replay([f"v2.{name}"])
    [plan] = [one for one in migration.views.plan() if one.view.label == f"v2.{name}"]
    assert (plan.position_sql is not None) == EXACT.get(name, plan.position_sql is not None)
    with open_engine(threads=2) as engine:
        engine.execute(f"CREATE TEMP VIEW events AS {log_of(migration).relation(log_of(migration).head().last)}")
        kinds = plan.view.columns
        rows = {column: store_type("v", column, kind).sqlite for column, kind in kinds.items()}
        found = stored(migration, Side.V2, name)
        floats = {column for column, row in rows.items() if row.arrow == "float64"}
        plain = {
            column: [float(str(value)) if column in floats and value is not None else value for value in values]
            for column, values in found.items()
        }
        engine.register("found", pa.table(plain))
        back = ", ".join(f"{row.back(quote(column))} AS {quote(column)}" for column, row in rows.items())
        answer = plan.view.text.rstrip()
        for one, other in ((answer, f"SELECT {back} FROM found"), (f"SELECT {back} FROM found", answer)):
            assert engine.rows(f"SELECT count(*) FROM (({one}\n) EXCEPT ALL ({other}\n))") == [(0,)]
        assert engine.row(f"SELECT count(*) FROM ({answer}\n)") == (len(found["_position"]),) == (done.views[0].rows,)
        if name in ("each", "odd"):
            id_ = quote("event_id" if name == "each" else "order by")
            both = f"found JOIN events ON events.event_id = found.{id_}"
            wrong = f"SELECT count(*) FROM {both} WHERE found._position <> events.position"
            assert engine.row(wrong) == (0,)
        if name == "totals":
            last = "SELECT customer, max(position) AS p FROM events WHERE type = 'placed' GROUP BY customer"
            assert engine.row(f"SELECT count(*) FROM found JOIN ({last}) USING (customer) WHERE _position <> p") == (0,)
        if not EXACT.get(name, True):
            assert set(found["_position"]) == {300}


@pytest.mark.parametrize(
    ("select", "message"),
    [
        (
            (
                "-- key: customer\nSELECT customer, amount FROM events WHERE customer IN ('c0919', 'c0919')"
                " UNION ALL SELECT 'c0919', 1"
            ),
            "view v1.totals: 1 key is there more than once in its key (customer), for example customer = c0919",
        ),
        (
            "-- key: event_id, k\nSELECT event_id, nullif(type, if(position IN (7, 9), type, '')) AS k FROM events",
            "view v1.totals: 2 rows have a NULL in its key (event_id, k), for example event_id = 7, k = NULL",
        ),
    ],
    ids=["duplicate", "NULL"],
)
def test_bad_keys_are_refused_with_a_sample_and_readers_keep_the_build_before(
    folder: Path, select: str, message: str
) -> None:
    migration = shop.imported(folder)
    migration.replay()
    before = stored(migration, Side.V1, "totals")
    shop.view(folder, "v1", "totals", select)
    with pytest.raises(BadKeys) as caught:
        shop.opened(folder).replay()
    assert str(caught.value).startswith(message)
    assert str(caught.value).endswith("or choose another key; readers keep what they had")
    assert caught.value.exit_code == 4
    shop.view(folder, "v1", "totals", shop.TOTALS)
    assert stored(migration, Side.V1, "totals") == before


def test_keys_that_are_one_only_in_the_store_are_refused(folder: Path) -> None:
    keys = "SELECT CAST('{\"a\": 1}' AS JSON) AS id UNION ALL SELECT CAST('{\"a\":1}' AS JSON)"
    shop.view(folder, "v1", "totals", f"-- key: id\n{keys}")
    with pytest.raises(BadKeys, match="two keys are one once stored"):
        shop.imported(folder).replay()


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("CASE WHEN position = 200 THEN 'nan'::DOUBLE ELSE weight END", "column 'bad one' is NaN"),
        ("sum(position * 9000000000000000000::HUGEINT) OVER ()", "column 'bad one' holds a number beyond 64 bits"),
        ("'infinity'::DATE", "column 'bad one' holds a time outside the years 1 to 9999"),
    ],
)
def test_a_value_that_cannot_be_stored_is_refused_with_its_column_and_readers_keep_the_build_before(
    folder: Path, expression: str, reason: str
) -> None:
    migration = shop.imported(folder)
    migration.replay()
    before = store_of(migration).served(Side.V1)
    shop.view(folder, "v1", "totals", f'-- key: event_id\nSELECT event_id, {expression} AS "bad one" FROM events')
    with pytest.raises(UnstorableValue) as caught:
        shop.opened(folder).replay()
    assert str(caught.value).startswith(f"view v1.totals: {reason}")
    assert caught.value.exit_code == 4
    assert store_of(migration).served(Side.V1) == before
    assert store_of(migration).point(Side.V1, "totals", ["c0919"]) is not None


def test_a_select_that_fails_on_an_event_says_so_and_readers_keep_what_they_had(folder: Path) -> None:
    migration = shop.imported(folder)
    migration.replay()
    before = store_of(migration).served(Side.V1)
    shop.view(folder, "v1", "totals", "-- key: event_id\nSELECT event_id, CAST(type AS BIGINT) AS n FROM events")
    with pytest.raises(CannotCompute) as caught:
        shop.opened(folder).replay()
    assert str(caught.value).startswith("view v1.totals: its SELECT cannot be computed over these events: ")
    assert str(caught.value).endswith("readers keep what they had")
    assert caught.value.exit_code == 4
    assert store_of(migration).served(Side.V1) == before


def test_a_type_that_cannot_be_stored_is_refused_before_anything_is_done(folder: Path) -> None:
    shop.view(folder, "v1", "totals", "-- key: event_id\nSELECT event_id, INTERVAL 1 DAY AS i FROM events")
    with pytest.raises(NoStoreType, match=r"view v1\.totals: column 'i' is INTERVAL"):
        shop.imported(folder).replay()
    assert not list((folder / "migrations").glob("versions/*.py"))


def test_what_is_current_is_skipped_and_force_builds_it_anew(folder: Path) -> None:
    migration = shop.imported(folder)
    [first] = migration.replay().views
    [again] = migration.replay().views
    [forced] = migration.replay(force=True).views
    assert (first.build, first.skipped, first.position) == (1, False, 300)
    assert (again.build, again.skipped, again.rows) == (1, True, 0)
    assert (forced.build, forced.skipped, forced.rows) == (2, False, first.rows)


def test_a_changed_text_is_built_anew_and_the_text_is_kept_with_the_build(folder: Path) -> None:
    migration = shop.imported(folder)
    migration.replay()
    changed = shop.TOTALS.replace("'placed'", "'paid'")
    shop.view(folder, "v1", "totals", changed)
    [done] = shop.opened(folder).replay().views
    assert (done.build, done.skipped) == (2, False)
    texts = {one.build: one.text for one in store_of(migration).checkpoints(Side.V1)}
    assert texts == {1: shop.TOTALS, 2: changed}


def test_new_events_are_in_the_next_replay(folder: Path) -> None:
    migration = shop.imported(folder)
    migration.replay()
    shop.events(folder, 301, 320, "b")
    migration.import_(every=True)
    done = shop.opened(folder).replay()
    assert (done.position, done.views[0].position, done.views[0].skipped) == (320, 320, False)


def test_an_empty_log_gives_empty_views_that_readers_keep_while_the_first_events_are_loaded(tmp_path: Path) -> None:
    folder = shop.project(tmp_path / "shop", rows=0)
    migration = shop.opened(folder)
    [done] = migration.replay().views
    assert (done.rows, done.position) == (0, 0)
    assert store_of(migration).point(Side.V1, "totals", ["c0919"]) is None
    shop.events(folder, 1, 50)
    migration.import_(every=True)
    shop.view(folder, "v1", "totals", shop.TOTALS.replace("count(*)", "CASE WHEN false THEN 1 ELSE error('no') END"))
    with pytest.raises(CannotCompute):
        shop.opened(folder).replay()
    assert store_of(migration).point(Side.V1, "totals", ["c0919"]) is None
    shop.view(folder, "v1", "totals", shop.TOTALS)
    assert shop.opened(folder).replay().views[0].rows == 40


def test_a_name_that_no_view_has_is_refused_with_the_nearest(folder: Path) -> None:
    with pytest.raises(
        NoSuchView, match=r"no view is called 'total' \(did you mean 'v1.totals'\?\); there are v1.totals"
    ):
        shop.imported(folder).replay(["total"])


def test_a_dry_run_changes_nothing(folder: Path) -> None:
    migration = shop.imported(folder)
    before = sorted(folder.rglob("*.db")) + sorted(folder.rglob("*.py"))
    assert migration.replay(dry_run=True).views == ()
    assert sorted(folder.rglob("*.db")) + sorted(folder.rglob("*.py")) == before


def test_a_build_is_in_key_order_in_its_file(folder: Path) -> None:
    shop.imported(folder).replay()
    with sqlite3.connect(folder / ".dualgauge" / "views_v1.db") as alone:
        customers = [row[0] for row in alone.execute("SELECT * FROM totals")]
    alone.close()
    assert customers == sorted(customers)
    assert len(customers) == 240


# --- the size of a chunk ------------------------------------------------------------------------------------------


def test_a_slow_chunk_makes_the_next_one_smaller_and_a_quick_one_larger() -> None:
    assert _next_size(10_000, TARGET_SECONDS) == 10_000
    assert _next_size(10_000, TARGET_SECONDS * 4) == 2_500
    assert _next_size(10_000, TARGET_SECONDS / 2) == 20_000
    assert _next_size(10_000, 0.0) == 20_000
    assert _next_size(SMALLEST_CHUNK, 60.0) == SMALLEST_CHUNK
    assert _next_size(LARGEST_CHUNK, 0.0) == LARGEST_CHUNK


@given(st.floats(0.1, 200))
def test_chunks_settle_under_the_target_whatever_a_row_costs(microseconds: float) -> None:
    size = 10_000
    for _ in range(12):
        size = _next_size(size, size * microseconds / 1e6)
    assert SMALLEST_CHUNK <= size <= LARGEST_CHUNK
    assert size == SMALLEST_CHUNK or size * microseconds / 1e6 <= TARGET_SECONDS * 1.01

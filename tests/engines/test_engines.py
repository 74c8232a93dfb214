"""An engine is quiet, bounded and in UTC, and says what it refuses in our words."""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from dualgauge.engines.duck import Engine, open_engine
from dualgauge.engines.errors import (
    BadMemoryLimit,
    BadStatement,
    BadValue,
    CannotRead,
    CannotWrite,
    EngineError,
    OutOfMemory,
)
from support.log_project import run_child

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def engine() -> Iterator[Engine]:
    with open_engine() as opened:
        yield opened


USE = """
import sys
from dualgauge.engines.duck import open_engine
with open_engine(memory_limit="300MB") as engine:
    engine.execute("CREATE TABLE t AS SELECT range AS n, hash(range) AS h FROM range(2_000_000)")
    engine.execute("COPY (SELECT * FROM t ORDER BY h) TO '" + sys.argv[1] + "' (FORMAT parquet)")
    list(engine.batches("SELECT n FROM t LIMIT 50_000"))
    engine.arrow("SELECT current_timestamp AS now, n FROM t LIMIT 10")
    try:
        engine.rows("SELECT nothing")
    except Exception as fault:
        kept = fault
"""


def test_a_process_that_used_an_engine_printed_nothing(tmp_path: Path) -> None:
    child = run_child(USE, tmp_path / "t.parquet")

    assert child.communicate(timeout=60) == ("", "")
    assert child.returncode == 0


def test_times_are_in_utc_whatever_the_machine_says(engine: Engine) -> None:
    table = engine.arrow(
        "SELECT TIMESTAMPTZ '2020-06-01 12:00:00+02' AS at, CAST(TIMESTAMP '2020-06-01 10:00' AS TIMESTAMPTZ) AS naive"
    )

    assert engine.row("SELECT current_setting('TimeZone')") == ("UTC",)
    assert table.schema.field("at").type == pa.timestamp("us", tz="UTC")
    assert table.to_pylist() == [dict.fromkeys(("at", "naive"), datetime(2020, 6, 1, 10, tzinfo=UTC))]
    assert engine.row("SELECT CAST(TIMESTAMPTZ '2020-06-01 12:00:00+02' AS VARCHAR)") == ("2020-06-01 10:00:00+00",)


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("SELEC 1", 'Parser Error: syntax error at or near "SELEC"'),
        ("SELECT nothing FROM (SELECT 1 AS something)", 'Binder Error: Referenced column "nothing" not found'),
        ("SELECT * FROM absent", "Catalog Error: Table with name absent does not exist!"),
    ],
)
def test_a_wrong_statement_is_told_in_its_first_paragraph(engine: Engine, sql: str, reason: str) -> None:
    with pytest.raises(BadStatement) as refused:
        engine.rows(sql)

    assert str(refused.value).startswith(f"DuckDB: {reason}")
    assert "\n\n" not in str(refused.value)
    assert "LINE 1" not in str(refused.value)
    assert refused.value.exit_code == 2


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("SELECT CAST('x' AS BIGINT)", "Conversion Error: Could not convert string 'x' to INT64"),
        (
            "SELECT 9223372036854775807 + n FROM (SELECT 1::BIGINT AS n)",
            "Out of Range Error: Overflow in addition of INT64",
        ),
        ("SELECT error('no such thing')", "Invalid Input Error: no such thing"),
    ],
)
def test_a_value_that_does_not_fit_is_an_error_of_the_data(engine: Engine, sql: str, reason: str) -> None:
    with pytest.raises(BadValue) as refused:
        engine.rows(sql)

    assert str(refused.value).startswith(f"DuckDB: {reason}")
    assert refused.value.exit_code == 4


def test_a_file_that_cannot_be_read_is_no_error_of_the_data_and_says_what_to_do(engine: Engine) -> None:
    with pytest.raises(CannotRead) as refused:
        engine.rows("SELECT * FROM read_csv('/nowhere/at/all.csv')")

    assert str(refused.value).startswith("DuckDB: IO Error: No files found that match the pattern")
    assert str(refused.value).endswith("whole (restore it from a backup if not), then run the command again")
    assert refused.value.exit_code == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is always full is Linux's")
@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_a_full_disk_is_no_error_of_the_data_the_sql_or_a_file(engine: Engine, form: str) -> None:
    with pytest.raises(CannotWrite) as refused:
        engine.execute(f"COPY (SELECT * FROM range(100000)) TO '/dev/full' (FORMAT {form})")

    assert "No space left on device" in str(refused.value)
    assert str(refused.value).endswith(
        "; see that you may write there and that the disk has room, then run the command again"
    )
    assert refused.value.exit_code == 1
    assert not isinstance(refused.value, EngineError)


def test_an_engine_stays_usable_after_a_refusal(engine: Engine) -> None:
    for sql in ("SELEC", "SELECT CAST('x' AS BIGINT)"):
        with pytest.raises(EngineError):
            engine.execute(sql)

    assert engine.row("SELECT 1 + 1") == (2,)


def test_what_does_not_fit_into_memory_is_refused_not_taken() -> None:
    with open_engine(memory_limit="20MB", threads=1) as engine, pytest.raises(OutOfMemory) as refused:
        engine.rows("SELECT length(string_agg(repeat(CAST(range AS VARCHAR), 100), ',')) FROM range(1_000_000)")

    assert str(refused.value).startswith("DuckDB: Out of Memory Error: ")
    assert str(refused.value).endswith("; give the engine more with --memory-limit, or stop what else uses memory")
    assert refused.value.exit_code == 1


def test_a_sort_larger_than_memory_spills_into_the_given_folder_and_leaves_nothing(tmp_path: Path) -> None:
    with open_engine(memory_limit="120MB", threads=1, folder=tmp_path) as engine:
        engine.execute(
            "COPY (SELECT hash(range) AS h, repeat('x', 80) || range AS t FROM range(1_500_000) ORDER BY h) "
            f"TO '{tmp_path / 'sorted.parquet'}' (FORMAT parquet)"
        )

    assert [file.name for file in tmp_path.iterdir()] == ["sorted.parquet"]


@pytest.mark.parametrize("limit", ["lots", "", "-1GB", "10", "1GBB"])
def test_a_memory_limit_that_is_no_size_is_refused(limit: str) -> None:
    with (
        pytest.raises(BadMemoryLimit, match=r"^--memory-limit '.*' is no size of memory; give a size such as 500MB"),
        open_engine(memory_limit=limit),
    ):
        pass


def test_batches_give_all_rows_in_order(engine: Engine) -> None:
    batches = list(engine.batches("SELECT range FROM range(2_500)", 1_000))

    assert [len(batch) for batch in batches] == [1_000, 1_000, 500]
    assert [row[0] for batch in batches for row in batch] == list(range(2_500))


def test_a_wrong_value_in_a_later_batch_is_told_in_our_words(engine: Engine) -> None:
    batches = engine.batches(
        "SELECT CASE WHEN range < 200_000 THEN 1 ELSE CAST('x' || range AS INT) END FROM range(200_001)", 10
    )

    with pytest.raises(BadValue):
        list(batches)


def test_columns_are_described_without_running_the_query(engine: Engine) -> None:
    sql = "SELECT 1::BIGINT AS a, 1.50 AS \"B b\", now() AS c, error('not run') AS d"

    assert list(engine.columns(sql).items())[:3] == [
        ("a", "BIGINT"),
        ("B b", "DECIMAL(3,2)"),
        ("c", "TIMESTAMP WITH TIME ZONE"),
    ]


def test_registered_data_has_a_name_until_it_is_taken_away(engine: Engine) -> None:
    engine.register("given", pa.table({"a": [1, 2]}))
    assert engine.rows("SELECT a FROM given") == [(1,), (2,)]
    engine.unregister("given")

    with pytest.raises(BadStatement, match="given does not exist"):
        engine.rows("SELECT a FROM given")


def test_values_are_bound_and_never_read_as_sql(engine: Engine) -> None:
    assert engine.row("SELECT ?, ?", ["'; DROP TABLE x; --", None]) == ("'; DROP TABLE x; --", None)


def test_an_application_that_listens_for_signals_goes_on_to(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    before = signal.set_wakeup_fd(writing)
    try:
        with open_engine(folder=tmp_path):
            assert signal.set_wakeup_fd(writing) == writing
    finally:
        signal.set_wakeup_fd(before)
        os.close(reading)
        os.close(writing)


def test_an_engine_leaves_signals_as_they_were(tmp_path: Path) -> None:
    with open_engine(folder=tmp_path):
        pass

    assert signal.set_wakeup_fd(-1) == -1


def test_one_thread_is_used_for_a_while_alone() -> None:
    with open_engine(threads=3) as engine:
        with engine.one_thread():
            assert engine.row("SELECT current_setting('threads')") == (1,)
        assert engine.row("SELECT current_setting('threads')") == (3,)


def test_numbers_come_in_the_order_of_their_query_and_masked_where_there_is_none() -> None:
    with open_engine() as engine:
        assert engine.numbers("SELECT hash(i) FROM range(3) t(i) ORDER BY i").dtype == np.uint64
        assert engine.numbers("SELECT i FROM range(200000) t(i) ORDER BY i DESC").tolist() == list(
            range(199_999, -1, -1)
        )
        assert engine.numbers("SELECT 1 WHERE false").tolist() == []
        assert engine.numbers("SELECT * FROM (VALUES (1), (NULL), (3)) t(i)").tolist() == [1, None, 3]


def test_a_name_stands_again_for_what_it_stood_for_before(engine: Engine) -> None:
    with engine.bound("events", "SELECT 1 AS x"):
        with engine.bound("events", "SELECT 2 AS x"):
            assert engine.rows("SELECT x FROM events") == [(2,)]
        assert engine.rows("SELECT x FROM events") == [(1,)]
        with pytest.raises(BadStatement), engine.bound("events", "SELECT nonsense"):
            pass
        assert engine.rows("SELECT x FROM events") == [(1,)]
    with pytest.raises(BadStatement, match="events"):
        engine.rows("SELECT x FROM events")

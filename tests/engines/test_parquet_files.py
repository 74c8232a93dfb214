"""What a Parquet file says of its own columns changes no answer, and what is written to one is what is read again."""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dualgauge.engines.duck import Engine, open_engine
from dualgauge.engines.parquet_files import bent, parquet, whole_parquet, written
from support.thinned import thinned

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAN = math.nan
SIGNED_NAN = struct.unpack("<d", struct.pack("<Q", 0xFFF8000000000001))[0]

COLUMNS = {
    "in one row group": [1.0, 2.0, 3.0, NAN, 4.0, 5.0],
    "in every row group": [1.0, NAN, NAN, 2.0, 5.0, NAN],
    "beside one value": [1.0, NAN, 1.0, NAN, 1.0, NAN],
    "alone": [NAN, NAN, NAN, NAN, NAN, NAN],
    "with its sign": [1.0, 2.0, SIGNED_NAN, NAN, 4.0, None],
    "nowhere, and zeros of both signs": [0.0, -0.0, None, -0.0, 0.0, 0.0],
    "beside infinities": [math.inf, NAN, -math.inf, 1.0, None, 2.0],
}

CONDITIONS = (
    "{x} > 4.5", "{x} >= 6", "{x} <= 5", "{x} <> 1", "{x} = 1", "NOT ({x} <= 5)", "{x} = 'nan'", "{x} IN ('nan', 1)",
    "isnan({x})", "NOT isnan({x})", "isfinite({x})", "abs({x}) > 5", "-{x} < -5", "{x} + 1 > 6", "1 / {x} < 0",
    "CAST({x} AS VARCHAR) = 'nan'", "CAST({x} AS VARCHAR) = '-0.0'", "{x} BETWEEN 4.5 AND 'nan'",
    "{x} IS DISTINCT FROM 5 AND {x} > 5.5", "EXISTS (SELECT 1 FROM (SELECT 'nan'::DOUBLE AS y) AS b WHERE b.y = {x})",
)  # fmt: skip
ASKED = (
    "max({x})", "min({x})", "count(DISTINCT {x})", "count(*) FILTER ({x} > 5)", "list({x} > 5 ORDER BY i)",
    "list(isnan({x}) ORDER BY i)", "list(CAST({x} AS VARCHAR) ORDER BY i)", "list(1 / {x} ORDER BY i)", "sum({x})",
    "list(hash({x}) ORDER BY i)", "list(CASE WHEN {x} <= 5 THEN 1 ELSE 2 END ORDER BY i)",
)  # fmt: skip
PLACES = ("x", "s.f", "l[1]", "m['a']", "t.q.f")


@pytest.fixture
def engine() -> Iterator[Engine]:
    with open_engine(threads=1) as opened:
        yield opened


def table(values: list[float | None], kind: pa.DataType) -> pa.Table:
    """A column of floats, and the same values nested in four ways."""
    return pa.table(
        {
            "i": range(len(values)),
            "x": pa.array(values, kind),
            "s": pa.array([{"f": one, "g": 1} for one in values], pa.struct([("f", kind), ("g", pa.int64())])),
            "l": pa.array([[one] for one in values], pa.list_(kind)),
            "m": pa.array([[("a", one)] for one in values], pa.map_(pa.string(), kind)),
            "t": pa.array([{"q": {"f": one}} for one in values], pa.struct([("q", pa.struct([("f", kind)]))])),
        }
    )


@pytest.mark.parametrize(
    ("held", "kind"),
    [
        *thinned(2, [(one, pa.float64()) for one in COLUMNS]),
        ("in one row group", pa.float32()),
        ("beside one value", pa.float16()),
    ],
    ids=str,
)
def test_a_file_answers_as_a_table_of_the_same_rows_wherever_nan_is(
    engine: Engine, tmp_path: Path, held: str, kind: pa.DataType
) -> None:
    values = COLUMNS[held]
    file = tmp_path / "x.parquet"
    pq.write_table(table(values, kind), file, row_group_size=2)
    engine.execute(f"CREATE TABLE kept AS {whole_parquet(engine, [file])}")
    engine.execute(f"CREATE VIEW read AS {whole_parquet(engine, [file])}")

    for x in PLACES:
        queries = [f"SELECT list(i ORDER BY i) FROM {{}} WHERE {one.format(x=x)}" for one in CONDITIONS]
        queries += [f"SELECT {one.format(x=x)} FROM {{}}" for one in ASKED]
        queries += [
            f"SELECT list(i ORDER BY i) FROM {{}} SEMI JOIN (SELECT {x} AS y FROM kept WHERE i = 3) AS b ON b.y = {x}",
            f"SELECT list(i ORDER BY i) FROM (FROM {{}} ORDER BY {x} DESC, i LIMIT 2)",
        ]
        for one in queries:
            assert repr(engine.rows(one.format("read"))) == repr(engine.rows(one.format("kept"))), one


def test_values_and_nulls_are_read_as_they_were_written(engine: Engine, tmp_path: Path) -> None:
    given = pa.table(
        {
            "x": [1.5, None, -0.0], "s": [{"f": None}, None, {"f": -0.0}], "l": [[], None, [None]],
            "m": pa.array([[("a", 1.0), ("a", 2.0)], [], None], pa.map_(pa.string(), pa.float64())),
        }
    )  # fmt: skip
    given = given.set_column(2, "l", given["l"].cast(pa.list_(pa.float64())))
    file = tmp_path / "x.parquet"
    pq.write_table(given, file)

    read = engine.arrow(whole_parquet(engine, [file]))
    assert read.schema.names == given.schema.names
    assert repr([read[name].to_pylist() for name in "xslm"]) == repr([given[name].to_pylist() for name in "xslm"])


def test_files_with_different_columns_are_read_as_one_by_name(engine: Engine, tmp_path: Path) -> None:
    old, new = tmp_path / "it's old [1].parquet", tmp_path / "new.parquet"
    pq.write_table(pa.table({"a": [1], "b": ["x"]}), old)
    pq.write_table(pa.table({"c": [1.5], "a": [2]}), new)

    assert engine.rows(f"{whole_parquet(engine, [old, new])} ORDER BY a") == [(1, "x", None), (2, None, 1.5)]
    assert engine.rows(f"{parquet([old, new], {'c': 'DOUBLE', 'a': 'BIGINT'})} ORDER BY a") == [(None, 1), (1.5, 2)]


VALUES = {
    "bigint": "-9223372036854775808", "bignum": "123456789012345678901234567890123456789012345678901234567890",
    "bit": "'0101'", "blob": r"'\x00\xFF'", "boolean": "true", "date": "'0044-03-15 (BC)'",
    "decimal": "12345678901234567890123456789012345678", "double": "-0.0", "enum": None, "float": "'nan'",
    "geometry": "'POINT (1 2)'", "hugeint": "-170141183460469231731687303715884105728", "integer": "-1",
    "interval": "'-1 month 2 days 00:00:00.000003'", "list": None, "map": None, "null": "NULL", "smallint": "-1",
    "struct": None, "time": "'24:00:00'", "time_ns": "'01:02:03.123456789'", "time with time zone": "'01:02:03.5+02'",
    "timestamp": "'294247-01-10 04:00:54.775806'", "timestamp_s": "'infinity'",
    "timestamp_ms": "'2020-01-01 00:00:01.001'",
    "timestamp_ns": "'2020-01-01 00:00:01.123456789'", "timestamp with time zone": "'-infinity'",
    "timestamptz_ns": "'2020-01-01 00:00:01.123456789+00'", "tinyint": "-128", "ubigint": "18446744073709551615",
    "uhugeint": "340282366920938463463374607431768211455", "uinteger": "4294967295", "union": None,
    "usmallint": "65535", "utinyint": "255", "uuid": "'00000000-0000-0000-0000-0000000000ff'",
    "varchar": "'a' || chr(0)",
    "variant": "{'a': 1.5}", "array": None, "tuple": None, "JSON": "'{\"b\": 1.10, \"a\": null}'", "type": None,
}  # fmt: skip
"""A value of each type that a cast to it makes; the others stand in `MADE`."""

MADE = (
    "'a'::ENUM('b', 'a')", "[1, NULL]", "[]::INTEGER[]", "[1::HUGEINT]", "{'a': 1, 'B': NULL::UHUGEINT}",
    "MAP {'a': INTERVAL '3 microseconds'}", "union_value(a := 1)::UNION(a INTEGER, b VARCHAR)", "[1.5, 2]::DOUBLE[2]",
    "(1, 'a')", "1.5::DECIMAL(4, 1)", "[{'a': '01:02:03+02'::TIMETZ}]", "{'INTERVAL': 'BIT'}", "'UNION'::ENUM('UNION')",
)  # fmt: skip


def test_every_type_is_written_to_parquet_as_it_is_or_as_its_text(engine: Engine, tmp_path: Path) -> None:
    (types,) = engine.row("SELECT list(DISTINCT logical_type) FROM duckdb_types() WHERE database_name = 'system'")
    aliases = {"DECIMAL": "DECIMAL(38, 0)"}
    known = {name.upper(): value for name, value in VALUES.items()}
    assert {one.upper() for one in types} <= known.keys()
    made = [f"({value})::{aliases.get(name, name)}" for name, value in known.items() if value not in (None, "NULL")]

    for expression in (*made, *MADE):
        kind, text = engine.row(f"SELECT typeof(v), v::VARCHAR FROM (SELECT {expression} AS v)")
        file = tmp_path / "v.parquet"
        engine.execute(f"COPY (SELECT {written('v', kind)} AS v FROM (SELECT {expression} AS v)) TO '{file}'")
        stored, again = engine.row(f"SELECT typeof(v), v::VARCHAR FROM '{file}'")

        assert again == text, expression
        same = {"TIMESTAMP_S": "TIMESTAMP", "TIMESTAMP_MS": "TIMESTAMP"}.get(kind, kind)
        assert stored == ("VARCHAR" if bent(kind) or kind.startswith("ENUM(") else same), expression

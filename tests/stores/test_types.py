"""The type table, both ways and for every row of it: DuckDB -> Alembic -> SQLite and PostgreSQL -> back."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from dualgauge.engines.duck import Engine, open_engine
from dualgauge.engines.errors import BadValue
from dualgauge.model import Side, quote
from dualgauge.stores.errors import NoStoreType
from dualgauge.stores.external.sqlite import SqliteCatalogue
from dualgauge.stores.external.types import TablePlace
from dualgauge.stores.serving.builds import mark_of
from dualgauge.stores.serving.shapes import Shape, metadata
from dualgauge.stores.serving.types import Codec, bound_columns, kept_as, store_type
from dualgauge_router.stores.long_decimals import as_kept
from support.store_types import TYPES, VALUES

if TYPE_CHECKING:
    import datetime as dt
    import uuid
    from collections.abc import Iterator, Sequence

COLUMN = "the column"
ARROW = {"int64": pa.int64(), "float64": pa.float64(), "string": pa.string(), "binary": pa.binary()}

PAIRS = [(kind, value) for kind, values in VALUES.items() for value in (*values, "NULL")]
NUL_INSIDE = [(kind, value) for kind, value in PAIRS if "chr(0)" in value and kind == "VARCHAR"]


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with open_engine(threads=1) as opened:
        yield opened


def table(kind: str) -> sa.Table:
    """A SQLite build of one column of a type, made from the Alembic type, without a schema."""
    shape = Shape(Side.V1, "v", {"id": "BIGINT", COLUMN: kind}, ("id",))
    columns = metadata([shape]).tables["views_v1.v__shape"].columns
    return sa.Table("v", sa.MetaData(), *(sa.Column(one.name, kept_as(one.type, "sqlite")) for one in columns))


def bound(engine: Engine, kind: str, value: str, dialect: str) -> object:
    """What a load binds for a value."""
    [expression] = bound_columns("v1.v", {COLUMN: kind}, dialect)
    return engine.row(f"SELECT {expression} FROM (SELECT CAST({value} AS {kind}) AS {quote(COLUMN)})")[0]


def through_sqlite(kind: str, values: Sequence[object], leaves: str = quote(COLUMN)) -> list[object]:
    """Store bound values in a SQLite column made from the Alembic type, and read them back: as stored, or otherwise."""
    one = table(kind)
    lite = sa.create_engine("sqlite://")
    try:
        with lite.begin() as connection:
            one.metadata.create_all(connection)
            # As a column of a build is reflected: what a load knows of it.
            found = sa.Table("v", sa.MetaData(), autoload_with=connection).columns[COLUMN].type
            insert = f"INSERT INTO {one.name} VALUES (?1, {mark_of(found, 2)})"
            connection.exec_driver_sql(insert, [(number, value) for number, value in enumerate(values)])
            return [row[0] for row in connection.exec_driver_sql(f"SELECT {leaves} FROM {one.name} ORDER BY id")]
    finally:
        lite.dispose()


def back(engine: Engine, codec: Codec, stored: Sequence[object]) -> str:
    """Register what left a store, as a diff reads it; gives the SELECT of (number, value of the DuckDB type)."""
    arrow = pa.table({"n": pa.array(range(len(stored)), pa.int64()), "s": pa.array(stored, ARROW[codec.arrow])})
    engine.register("stored", arrow)
    return f"SELECT n, {codec.back('s')} AS v FROM stored"


def same_after_sqlite(engine: Engine, kind: str, expressions: Sequence[str]) -> None:
    codec = store_type("v1.v", COLUMN, kind).sqlite
    given = [bound(engine, kind, one, "sqlite") for one in expressions]
    same(engine, codec, kind, expressions, through_sqlite(kind, given, codec.leaves(quote(COLUMN))))


def same(engine: Engine, codec: Codec, kind: str, expressions: Sequence[str], stored: Sequence[object]) -> None:
    """Hold what left a store against the values that were given to it."""
    query = back(engine, codec, stored)
    for number, one in enumerate(expressions):
        read, equal, texts = engine.row(
            f"SELECT typeof(v), v IS NOT DISTINCT FROM CAST({one} AS {kind}), "
            f"[v::VARCHAR, CAST({one} AS {kind})::VARCHAR] "
            f"FROM ({query}) WHERE n = {number}"
        )
        assert read == kind
        assert equal, (one, stored[number], texts)


def test_every_row_of_the_table_is_walked() -> None:
    named = {kind.split("(")[0] if kind.startswith(("DECIMAL", "ENUM", "STRUCT")) else kind for kind in VALUES}
    for row in TYPES:
        assert {"DECIMAL(p,s)": "DECIMAL", "LIST": "INTEGER[]"}.get(row, row) in named


@pytest.mark.parametrize("kind", VALUES)
def test_a_value_comes_back_from_sqlite_as_it_was(engine: Engine, kind: str) -> None:
    assert engine.columns(f"SELECT CAST(NULL AS {kind}) AS x") == {"x": kind}
    same_after_sqlite(engine, kind, [*VALUES[kind], "NULL"])


# --- property tests over values -----------------------------------------------------------------------------------


def text_literal(text: str) -> str:
    parts = ("'" + part.replace("'", "''") + "'" for part in text.split("\0"))
    return "(" + " || chr(0) || ".join(parts) + ")"


@settings(max_examples=25)
@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=8))
def test_any_whole_number_of_64_bits_comes_back(engine: Engine, numbers: list[int]) -> None:
    for kind in ("BIGINT", "HUGEINT"):
        same_after_sqlite(engine, kind, [str(number) for number in numbers])


@st.composite
def decimals(draw: st.DrawFn) -> tuple[str, list[str]]:
    """A type of decimals, and values of it: of few digits, of many, and of those about where text begins."""
    precision = draw(st.integers(1, 38))
    scale = draw(st.integers(0, precision))
    few = st.integers(0, min(precision, 17)).flatmap(lambda n: st.integers(0, 10**n - 1))
    padded = st.tuples(few, st.integers(0, 37)).map(lambda pair: pair[0] * 10 ** pair[1])
    whole = draw(st.lists(st.one_of(few, padded, st.integers(0, 10**precision - 1)), min_size=1, max_size=8))
    signed = [one % 10**precision * draw(st.sampled_from([1, -1])) for one in whole]
    return f"DECIMAL({precision},{scale})", [f"'{shifted(one, scale)}'" for one in signed]


def shifted(number: int, scale: int) -> str:
    """So many digits of a whole number behind a point; Python's own decimals would round it."""
    digits = str(abs(number)).rjust(scale + 1, "0")
    sign, at = "-" if number < 0 else "", len(digits) - scale
    return f"{sign}{digits[:at]}{'.' if scale else ''}{digits[at:]}"


@settings(max_examples=150)
@given(decimals())
def test_any_decimal_comes_back_and_is_a_number_for_as_long_as_it_has_15_digits(
    engine: Engine, given: tuple[str, list[str]]
) -> None:
    kind, texts = given
    same_after_sqlite(engine, kind, texts)
    for text, kept in zip(texts, through_sqlite(kind, [text.strip("'") for text in texts]), strict=True):
        digits = len(text.strip("'").replace("-", "").replace(".", "").strip("0"))
        assert isinstance(kept, str) == (digits > 15), (text, kept)


@settings(max_examples=25)
@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=8))
def test_any_double_comes_back_to_the_last_bit_and_minus_zero_reads_zero(engine: Engine, numbers: list[float]) -> None:
    stored = through_sqlite("DOUBLE", [bound(engine, "DOUBLE", f"'{one!r}'", "sqlite") for one in numbers])
    for one, kept in zip(numbers, stored, strict=True):
        assert isinstance(kept, float)
        assert kept == one
        assert math.copysign(1, kept) == (1 if one == 0 else math.copysign(1, one))


@settings(max_examples=25)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), min_size=1, max_size=8))
def test_any_text_comes_back(engine: Engine, texts: list[str]) -> None:
    same_after_sqlite(engine, "VARCHAR", [text_literal(one) for one in texts])
    same_after_sqlite(engine, "VARCHAR[]", [f"[{', '.join(text_literal(one) for one in texts)}]"])


@settings(max_examples=25)
@given(
    st.lists(st.datetimes(), min_size=1, max_size=8),
    st.lists(st.dates(), min_size=1, max_size=8),
    st.lists(st.times(), min_size=1, max_size=8),
)
def test_any_time_of_the_years_1_to_9999_comes_back(
    engine: Engine, moments: list[dt.datetime], days: list[dt.date], times: list[dt.time]
) -> None:
    same_after_sqlite(engine, "TIMESTAMP", [f"'{one}'" for one in moments])
    same_after_sqlite(engine, "TIMESTAMP WITH TIME ZONE", [f"'{one}+00'" for one in moments])
    same_after_sqlite(engine, "DATE", [f"'{one}'" for one in days])
    same_after_sqlite(engine, "TIME", [f"'{one}'" for one in times])


@settings(max_examples=25)
@given(st.lists(st.binary(max_size=30), min_size=1, max_size=8), st.lists(st.uuids(), min_size=1, max_size=8))
def test_any_bytes_and_uuids_come_back(engine: Engine, blobs: list[bytes], ids: list[uuid.UUID]) -> None:
    same_after_sqlite(engine, "BLOB", [f"unhex('{one.hex()}')" for one in blobs])
    same_after_sqlite(engine, "UUID", [f"'{one}'" for one in ids])


@pytest.mark.parametrize(
    ("scale", "key"),
    [(27, "0.000000000000000000000019915"), (0, "3648388375100000000"), (2, "12345678901234567.89"), (7, "-2.5000000")],
)
def test_a_long_decimal_is_found_where_the_build_is_somebody_elses(scale: int, key: str) -> None:
    """SQLite's own reading of digits and Python's differ in the last bit of a few numbers."""
    lite = sa.create_engine("sqlite://")
    try:
        with lite.begin() as connection:
            connection.exec_driver_sql(f"CREATE TABLE v (k DECIMAL_BLOB(38, {scale}))")
            connection.exec_driver_sql(f"INSERT INTO v VALUES ({as_kept('?1')})", (key,))
            place, catalogue = TablePlace(None, "v"), SqliteCatalogue()
            assert catalogue.point(connection, place, {"k": key}) is not None
            assert catalogue.point(connection, place, {"k": f"{key}{'' if '.' in key else '.0'}1"}) is None
    finally:
        lite.dispose()


def test_what_sqlite_holds_is_plain_text_and_numbers(engine: Engine) -> None:
    held = {
        kind: through_sqlite(kind, [bound(engine, kind, value, "sqlite")])[0]
        for kind, value in {
            "TIMESTAMP WITH TIME ZONE": "'2024-03-31 02:30:00.5+02'",
            "DATE": "'0001-01-01'",
            "BOOLEAN": "true",
            "STRUCT(b INTEGER, a VARCHAR)": "{'b': 1, 'a': 'x'}",
            "JSON": "'{ \"a\" : 1 }'",
            "DECIMAL(4,2)": "1.50",
            "DOUBLE": "'-0.0'",
        }.items()
    }
    assert held == {
        "TIMESTAMP WITH TIME ZONE": "2024-03-31 00:30:00.500000",
        "DATE": "0001-01-01",
        "BOOLEAN": 1,
        "STRUCT(b INTEGER, a VARCHAR)": '{"b":1,"a":"x"}',
        "JSON": '{"a":1}',
        "DECIMAL(4,2)": 1.5,
        "DOUBLE": 0.0,
    }


# --- PostgreSQL ---------------------------------------------------------------------------------------------------


def test_a_value_comes_back_from_postgresql_as_it_was(engine: Engine, postgres_url: str) -> None:
    # The settings of the server's session are not ours to choose.
    odd = "-c timezone=America/New_York -c datestyle=SQL,DMY"
    server = sa.create_engine(postgres_url, connect_args={"options": odd})
    kinds = {kind: f"c{number}" for number, kind in enumerate(VALUES)}
    try:
        for kind, name in kinds.items():
            columns = {"id": "BIGINT", COLUMN: kind}
            one = metadata([Shape(Side.V1, name, columns, ("id",))]).tables[f"views_v1.{name}__shape"]
            own = one.to_metadata(sa.MetaData(), schema=None)  # type: ignore[arg-type]
            values = [value for value in (*VALUES[kind], "NULL") if (kind, value) not in NUL_INSIDE]
            if kind == "VARCHAR[]":
                values = ["['NaN', 'x']", "NULL"]
            codec = store_type("v1.v", COLUMN, kind).postgresql
            with server.begin() as connection:
                own.metadata.create_all(connection)
                for number, value in enumerate(values):
                    # Bound as text or bytes, as COPY would: SQLAlchemy's own types would change them once more.
                    connection.exec_driver_sql(
                        f"INSERT INTO {own.name} VALUES (%s, %s)", (number, bound(engine, kind, value, "postgresql"))
                    )
                found = connection.exec_driver_sql(
                    f"SELECT {codec.leaves(quote(COLUMN))} FROM {own.name} ORDER BY id"
                ).scalars()
                same(engine, codec, kind, values, list(found))
    finally:
        server.dispose()


def test_postgresql_takes_no_text_with_nul_and_says_which_column(engine: Engine) -> None:
    with pytest.raises(BadValue, match="column 'the column' holds a NUL character, which PostgreSQL cannot; use"):
        bound(engine, "VARCHAR", "'a' || chr(0)", "postgresql")


# --- refusals -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "value", "kept"),
    [
        ("JSON[]", """['{"a": 1, "b": "1.50"}', NULL, '7', '0.5']""", '[{"a":1,"b":"1.50"},null,7,0.5]'),
        ("STRUCT(j JSON, n INTEGER)", "{'j': '[1, 2.25]', 'n': 1}", '{"j":[1,2.25],"n":1}'),
        ("STRUCT(j JSON)[]", "[{'j': NULL}, NULL]", '[{"j":null},null]'),
        ("JSON[]", "['0.1234567890123456789']", None), ("JSON[]", "['2.50']", None), ("JSON[]", "['1E5']", None),
        ("STRUCT(a STRUCT(j JSON)[])", "{'a': [{'j': '{\"x\": [9007199254740993.0]}'}]}", None),
    ],
)  # fmt: skip
def test_json_in_a_list_or_a_struct_loses_no_digit(engine: Engine, kind: str, value: str, kept: str | None) -> None:
    for dialect in ("sqlite", "postgresql"):
        if kept is not None:
            assert bound(engine, kind, value, dialect) == kept
        else:
            with pytest.raises(BadValue, match="'the column' holds JSON inside, of which a number would be written"):
                bound(engine, kind, value, dialect)


NOT_IN_JSON = "holds NaN or an infinity inside, which JSON cannot; use a CASE"
OUTSIDE = "holds a time outside the years 1 to 9999; use nullif or a CASE"
BEYOND = "holds a number beyond 64 bits; cast it to DOUBLE or VARCHAR"


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        ("DOUBLE", "'nan'", "is NaN, which SQLite would keep as NULL; use nullif or a CASE"),
        ("FLOAT", "'nan'", "is NaN, which SQLite would keep as NULL; use nullif or a CASE"),
        ("HUGEINT", "9223372036854775808", BEYOND),
        ("HUGEINT", "-9223372036854775809", BEYOND),
        ("UBIGINT", "18446744073709551615", BEYOND),
        ("UHUGEINT", "9223372036854775808", BEYOND),
        ("DATE", "'infinity'", OUTSIDE),
        ("DATE", "'0001-12-31 (BC)'", OUTSIDE),
        ("DATE", "'10000-01-01'", OUTSIDE),
        ("TIMESTAMP", "'-infinity'", OUTSIDE),
        ("TIMESTAMP WITH TIME ZONE", "'infinity'", OUTSIDE),
        ("TIME", "'24:00:00'", "holds 24:00:00, which is no time of a day; use a CASE"),
        ("DOUBLE[]", "['nan'::DOUBLE]", NOT_IN_JSON),
        ('STRUCT("NaN" VARCHAR, x FLOAT)', "{'NaN': 'NaN', 'x': '-inf'}", NOT_IN_JSON),
    ],
)  # fmt: skip
def test_a_value_that_would_not_come_back_is_refused_with_its_column(
    engine: Engine, kind: str, value: str, reason: str
) -> None:
    with pytest.raises(BadValue) as caught:
        bound(engine, kind, value, "sqlite")
    assert caught.value.reason.endswith(f"column 'the column' {reason}")


def test_postgresql_holds_nan_that_sqlite_does_not(engine: Engine) -> None:
    number = "123456789012345678901234567890.12"
    assert bound(engine, "DECIMAL(38,2)", number, "postgresql") == number
    assert math.isnan(float(str(bound(engine, "DOUBLE", "'nan'", "postgresql"))))


NO_STORE = "view v1.v: column 'c' is {}, which no store can hold; {}"
INSIDE = (
    "a LIST or STRUCT holds no BLOB, no DECIMAL(p,p), and nothing that a store cannot hold by itself: "
    "cast what is inside"
)


@pytest.mark.parametrize(
    ("expression", "kind", "advice"),
    [
        ("NULL", '"NULL"', "write CAST(NULL AS a type)"),
        ("INTERVAL 1 DAY", "INTERVAL", "cast it to BIGINT with epoch_us(), or to VARCHAR"),
        ("MAP {'a': 1}", "MAP(VARCHAR, INTEGER)", "turn it into a LIST or a STRUCT, whose order is fixed"),
        ("'2024-01-01'::TIMESTAMP_NS", "TIMESTAMP_NS", "cast it to TIMESTAMP: stores keep microseconds"),
        ("'10:00:00'::TIMETZ", "TIME WITH TIME ZONE", "cast it to TIME or VARCHAR"),
        ("'101'::BIT", "BIT", "cast it to VARCHAR"),
        ("union_value(a := 1)", "UNION(a INTEGER)", "turn it into a STRUCT"),
        ("1::BIGNUM", "BIGNUM", "cast it to VARCHAR or another plain type"),
        ("[INTERVAL 1 DAY]", "INTERVAL[]", INSIDE),
        ("['x'::BLOB]", "BLOB[]", INSIDE),
        ("{'a': 0.1::DECIMAL(20,20)}", "STRUCT(a DECIMAL(20,20))", INSIDE),
        ("{'a': [MAP {'a': 1}]}", "STRUCT(a MAP(VARCHAR, INTEGER)[])", INSIDE),
        ("[]", '"NULL"[]', INSIDE),
    ],
)
def test_a_type_that_no_store_holds_is_refused_with_its_column_and_what_to_do(
    engine: Engine, expression: str, kind: str, advice: str
) -> None:
    assert engine.columns(f"SELECT {expression} AS c") == {"c": kind}
    with pytest.raises(NoStoreType) as caught:
        store_type("v1.v", "c", kind)
    assert str(caught.value) == NO_STORE.format(kind, advice)
    assert caught.value.exit_code == 2

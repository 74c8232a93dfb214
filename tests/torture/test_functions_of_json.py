"""Every function of the engine over JSON that is a string: it gives what it gives of the text, or it is refused."""

from __future__ import annotations

from typing import Final

import duckdb
import pytest

from dualgauge.engines.casts import bound, json_as_text
from dualgauge.engines.duck import open_engine

pytestmark = pytest.mark.torture

CALLS: Final = (
    "o.n", "o.n, 'b'", "'b', o.n", "o.n, o.n", "o.n, 1", "1, o.n", "o.n, 'b', 'x'", "v, o.n", "l", "l, 'b'", "l, 1",
    "[o.n], v", "o", "w, o.n", "o.n, w", "'x', o.n, v", "v, o.n, 1", "l, l",
)  # fmt: skip
NONE: Final = (
    "WITH source AS (SELECT CAST(NULL AS STRUCT(n JSON, t VARCHAR)) AS o, CAST(NULL AS JSON[]) AS l, "
    "CAST(NULL AS VARCHAR) AS v, CAST(NULL AS BIGINT) AS w)"
)
WITH_JSON: Final = """CREATE TABLE json AS
    SELECT from_json(j, '{"n":"JSON","t":"VARCHAR"}') AS o, [j->'n'] AS l, j->>'t' AS v, 3 AS w
    FROM (VALUES ('{"n":"b a","t":"b a"}'::JSON), ('{"n":"b","t":"b"}')) x(j)"""
WITH_TEXTS: Final = "CREATE TABLE text AS SELECT {'n': o->>'n', 't': o.t} AS o, [v] AS l, v, w FROM json"
OF_TYPES: Final = {"typeof", "get_type", "stats", "can_cast_implicitly", "replace_type", "getvariable"}
"""Functions of a value's type, which is JSON."""

NOT_CALLED: Final = {"error", "random", "uuid", "gen_random_uuid", "sleep", "sleep_ms", "write_log", *OF_TYPES}


def opened() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"threads": 1})
    connection.execute(WITH_JSON)
    connection.execute(WITH_TEXTS)
    return connection


def test_no_function_takes_json_as_a_text_unseen() -> None:
    connection = opened()
    names = connection.execute(
        "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type IN ('scalar', 'aggregate', 'macro') "
        "AND regexp_full_match(function_name, '[a-z_0-9]+') AND NOT starts_with(function_name, 'pg_') ORDER BY 1"
    ).fetchall()
    wrong, tried = [], 0
    with open_engine(threads=1) as engine:
        # What JSON has functions for is meant as JSON.
        for name in (one for (one,) in names if "json" not in one and one not in NOT_CALLED):
            for call in (f'"{name}"({arguments})' for arguments in CALLS):
                found = []
                for table in ("json", "text"):
                    try:
                        made = f"SELECT typeof(y), CAST(y AS VARCHAR) FROM (SELECT {call} AS y FROM {table})"
                        found.append(connection.execute(made).fetchall())
                    except duckdb.Error as fault:
                        found.append([])
                        if "FATAL" in str(fault) or "INTERNAL" in str(fault):
                            connection = opened()
                of_json, of_text = found
                if not of_json or of_json == of_text or "JSON" in of_json[0][0]:
                    # It is no call, or alike, or JSON still.
                    continue
                tried += 1
                if not json_as_text(bound(engine, f"{NONE} SELECT {call} FROM source"), {"o", "l"}) and of_text:
                    wrong.append((call, of_json, of_text))
    assert tried > 400
    assert wrong == []

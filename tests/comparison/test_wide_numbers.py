"""Whole numbers past a BIGINT on every way through Parquet: to the last digit, or refused, never by way of a DOUBLE."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from support.shop import build, call

if TYPE_CHECKING:
    from pathlib import Path

NUMBERS = [2**63, 2**64 - 1, 10**30]
COMPARATOR = """
from dualgauge import Comparator

wide = Comparator(key="id")
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return build(tmp_path / "shop")


def view(folder: Path, side: str, select: str) -> None:
    (folder / f"views_{side}" / "wide.sql").write_text(f"-- key: id\n\n{select}\n")


def numbers(kind: str, add: int = 0) -> str:
    """A SELECT of the numbers, each with something added, as a type."""
    rows = " UNION ALL ".join(
        f"SELECT {at} AS id, CAST('{one + add}' AS {kind}) AS n FROM events WHERE position = 1"
        for at, one in enumerate(NUMBERS)
    )
    return f"SELECT * FROM ({rows})"


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("UHUGEINT", "holds a number beyond 64 bits"),
        ("HUGEINT", "holds a number beyond 64 bits"),
    ],
)
def test_a_build_refuses_a_number_that_the_store_would_bend(project: Path, kind: str, reason: str) -> None:
    view(project, "v1", numbers(kind))
    said = call("replay", "wide", folder=project)
    assert said.exit_code == 4
    assert f"view v1.wide: column 'n' {reason}" in said.err


@pytest.mark.parametrize(
    ("kind", "wrap"),
    [("VARCHAR", "{}"), ("HUGEINT", "[{}]"), ("UHUGEINT", "{{'a': {}}}"), ("DECIMAL(38,0)", "[{}]")],
)
def test_a_last_digit_is_a_difference_of_builds_and_both_values_are_told(project: Path, kind: str, wrap: str) -> None:
    for side, add in (("v1", 0), ("v2", 1)):
        view(project, side, f"SELECT id, {wrap.format('n')} AS n FROM ({numbers(kind, add)})")
    (project / "comparators" / "wide.py").write_text(COMPARATOR)
    assert call("replay", folder=project).exit_code == 0
    row = call("read", "wide", "2", "--format", "json", folder=project).out
    assert str(10**30) in row

    said = call("diff", "wide", "--format", "json", folder=project)
    assert said.exit_code == 4
    told = json.dumps(said.json["result"]["runs"])
    assert '"changed": 3' in told
    for number in NUMBERS:
        assert str(number) in told
        assert str(number + 1) in told


@pytest.mark.parametrize("kind", ["BIGINT", "UBIGINT", "HUGEINT", "UHUGEINT"])
def test_the_keys_of_a_run_are_kept_to_the_last_digit(project: Path, kind: str) -> None:
    key = 2**53 + 1
    for side, value in (("v1", 1), ("v2", 2)):
        view(project, side, f"SELECT {key}::{kind} AS id, {value} AS n FROM events WHERE position = 1")
    (project / "comparators" / "wide.py").write_text(COMPARATOR)
    assert call("replay", folder=project).exit_code == 0

    assert call("diff", "wide", folder=project).exit_code == 4
    (file,) = project.glob("reports/**/mismatches.parquet")
    assert [int(one) for one in pq.read_table(file)["id"].to_pylist()] == [key]


LONG = ["12345678901234567{}", "-2000000000{}", "100000000000000000000", "0"]


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        ("DECIMAL(38,0)", [one.format("") for one in LONG]),
        ("DECIMAL(38,7)", [one.format(".0000003") for one in LONG]),
        ("DECIMAL(38,37)", ["-1.2345678901234567890123456789012345678", "0.1", "5"]),
    ],
)
def test_long_decimals_are_found_by_their_keys_and_their_last_digit_is_a_difference(
    project: Path, kind: str, keys: list[str]
) -> None:
    """As numbers for as long as SQLite holds all of their digits, and as text then."""
    for side, add in (("v1", ""), ("v2", "1")):
        rows = " UNION ALL ".join(
            f"SELECT '{key}'::{kind} AS id, '{at}2345678901234567{add}'::DECIMAL(38,0) AS n "
            "FROM events WHERE position = 1"
            for at, key in enumerate(keys, 1)
        )
        view(project, side, f"SELECT * FROM ({rows})")
    (project / "comparators" / "wide.py").write_text(COMPARATOR)
    assert call("replay", folder=project).exit_code == 0
    said = call("plan", folder=project).out
    assert "on SQLite a value of id or n with more than 15 digits is a text" in " ".join(said.split())
    for at, key in enumerate(keys, 1):
        for written in (key, f"{key}{'0' if '.' in key else '.0'}"):
            row = call("read", "wide", "--format", "json", "--", written, folder=project).json["result"]
            assert row["row"]["n"] == f"{at}2345678901234567"
    assert call("diff", "wide", folder=project).exit_code == 4
    (file,) = project.glob("reports/**/mismatches.parquet")
    found = pq.read_table(file)
    assert sorted(map(Decimal, map(str, found["id"].to_pylist()))) == sorted(map(Decimal, keys))


@pytest.mark.parametrize("kind", ["DECIMAL(15,3)", "DECIMAL(38,3)", "DECIMAL(38,38)"])
def test_a_key_that_no_column_holds_finds_no_row_and_what_is_no_number_is_refused(project: Path, kind: str) -> None:
    view(project, "v1", f"SELECT unnest(['0', '0.1', '-0.5']::{kind}[]) AS id, 1 AS n")
    (project / "views_v2" / "wide.sql").unlink(missing_ok=True)
    assert call("replay", "v1.wide", folder=project).exit_code == 0
    assert "no row" not in call("read", "wide", "0.10", folder=project).out
    for key in ("1e-5000", "0.10000000000000000000000000000000000000000001", "1e99", "1e9999", "12"):
        said = call("read", "wide", key, folder=project)
        assert (said.exit_code, f"no row with key {key}" in said.out) == (0, True)
    for key in ("NaN", "Infinity", "-inf", "1_0", "\uff11", "1e999999999999", ""):
        said = call("read", "wide", "--", key, folder=project)
        assert (said.exit_code, "is no value of 'id'" in said.err) == (2, True), key


def test_stores_of_long_decimals_are_compared_as_numbers_file_by_file(project: Path) -> None:
    for side, kind in (("v1", "DECIMAL(38,3)"), ("v2", "DECIMAL(38,10)")):
        rows = (f"SELECT {at} AS id, '{one}'::{kind} AS n" for at, one in enumerate(["5.5", "12345678901234567.891"]))
        view(project, side, " UNION ALL ".join(rows))
    assert call("replay", folder=project).exit_code == 0
    v1, v2 = (f".dualgauge/views_{side}.db#wide" for side in ("v1", "v2"))

    said = call("diff", v1, v2, "--key", "id", "--format", "json", folder=project)
    assert (said.exit_code, said.json["result"]["runs"][0]["matched"]) == (0, 2), said.err


def test_json_keeps_its_digits_in_a_store_and_a_last_one_is_a_difference(project: Path) -> None:
    for side, number in (("v1", "12345678901234567.51"), ("v2", "12345678901234567.52")):
        view(project, side, f"""SELECT 1 AS id, CAST('{{"x" : {number}, "a b": "1.50  "}}' AS JSON) AS n""")
    (project / "comparators" / "wide.py").write_text(COMPARATOR)
    assert call("replay", folder=project).exit_code == 0

    row = call("read", "wide", "1", "--format", "json", folder=project).json["result"]["row"]
    assert row["n"] == '{"x":12345678901234567.51,"a b":"1.50  "}'
    assert call("diff", "wide", folder=project).exit_code == 4

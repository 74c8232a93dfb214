"""`log add` finds the columns that identify a row, whatever they are called, and denies them only where that is so."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dualgauge.engines.duck import open_engine
from dualgauge.eventlog.propose.propose import propose
from support.log_project import csv

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

DENIED = "left out, because no column is unique and never NULL, nor are two or three together. An event is then named"


def identity(folder: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> tuple[str, str]:
    """The event id that is proposed for a CSV file, and its reason."""
    body = csv(",".join(header), *(",".join("" if one is None else str(one) for one in row) for row in rows))
    (folder / "f.csv").write_text(body, encoding="utf-8")
    return of_file(folder, "f.csv")


def of_file(folder: Path, name: str) -> tuple[str, str]:
    with open_engine(threads=2) as engine:
        found = propose(engine, name, here=folder, root=folder)
        expression = found.settings.event_id
        if expression:
            source = (
                f"read_csv('{folder / name}', all_varchar = true)" if name.endswith("csv") else f"'{folder / name}'"
            )
            where = f" WHERE {found.settings.where}" if found.settings.where else ""
            (twice,) = engine.row(f"SELECT count(*) - count(DISTINCT {expression}) FROM {source}{where}")
            assert twice == 0, expression
    return expression, found.why["event_id"]


def test_two_texts_that_are_unique_together_are_found_whatever_they_are_called(tmp_path: Path) -> None:
    """As in a history of files: each commit touches many files, each file has many commits."""
    rows = [
        (f"2026-01-01 00:{commit % 50:02}:00", f"{commit * 7919 % 99991:040x}", f"src/{path}/{'x' * 45}.py", commit % 3)
        for commit in range(300)
        for path in range(20)
    ]

    expression, why = identity(tmp_path, ["at", "sha", "path", "lines"], rows)

    assert expression == "'f/' || sha || '/' || path"
    assert why.startswith("sha and path: unique and never NULL in all 6,000 rows")


def test_two_measured_numbers_are_found_where_nothing_else_is(tmp_path: Path) -> None:
    rows = [("2026-01-01", f"{x / 4}", f"{y / 4}", "true") for x in range(60) for y in range(60)]

    expression, _ = identity(tmp_path, ["day", "x", "y", "flag"], rows)

    assert expression == "'f/' || x || '/' || y"


def test_three_columns_are_found_where_no_two_are(tmp_path: Path) -> None:
    rows = [("2026-01-01", a, b, c, a % 2) for a in range(15) for b in range(15) for c in range(15)]

    expression, _ = identity(tmp_path, ["day", "red", "green", "blue", "odd"], rows)

    assert expression == "'f/' || red || '/' || green || '/' || blue"


def test_what_is_natural_is_taken_before_what_is_unique_by_chance(tmp_path: Path) -> None:
    rows = [("2026-01-01", f"u{n // 5}", f"k{n % 5}", n * n) for n in range(100)]

    assert identity(tmp_path, ["day", "unit", "part", "grams"], rows)[0] == "'f/' || unit || '/' || part"


def test_a_number_that_is_alone_in_being_unique_is_taken_and_said_to_be_so_by_chance(tmp_path: Path) -> None:
    rows = [("2026-01-01", "u", n * n) for n in range(100)]

    expression, why = identity(tmp_path, ["day", "unit", "grams"], rows)

    assert expression == "'f/' || grams"
    assert "in all 100 rows, which a number, a time or a sentence may be by chance: see whether it identifies" in why


def test_a_pair_that_repeats_once_in_many_rows_or_lacks_a_value_is_denied(tmp_path: Path) -> None:
    rows = [["2026-01-01", f"u{n // 100}", f"k{n % 100}", f"{n % 7}"] for n in range(10_000)]
    assert identity(tmp_path, ["day", "unit", "part", "n"], rows)[0] == "'f/' || unit || '/' || part"

    rows[9_990][1:3] = rows[17][1:3]
    expression, why = identity(tmp_path, ["day", "unit", "part", "n"], rows)
    assert rows[9_990][3] != rows[17][3]
    assert expression == "'f/' || unit || '/' || part || '/' || n"

    rows[5_000][3] = ""
    expression, why = identity(tmp_path, ["day", "unit", "part", "n"], rows)
    assert (expression, why[: len(DENIED)]) == ("", DENIED)


def test_texts_that_hold_the_mark_between_them_stay_apart(tmp_path: Path) -> None:
    names = ["a", "a/b", "b", "b/c", "c", "a/b/c", "b|c", "a|b", "x~y", "y#z"]
    rows = [("2026-01-01", one, other) for one in names[:6] for other in names[:6]]
    assert identity(tmp_path, ["day", "u", "v"], rows)[0] == "'f/' || u || '|' || v"

    marked = [*names, "c|d", "y~z", "x#y"]
    rows = [("2026-01-01", one, other) for one in marked for other in marked]
    expression, _ = identity(tmp_path, ["day", "u", "v"], rows)
    assert expression == "'f/' || CAST(to_json([CAST(u AS VARCHAR), CAST(v AS VARCHAR)]) AS VARCHAR)"


def test_long_values_are_in_an_id_by_their_digest(tmp_path: Path) -> None:
    rows = [("2026-01-01", f"{n // 5}" + "x" * 300, f"{n % 5}") for n in range(100)]

    assert identity(tmp_path, ["day", "body", "n"], rows)[0] == "'f/' || sha256(body) || '/' || n"


def test_rows_that_are_left_out_do_not_count(tmp_path: Path) -> None:
    """Only rows without a time lack the unit, and repeat."""
    rows = [(f"2026-01-{1 + n % 28:02}", f"u{n // 28}", n % 28) for n in range(280)]
    lacking = [("", "", 1), ("", "", 1), ("", "", 2)]

    expression, why = identity(tmp_path, ["day", "unit", "x"], [*rows, *lacking])

    assert expression == "'f/' || day || '/' || unit"
    assert "in all 280 rows" in why


def test_a_single_row_tells_nothing(tmp_path: Path) -> None:
    assert "a single row does not tell what identifies one" in identity(tmp_path, ["day", "id"], [("2026-01-01", 1)])[1]


def test_typed_columns_of_a_parquet_file_identify_too(tmp_path: Path) -> None:
    both = list(itertools.product(range(12), range(12)))
    table = pa.table(
        {
            "at": pa.array([0] * 144, pa.timestamp("us", "UTC")),
            "real": [x / 3 for x, _ in both],
            "raw": [bytes([y, 0, 255]) for _, y in both],
            "tags": [[x + y] for x, y in both],
        }
    )
    pq.write_table(table, tmp_path / "f.parquet")
    assert of_file(tmp_path, "f.parquet")[0] == "'f/' || real || '/' || CAST(raw AS VARCHAR)"

    pq.write_table(table.drop_columns(["raw"]), tmp_path / "f.parquet")
    why = of_file(tmp_path, "f.parquet")[1]
    assert "no column (those that are nested aside) is unique and never NULL, nor are two or three together." in why


def test_a_wide_file_is_searched_within_bounds_and_says_so(tmp_path: Path) -> None:
    """Seventy columns of noise in which no three are unique: 57,155 groups."""
    chance = random.Random(1)
    rows = [["2026-01-01", *(chance.choice("abcd") for _ in range(70))] for _ in range(3_000)]

    expression, why = identity(tmp_path, ["day", *(f"c{n}" for n in range(70))], rows)

    assert expression == ""
    assert "nor are two or three together, of the 35,990 of 57,155 groups tried. An event" in why


def test_one_triple_of_a_wide_file_is_found(tmp_path: Path) -> None:
    chance = random.Random(2)
    rows = []
    for n in range(8_000):
        row = [chance.choice("abcd") for _ in range(55)]
        row[11], row[29], row[47] = f"{n % 20}x", f"{n // 20 % 20}y", f"{n // 400}z"
        rows.append(["2026-01-01", *row])

    assert (
        identity(tmp_path, ["day", *(f"c{n}" for n in range(55))], rows)[0] == "'f/' || c11 || '/' || c29 || '/' || c47"
    )


@pytest.mark.parametrize("seed", range(12))
def test_random_files_are_denied_exactly_where_nothing_is_unique(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    sizes = [chance.choice([1, 2, 3, 5, 8, 20]) for _ in range(5)]
    columns = [[f"v{chance.randrange(size)}" for _ in range(chance.choice([30, 60]))] for size in sizes]
    count = min(map(len, columns))
    rows = [("2026-01-01", *(one[n] if chance.random() > 0.001 else None for one in columns)) for n in range(count)]

    unique = [
        group
        for size in (1, 2, 3)
        for group in itertools.combinations(range(1, 6), size)
        if all(row[at] is not None for row in rows for at in group)
        and len({tuple(row[at] for at in group) for row in rows}) == count
    ]
    expression, _ = identity(tmp_path, ["day", *(f"c{n}" for n in range(1, 6))], rows)

    assert bool(expression) == bool(unique)
    if unique:
        assert 1 <= expression.count("c") <= 3

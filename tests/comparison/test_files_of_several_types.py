"""Parquet files whose columns are wide, durations, or of other types in each file of a pattern: no digit is lost."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import dualgauge
from dualgauge import Absolute, Comparator
from dualgauge.comparison.errors import UnreadableLocation
from dualgauge.model import Outcome
from support.parquet_sides import BY_ID, decimals, files, patterns, write

if TYPE_CHECKING:
    from pathlib import Path


BIG = 9007199254740993


def test_a_last_file_of_small_numbers_does_not_let_the_first_ones_lose_digits(tmp_path: Path) -> None:
    small = pa.array([5], pa.int32())
    for side, whole in (("a", BIG), ("b", BIG - 1)):
        for at, values in enumerate((pa.array([whole]), pa.array([0.5]), small)):
            write(tmp_path, f"{side}-{at}", {"x": values}, first=10 * at)

    found = dualgauge.compare(tmp_path / "a-*.parquet", tmp_path / "b-*.parquet", BY_ID)

    assert [(one.key, one.columns) for one in found.mismatches] == [({"id": 0}, ("x",))]


def test_durations_of_unlike_units_in_the_files_of_one_side_are_told_apart(tmp_path: Path) -> None:
    seconds, millis = pa.array([5], pa.duration("s")), pa.array([5], pa.duration("ms"))

    assert patterns(tmp_path, *({"x": one} for one in (seconds, millis, seconds, millis))).verdict is Outcome.PASS
    found = patterns(tmp_path, *({"x": one} for one in (seconds, millis, seconds, seconds)))
    assert [one.key for one in found.mismatches] == [{"id": 10}]


def test_a_duration_and_a_whole_number_in_the_files_of_one_side_are_no_one_column(tmp_path: Path) -> None:
    """Parquet keeps both as the same number; what it was stands in the schema of Arrow alone."""
    duration, number = pa.array([5], pa.duration("us")), pa.array([5], pa.int64())

    with pytest.raises(UnreadableLocation, match="is of unlike types"):
        patterns(tmp_path, *({"x": one} for one in (duration, number, duration, number)))


def test_a_sign_is_no_digit_of_a_wide_decimal(tmp_path: Path) -> None:
    """38 digits and a sign are a DECIMAL, so that a tolerance can stand on them."""
    low, high = (f"-{'1' * 36}.{cents}" for cents in (12, 13))
    by = Comparator(key="id", rules={"x": Absolute(Decimal("0.01"))})

    found = files(tmp_path, decimals(low), decimals(high), by)
    assert (found.verdict, found.columns[0].within_rule) == (Outcome.PASS, 1)
    table = [pa.table({"id": [1], "x": decimals(one)}) for one in (low, high)]
    assert dualgauge.compare(*table, by).verdict is Outcome.PASS


def test_long_durations_are_read_whole_from_every_unit(tmp_path: Path) -> None:
    """Over 2^31 of the unit."""
    for unit, number in (("s", 2**33), ("ms", 2**40), ("us", 2**50), ("ns", 2**50 * 1000)):
        one, other = (pa.array([value], pa.duration(unit)) for value in (number, number + 1000))
        assert files(tmp_path, one, one).verdict is Outcome.PASS
        assert files(tmp_path, one, other).changed == 1


@pytest.mark.parametrize(("own", "other"), [("y", "Y"), ("Y", "y"), ("Y", "Y")])
def test_a_file_that_lacks_a_column_is_refused_in_whatever_letters_the_other_side_has_it(
    tmp_path: Path, own: str, other: str
) -> None:
    pq.write_table(pa.table({"id": [1], own: [1]}), tmp_path / "a-1.parquet")
    pq.write_table(pa.table({"id": [2]}), tmp_path / "a-2.parquet")
    pq.write_table(pa.table({"id": [1, 2], other: pa.array([1, None], pa.int64())}), tmp_path / "b.parquet")

    with pytest.raises(UnreadableLocation, match=f"a-2.parquet has no column '{own}'"):
        dualgauge.compare(tmp_path / "a-*.parquet", tmp_path / "b.parquet", BY_ID)

"""Random files of CSV and JSON are compared value by value as the standard library reads them."""

from __future__ import annotations

import csv
import json
from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

import dualgauge
from dualgauge import Comparator
from support.text_files import NAMES, NUMBERS, by_value, number, string, value
from support.thinned import thinned

if TYPE_CHECKING:
    from pathlib import Path

    from dualgauge.comparison.values import Comparison

BY_ID = Comparator(key="id")


def differing(found: Comparison) -> set[tuple[int, int]]:
    """The row and the place of the column of each value that differs."""
    return {(int(one.key["id"]), int(name[1:])) for one in found.mismatches for name in one.columns}


def kept(given: Any) -> Any:
    """A value whose parts can be compared: as what is missing, null is nothing."""
    return None if given is None else repr(sorted_members(given))


def sorted_members(given: Any) -> Any:
    """A value of JSON with its members in one order, its numbers as they are equal, its kinds told apart."""
    match given:
        case ("number", Decimal()):
            return ("number", str(Fraction(given[1])))
        case dict():
            return {name: sorted_members(given[name]) for name in sorted(given)}
        case list():
            return [sorted_members(item) for item in given]
        case _:
            return given


def cells(random: Random, kinds: list[int]) -> list[str]:
    """A row of JSON values: columns of numbers alone, of strings alone, and of anything."""
    makers = (number, string, value)
    return [makers[kind](random) if random.random() < 0.9 else "null" for kind in kinds]


@pytest.mark.parametrize("seed", thinned(3, range(20)))
def test_json_values_differ_where_the_standard_library_says_so(tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    kinds = [random.randrange(3) for _ in range(6)]
    old = [cells(random, kinds) for _ in range(40)]
    others = [cells(random, kinds) for _ in range(40)]
    new = [
        [one if random.random() < 0.5 else other for one, other in zip(*rows, strict=True)]
        for rows in zip(old, others, strict=True)
    ]
    for name, rows in (("old", old), ("new", new)):
        lines = [
            f'{{"id":{at},' + ",".join(f'"f{place}":{cell}' for place, cell in enumerate(row)) + "}"
            for at, row in enumerate(rows)
        ]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")

    found = dualgauge.compare(tmp_path / "old.jsonl", tmp_path / "new.jsonl", BY_ID, samples=100)
    same = dualgauge.compare(tmp_path / "old.jsonl", tmp_path / "old.jsonl", BY_ID)

    assert differing(found) == {
        (at, place)
        for at, rows in enumerate(zip(old, new, strict=True))
        for place, pair in enumerate(zip(*rows, strict=True))
        if kept(by_value(pair[0])) != kept(by_value(pair[1]))
    }
    assert (same.verdict.value, same.matched) == ("pass", 40)


NO_NUMBERS = ("nan", "inf", "-inf")


def text_cell(random: Random, kind: int) -> str:
    """A value of a CSV column: of numbers as programs write them, or of any text."""
    if random.random() < 0.1:
        return ""
    if kind:
        return json.loads(string(random)).replace("\x00", "")
    numbers = [one for one in NUMBERS if "e" not in one.lower() or "+" in one or "e-" in one]
    return random.choice((*numbers, *NO_NUMBERS, repr(random.random()), repr(random.random() * 1e-9)))


def cell_value(text: str, kind: int) -> object:
    """What a text of a CSV column is equal to."""
    if not text or kind or text in NO_NUMBERS:
        return text
    return Decimal(text)


@pytest.mark.parametrize("seed", thinned(3, range(20)))
def test_csv_values_differ_where_the_standard_library_says_so(tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    kinds = [random.randrange(2) for _ in range(5)]
    old = [[text_cell(random, kind) for kind in kinds] for _ in range(40)]
    new = [
        [one if random.random() < 0.5 else text_cell(random, kind) for one, kind in zip(row, kinds, strict=True)]
        for row in old
    ]
    ends = random.choice(("\n", "\r\n"))
    for name, rows in (("old", old), ("new", new)):
        with (tmp_path / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator=ends, quoting=random.choice((csv.QUOTE_MINIMAL, csv.QUOTE_ALL)))
            file.write(ends * random.randrange(3))
            writer.writerow(["id", *(f"f{place}" for place in range(5))])
            writer.writerows([at, *row] for at, row in enumerate(rows))

    found = dualgauge.compare(tmp_path / "old.csv", tmp_path / "new.csv", BY_ID, samples=100)
    same = dualgauge.compare(tmp_path / "old.csv", tmp_path / "old.csv", BY_ID)

    assert differing(found) == {
        (at, place)
        for at, rows in enumerate(zip(old, new, strict=True))
        for place, (one, other) in enumerate(zip(*rows, strict=True))
        if cell_value(one, kinds[place]) != cell_value(other, kinds[place])
    }
    assert (same.verdict.value, same.matched) == ("pass", 40)


@pytest.mark.parametrize("name", [name for name in NAMES if name])
def test_a_field_of_any_name_is_compared(tmp_path: Path, name: str) -> None:
    for file, number_of in (("old", 1), ("new", 2)):
        (tmp_path / f"{file}.jsonl").write_text(json.dumps({"id": 1, name: number_of}), encoding="utf-8")

    found = dualgauge.compare(tmp_path / "old.jsonl", tmp_path / "new.jsonl", BY_ID)

    assert [one.columns for one in found.mismatches] == [(name,)]

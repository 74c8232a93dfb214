"""JSON files are read as they stand: each value letter for letter, each name for itself, each fault with its line."""

from __future__ import annotations

import gzip
import json
import re
from random import Random
from typing import TYPE_CHECKING

import pytest

from dualgauge.engines.duck import open_engine
from dualgauge.engines.files.errors import BadJson
from dualgauge.engines.files.json_shapes import nested_fault
from dualgauge.engines.files.json_text import read_json_texts
from support.text_files import exactly, json_object
from support.thinned import thinned

if TYPE_CHECKING:
    from pathlib import Path

    from dualgauge.engines.duck import Engine
    from dualgauge.engines.files.json_shapes import Shape


def read(engine: Engine, folder: Path, *contents: str | bytes, suffix: str = "jsonl") -> list[dict[str, str]]:
    """The fields of each row, as texts; what a row lacks is not there."""
    files = []
    for at, content in enumerate(contents):
        files.append(folder / f"in-{at}.{suffix}")
        files[-1].write_bytes(content.encode() if isinstance(content, str) else content)
    found = read_json_texts(engine, files, folder, alike=True)
    columns = ", ".join(found.columns.values())
    rows = engine.rows(f"SELECT {columns or 1} FROM {found.source}")
    assert len(rows) == sum(found.rows)
    return [
        {name: one for name, one in zip(found.columns, row, strict=False) if one is not None} if columns else {}
        for row in rows
    ]


def parts(text: str) -> dict[str, object]:
    """What the standard library finds in an object, its numbers as they are written."""
    found = exactly(text)
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(("seed", "form"), thinned(3, range(25), ["lines", "array", "one behind another", "packed"]))
def test_each_value_of_a_random_file_is_there_letter_for_letter(tmp_path: Path, form: str, seed: int) -> None:
    random = Random(f"{form} {seed}")
    objects = [json_object(random) for _ in range(random.randrange(1, 60))]
    text = {"array": f"[{', '.join(objects)}]", "one behind another": "".join(objects)}.get(form, "\n".join(objects))
    packed = form == "packed"
    with open_engine() as engine:
        found = read(
            engine, tmp_path, gzip.compress(text.encode()) if packed else text, suffix="jsonl.gz" if packed else "json"
        )

    assert [{name: exactly(one) for name, one in row.items()} for row in found] == [parts(one) for one in objects]
    # What has no blanks between its parts stands there so.
    written = "".join(re.findall(r'"(?:[^"\\]|\\.)*"|\S', text))
    assert all(one in text if one.startswith('"') else one in written for row in found for one in row.values())


def test_a_file_of_many_batches_whose_fields_come_and_go_keeps_each_row(tmp_path: Path) -> None:
    random = Random(1)
    objects = [f'{{"id":{at},"f{at // 2500}":{at}.{at}0}}' for at in range(9_000)]
    objects[7_000] = '{"id": NaN, "x": [-Infinity, {"y": 1.10}]}'
    with open_engine() as engine:
        found = read(engine, tmp_path, "\n".join(objects), "\n".join(random.sample(objects, 100)))

    assert found[:9_000:777] == [{"id": str(at), f"f{at // 2500}": f"{at}.{at}0"} for at in range(0, 9_000, 777)]
    assert (found[7_000], len(found)) == ({"id": "NaN", "x": '[-Infinity,{"y":1.10}]'}, 9_100)


def test_values_of_megabytes_and_of_thousands_of_levels_are_whole(tmp_path: Path) -> None:
    long, deep = '"' + 'a\\"' * 3_300_000 + '"', "[" * 5_000 + "1.10" + "]" * 5_000
    with open_engine() as engine:
        found = read(engine, tmp_path, f'{{"id":1,"x":{long}}}\n{{"id":2,"x":{deep}}}\n')

    assert found == [{"id": "1", "x": long}, {"id": "2", "x": deep}]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a":1}\n{"b":1,"b":1}\n', "line 2: its field 'b' is there twice"),
        ('{"a":1,"\\u0061":"b"}\n', "line 1: its field 'a' is there twice"),
        ('{"a":{"b":1,"b":2},"a":3}\n', "line 1: its field 'a' is there twice"),
        ('{"a":1}\n\n{"A":1}\n', "line 3: its fields 'a' and 'A' differ by case alone"),
        ('[{"a":1},{"a":1,"a":1}]', "object 2: its field 'a' is there twice"),
        ('{"a":1}\n[1]\n', "line 2: it is no object"),
        ('{"a":1}\nnull\n', "line 2: it is no object"),
        ('[{"a":1}] [{"a":2}]', "value 1: it is no object; see that it is one array of objects, or one object a line"),
        ('[{"a":1},[{"a":2}]]', "value 2: it is no object; see that it is one array of objects"),
        ('{"a":1}\n{"a":[1,]}\n', "line 2: no JSON: a comma before ']'"),
        ('{"a":1}\n{"a":1} x\n', "line 2: unexpected character"),
        ('{"a":1}\n{"a":01}\n', "line 2: number with leading zero"),
        ('{"a":1}\n{"a":"\\ud800"}\n', "a text has half of a surrogate pair"),
        ('[{"a":1},', "its array is not closed"),
        ('[{"a":1}', "its array is not closed"),
        ('{"a":1}\n{"a":[' + "1" * 5_000 + "\n", "line 2: "),
    ],
)
def test_a_file_that_is_not_a_list_of_objects_is_refused_with_the_line(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "in.json"
    file.write_text(text, encoding="utf-8")

    with open_engine() as engine, pytest.raises(BadJson) as told:
        read_json_texts(engine, [file], tmp_path)
    assert str(told.value).startswith(f"{file} cannot be read: ")
    assert said in str(told.value)


def test_faulty_lines_are_given_with_their_reasons_and_the_others_are_read(tmp_path: Path) -> None:
    good = [json.dumps({"a": at}) for at in range(5_000)]
    lines = [*good[:2], '{"a":', "", "[1]", '{"a":1,"a":2}', '{"a":"\\q"}', *good[2:], '{"A":1}']
    file = tmp_path / "in.jsonl"
    file.write_bytes("\n".join(lines).encode() + b'\n{"a":"\xff"}\n')

    with open_engine() as engine:
        found = read_json_texts(engine, [file], tmp_path, tolerant=True)
        rows = engine.rows(f"SELECT _row, c0 FROM {found.source}")

    assert [(one.line, one.reason) for one in found.faults] == [
        (3, "no JSON: expecting value (character 6)"),
        (5, "it is no object"),
        (6, "its field 'a' is there twice"),
        (7, "no JSON: invalid \\escape (character 7)"),
        (5_006, "its fields 'a' and 'A' differ by case alone"),
        (5_007, "a text is not UTF-8"),
    ]
    assert (rows[:3], len(rows), found.rows) == ([(1, "0"), (2, "1"), (7, "2")], 5_000, (5_000,))


def test_lines_may_end_within_a_value_wherever_blanks_may_stand(tmp_path: Path) -> None:
    values = ["[1\n,2]", "[1,2\n]", "[1,\n2]", "[\n1,2]", '{"n"\n:1}', '{"n":\n1}', '{\n"n":1}', '{"n":1\n}']
    with open_engine() as engine:
        for at, value in enumerate(values):
            found = read(engine, tmp_path, f'[{{"id":"a","p":{value}}},{{"id":"b","p":[3]}}]', suffix=f"{at}.json")
            assert found == [{"id": '"a"', "p": "".join(value.split())}, {"id": '"b"', "p": "[3]"}]


@pytest.mark.parametrize("tolerant", [True, False])
@pytest.mark.parametrize("shape", ["cut", "false", "damaged"])
def test_a_packed_file_that_cannot_be_unpacked_is_named(tmp_path: Path, shape: str, tolerant: bool) -> None:
    whole = "".join(f'{{"a":{Random(at).random()}}}\n' for at in range(20_000)).encode()
    packed = gzip.compress(whole)
    content = {"cut": packed[:-9], "false": whole, "damaged": packed[:9_000] + b"\xff" * 50 + packed[9_050:]}[shape]
    file = tmp_path / "in.jsonl.gz"
    file.write_bytes(content)

    with open_engine() as engine, pytest.raises(BadJson, match="reading its bytes failed") as told:
        read_json_texts(engine, [file], tmp_path, tolerant=tolerant)
    assert told.value.file == file


def test_an_object_that_is_refused_says_nothing_of_how_others_are_spelled(tmp_path: Path) -> None:
    file = tmp_path / "in.jsonl"
    file.write_text('{"a":1}\n{"X":1,"A":2}\n{"x":3}\n{"y":4,"Y":5}\n{"Y":6}\n')

    with open_engine() as engine:
        found = read_json_texts(engine, [file], tmp_path, tolerant=True)

    assert [(one.line, one.reason) for one in found.faults] == [
        (2, "its fields 'a' and 'A' differ by case alone"),
        (4, "its fields 'y' and 'Y' differ by case alone"),
    ]
    assert (list(found.columns), found.rows) == (["a", "x", "Y"], (3,))


@pytest.mark.parametrize(
    ("text", "shape", "said"),
    [
        ("1" * 5_000, "BIGINT", f" = {'1' * 80}... is no BIGINT"),
        ("[" + "1" * 5_000 + "]", ["DOUBLE"], f"[1] = {'1' * 80}... would be read as inf"),
        ("1e99999999999999999999", "JSON", " = 1e99999999999999999999 would be read as inf"),
        ("1e-99999999999999999999", "DOUBLE", " = 1e-99999999999999999999 would be read as 0.0"),
        ("-0.0e99999999999999999999", "DOUBLE", None),
        ("-9223372036854775808", "BIGINT", None),
        ("9223372036854775808", "BIGINT", " = 9223372036854775808 is no BIGINT"),
        ("[" * 400 + "1.5" + "]" * 400, "JSON", ": it has too many levels"),
        ("[" * 50_000 + "1.5" + "]" * 50_000, "JSON", ": it has too many levels"),
    ],
)
def test_a_value_beyond_what_python_holds_is_told_as_one_that_does_not_fit(
    text: str, shape: Shape, said: str | None
) -> None:
    assert nested_fault(text, shape) == said


@pytest.mark.parametrize("lacking", range(16))
def test_of_each_object_the_fields_that_it_has_are_there(tmp_path: Path, lacking: int) -> None:
    text = "".join('{"a":1}\n' if at == lacking else f'{{"a":1,"b":{at}}}\n' for at in range(16))
    with open_engine() as engine:
        rows = read(engine, tmp_path, text)
    assert rows == [{"a": "1"} if at == lacking else {"a": "1", "b": str(at)} for at in range(16)]


def test_objects_without_the_newest_field_are_read_too(tmp_path: Path) -> None:
    with open_engine() as engine:
        rows = read(engine, tmp_path, '{"a":1}\n', '{"a":2,"b":3}\n', '{"a":4}\n')
    assert rows == [{"a": "1"}, {"a": "2", "b": "3"}, {"a": "4"}]


def test_a_field_that_another_object_lacks_hides_none_that_is_there_twice(tmp_path: Path) -> None:
    with open_engine() as engine, pytest.raises(BadJson, match="line 2: its field 'a' is there twice"):
        read(engine, tmp_path, '{"a":1,"b":1}\n{"a":1,"a":2}\n')

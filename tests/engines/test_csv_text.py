"""CSV files are read to the letter: every row and value that the standard library's reader has, or none and why."""

from __future__ import annotations

import csv
import gzip
import io
import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualgauge.comparison.errors import UnreadableLocation
from dualgauge.comparison.files.read_files import dialect_of, read_csv
from dualgauge.engines.duck import Engine, open_engine
from dualgauge.engines.errors import BadDialect, BadValue, BrokenFile, NoColumnNames
from dualgauge.engines.files.csv_text import csv_file, first_fault
from dualgauge.engines.files.text_rows import LineDialect, rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILES = 400
ATOMS = (
    "", "a", "1", "007", " ", "x y", '"', '""', 'q"q', ",", ";", "\n", "\r\n", "\r", "é", "#", "#x", "NA", "1,5", ' "',
    '" ', "\t", "\\", '\\"', "0.1", "\x00", "日本",
)  # fmt: skip


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with open_engine() as found:
        yield found


def read(engine: Engine, file: Path, options: dict[str, Any] | None = None) -> list[list[str | None]]:
    """The rows of a file; raises what says why there are none."""
    found = csv_file(file, options or {}, file.parent / f"{file.name}-anew")
    try:
        return [list(row) for row in engine.rows(f"FROM {found.relation(() if options is None else ('',))}")]
    except BadValue as fault:
        raise first_fault(file, found.dialect) or fault from fault


def made(chance: random.Random) -> tuple[str, int]:
    """A file's text, well written or not, and the number of its columns."""
    columns, end = chance.randint(1, 4), chance.choice(["\n", "\r\n", "\r", "\n"])
    names = [f"n{at}" for at in range(columns)]
    if chance.random() < 0.5:
        rows = [
            ["".join(chance.choice(ATOMS) for _ in range(chance.randint(0, 3))) for _ in range(columns)]
            for _ in range(chance.randint(0, 6))
        ]
        out = io.StringIO(newline="")
        writer = csv.writer(out, lineterminator=end, quoting=chance.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
        writer.writerows([names, *rows])
        text = out.getvalue()
    else:
        pieces = (chance.choice([*ATOMS, ",", end, end, ","]) for _ in range(chance.randint(0, 20)))
        text = f"{','.join(names)}{end}{''.join(pieces)}"
    return chance.choice(["", "", "", "\ufeff", end]) + text, columns


def expected(text: str, columns: int) -> list[list[str]] | None:
    """The rows as the standard library reads them; None where they are none of one file."""
    try:
        rows = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True))
    except csv.Error:
        return None
    if columns > 1:
        rows = [row for row in rows if row]
    else:
        # An empty line is no name, and a row of one empty value.
        while not rows[0]:
            del rows[0]
        rows = [row or [""] for row in rows]
    return rows[1:] if all(len(row) == columns for row in rows) else None


@pytest.mark.parametrize("block", range(4))
def test_a_file_has_the_rows_that_the_standard_library_reads_or_a_line_that_is_at_fault(
    engine: Engine, tmp_path: Path, block: int
) -> None:
    for seed in range(block * FILES // 4, (block + 1) * FILES // 4):
        text, columns = made(random.Random(seed))
        file = tmp_path / f"{seed}.csv"
        file.write_bytes(text.encode())
        right = expected(text, columns)
        try:
            found: list[list[str | None]] | None = read(engine, file)
        except BrokenFile:
            found = None
        assert found == right, (seed, text)


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("a,b\n1,2,\n", 2, "it has 3 values for 2 columns"),
        ("a,b\n1,2\n3\n", 3, "it has 1 value for 2 columns"),
        ('a,b\n1,"x\n3,4\n', 2, 'a quote (") is opened and not closed'),
        ('a,b\n1,"x"y\n', 2, 'a quote (") is closed in a value'),
        ('a,b\n1,"x" \n', 2, 'a quote (") is closed in a value'),
        ("\n\na,A\n1,2\n", 3, "it names the column 'a' and 'A', which differ by case alone"),
        ("a,a\n1,2\n", 1, "it names the column 'a' twice"),
        ("2026-01-01,7\n2026-01-02,8\n", 1, "it holds values, no names of columns: '2026-01-01,7'"),
        ("", 1, "it is empty, where a line of column names is due"),
    ],
)
def test_what_is_no_row_is_told_with_its_line(
    engine: Engine, tmp_path: Path, text: str, line: int, reason: str
) -> None:
    file = tmp_path / "f.csv"
    file.write_text(text)
    with pytest.raises(BrokenFile) as refused:
        read(engine, file)
    assert (refused.value.line, refused.value.reason) == (line, reason)


def test_what_is_said_of_a_file_holds(engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "f.csv.gz"
    with gzip.open(file, "wb") as out:
        out.write("by hand\r\n# a remark\r\n'ä;b';''\r\n-;1\r\n#2;3\r\n".encode("cp1252"))
    said = {"delim": ";", "quote": "'", "skip": 1, "comment": "#", "encoding": "cp1252", "names": ["x", "y"]}
    assert read(engine, file, said | {"header": False}) == [["ä;b", None], ["-", "1"]]
    assert read(engine, file, {"delim": ";", "quote": "'", "skip": 3, "encoding": "cp1252", "header": False}) == [
        ["-", "1"], ["#2", "3"],
    ]  # fmt: skip


def test_folders_that_are_columns_are_columns(engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "year=2026" / "month=a%20b" / "f.csv"
    file.parent.mkdir(parents=True)
    file.write_text("a,b\n1,2\n")
    assert read(engine, file) == [["1", "2", "2026", "a b"]]


def test_a_value_of_ten_megabytes_is_whole(engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "f.csv"
    file.write_text(f"a,b\n1,{'x' * 10_000_000}\n2,y\n")
    assert [len(row[1] or "") for row in read(engine, file)] == [10_000_000, 1]


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("all_varchar", False, "is no option of a CSV file; take it out: every value is read as text"),
        ("sep", ";", "is no option of a CSV file (it is called 'delim')"),
        ("delim", "||", "is '||', which is no single character"),
        ("skip", -1, "is -1, which is no number of lines"),
        ("encoding", "klingon", "'klingon' is known to nobody here"),
        ("decimal_separator", "'", "say . or ,"),
        ("dateformat", 5, "'dateformat' is 5, which is no format; say one such as %d.%m.%Y"),
        ("timestampformat", True, "'timestampformat' is True, which is no format"),
        ("dateformat", "%Q", "'dateformat' is '%Q', which is no format"),
        ("timestampformat", "%d.%m.%Y %", "which is no format; say one such as %d.%m.%Y %H:%M:%S"),
        ("timestampformat", "%s", "'timestampformat' is '%s', which is no format"),
        (
            "dateformat",
            "%Y-%m-%dT%H:%M%z",
            "is '%Y-%m-%dT%H:%M%z', with a zone; say it as timestampformat",
        ),
        ("names", 5, "'names' is 5, which is no list of names"),
        ("names", "abc", """'names' is 'abc', which is no list of names; say it as ["id", "amount"]"""),
        ("skip", True, "is True, which is no number of lines"),
        ("quote", "é", "'quote' is 'é', which is no character of ASCII"),
        ("escape", "é", "'escape' is 'é', which is no character of ASCII"),
        ("quote", "\n", "is '\\n', which is no single character"),
        ("encoding", "base64", "'base64' is known to nobody here"),
        ("encoding", "a\0b", "is known to nobody here"),
        ("encoding", "idna", "'idna' is none that files are written in; say one such as"),
    ],
)
def test_what_cannot_be_said_of_a_file_is_refused_by_name(
    tmp_path: Path, option: str, value: object, said: str
) -> None:
    file = tmp_path / "f.csv"
    file.write_text("a,b\n1,2\n")
    with pytest.raises(BadDialect) as refused:
        csv_file(file, {option: value}, tmp_path / "anew")
    assert said in str(refused.value)


def test_a_first_line_of_values_may_be_said_to_be_names(engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "f.csv"
    file.write_text("2019,2020\n1,2\n")
    with pytest.raises(NoColumnNames):
        read(engine, file)
    assert csv_file(file, {"header": True}, tmp_path / "anew").names == ("2019", "2020")


@pytest.mark.parametrize("option", ["quote", "escape"])
def test_one_character_cannot_part_values_and_stand_around_them(tmp_path: Path, option: str) -> None:
    file = tmp_path / "f.csv"
    file.write_text("a;b\n1;2\n")
    with pytest.raises(BadDialect, match=f"'{option}' is ';', which is what parts the values"):
        csv_file(file, {"delim": ";", option: ";"}, tmp_path / "anew")


def test_what_stands_around_values_is_not_taken_for_what_parts_them(engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "f.csv"
    file.write_text(";a;,;b;\n;1;,;2,3;\n")
    assert read(engine, file, {"quote": ";"}) == [["1", "2,3"]]


@pytest.mark.parametrize(
    ("row", "values"),
    [
        (r'"C:\temp \"q\"",C:\new', [r'C:\temp "q"', r"C:\new"]),
        (r"C:\new,\\server", [r"C:\new", r"\server"]),
        (r'"C:\new","a\"', None),
        (r'"a\\","\\\"\n"', ["a\\", r"\"\n"]),
        (r'"a\",b",x', ['a",b', "x"]),
        ("a\\,b\\", ["a\\", "b\\"]),
        ('"a\\\nb\\"\nc",\\"d', ['a\\\nb"\nc', '"d']),
    ],
)
def test_a_backslash_that_escapes_goes_before_a_quote_or_another_one_alone(
    engine: Engine, tmp_path: Path, row: str, values: list[str] | None
) -> None:
    file = tmp_path / "f.csv"
    file.write_text(f"a,b\n{row}\n")
    if values is None:
        with pytest.raises(BrokenFile, match="is opened and not closed"):
            read(engine, file, {"escape": "\\"})
    else:
        assert read(engine, file, {"escape": "\\"}) == [values]


def test_a_name_may_hold_a_quote_that_a_backslash_escapes(engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "f.csv"
    file.write_text('"5\\" disk",b\n1,2\n')
    assert csv_file(file, {"escape": "\\"}, tmp_path / "anew").names == ('5" disk', "b")
    assert read(engine, file, {"escape": "\\"}) == [["1", "2"]]


@pytest.mark.parametrize(("before", "behind"), [(", ", '"x"'), (",", ' "x"'), (',"x"', " "), (',"x" ', "")])
def test_blanks_beside_a_quote_count_wherever_the_blocks_of_a_file_part(
    engine: Engine, tmp_path: Path, before: str, behind: str
) -> None:
    file = tmp_path / "f.csv"
    text = f"a,b\n{'x' * ((1 << 20) - 4 - len(before))}{before}{behind}\n1,2\n"
    file.write_text(text)
    try:
        found: list[list[str | None]] | None = read(engine, file)
    except BrokenFile:
        found = None
    assert found == expected(text, 2)


@pytest.mark.parametrize(
    ("encoding", "content", "line", "reason"),
    [
        ("utf-16", b"a,b\n1,2\n", 1, "it is not utf-16"),
        ("utf-16", "a,b\n1,2\n".encode("utf-16") + b"x", 3, "it is not utf-16"),
        ("utf-16-le", ("a,b\r\n1,2\r\n" * 9_000).encode("utf-16-le") + b"\x00\xdc\n\x00" * 2, 18_001, None),
        ("utf-32", b"a,b\n1,2\n", 1, "it is not utf-32"),
        ("ascii", "a,b\n1,ä\n".encode(), 2, "it is not ascii"),
        ("cp1252", b"a,b\n1,\x81\n", 2, "it is not cp1252"),
    ],
)
def test_bytes_that_are_none_of_an_encoding_are_told_with_their_line(
    engine: Engine, tmp_path: Path, encoding: str, content: bytes, line: int, reason: str | None
) -> None:
    file = tmp_path / "f.csv"
    file.write_bytes(content)
    with pytest.raises(BrokenFile) as refused:
        read(engine, file, {"encoding": encoding, "header": True})
    assert (refused.value.line, refused.value.reason) == (line, reason or f"it is not {encoding}")


def test_a_value_of_many_lines_takes_no_longer_a_line_than_one_of_few(tmp_path: Path) -> None:
    file, counted = tmp_path / "f.csv", list[int]()

    class Counting(LineDialect):
        def values(self, text: str) -> list[str]:
            counted.append(len(text))
            return super().values(text)

    file.write_text('a,b\n1,"' + 'he said ""no""\n' * 8_000 + '"\n2,x\n')
    found = list(rows(file, Counting(",", header=True, columns=2)))
    assert [(row.number, row.line, row.fault) for row in found] == [(0, 1, ""), (1, 2, ""), (2, 8_003, "")]
    assert sum(counted) < 3 * file.stat().st_size


def test_a_quote_in_the_middle_of_a_value_leaves_the_next_value_its_lines(engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "f.csv"
    file.write_text('a,b\nx"y,"1\n2"\n')
    assert read(engine, file) == [['x"y', "1\n2"]]


def test_files_that_are_compared_keep_a_backslash_that_escapes_nothing(engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "f.csv"
    file.write_text('id,path\n1,"C:\\temp \\"q\\", x"\n2,C:\\new\n')
    found = read_csv(engine, [file], "f", tmp_path, [dialect_of(file, "csv")])
    assert engine.rows(f"FROM {found.source}") == [("1", 'C:\\temp "q", x'), ("2", "C:\\new")]


@pytest.mark.parametrize("kept", [-9, 9_000])
def test_a_packed_file_that_is_compared_and_cut_off_or_damaged_is_named(
    engine: Engine, tmp_path: Path, kept: int
) -> None:
    file, chance = tmp_path / "f.csv.gz", random.Random(1)
    packed = gzip.compress("".join(["a,b\n", *(f"{chance.random()},1\n" for _ in range(20_000))]).encode())
    file.write_bytes(packed[:kept] + (b"" if kept < 0 else b"\xff" * 50 + packed[kept + 50 :]))
    with pytest.raises(UnreadableLocation, match=r"f\.csv\.gz"):
        read_csv(engine, [file], "f", tmp_path, [dialect_of(file, "csv")])


def faults(file: Path, text: str, *, escape: str = '"', columns: int = 3) -> list[tuple[int, str, bool]]:
    """The line, the text and whether it is broken, of each row."""
    file.write_text(text, newline="")
    return [
        (one.line, one.text, bool(one.fault)) for one in rows(file, LineDialect(",", escape=escape, columns=columns))
    ]


@pytest.mark.parametrize(
    "row",
    [
        '1,"x\n2,y,z\nq","ab"c',
        '1,"ab"c,"x\n2,y,z\nq"',
        '1,ab"c,"ab"c,"x\n2,y,z\nq"',
        '1,"a\n2,y,z\nb","c\n3,y,z\nd"x',
        '1,"x\n2,y,z\nq"c,5',
        '"x\n2,y,z\nq"c,b,5',
        '1,"x\n2,y,z\nq"c,"k\n7,8,9\nl"',
        '1,"he said ""\n2,y,z\n""","ab"c',
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_broken_value_leaves_the_lines_of_its_row_in_one_row(tmp_path: Path, row: str, end: str) -> None:
    row = row.replace("\n", end)
    last = 2 + row.count("\n")

    found = faults(tmp_path / "f.csv", f"0,a,b{end}{row}{end}6,a,b{end}")

    assert found == [(1, "0,a,b", False), (2, row, True), (last + 1, "6,a,b", False)]


@pytest.mark.parametrize(
    "behind",
    [
        ["2,a,b", "4,a,b"],
        ["2,a,b", '3,"pipe",x', "4,a,b"],
        ["2,a,b", '"3",pipe,x'],
        ["2,a,b", '3,5" pipe,x', "4,a,b"],
        ['2,"","x"'],
    ],
)
@pytest.mark.parametrize("first", ['1,"abc,2', '1,ab,"2'])
def test_a_lone_quote_takes_no_row_behind_it_along(tmp_path: Path, first: str, behind: list[str]) -> None:
    found = faults(tmp_path / "f.csv", "".join(f"{one}\n" for one in (first, *behind)))

    assert [(text, broken) for _, text, broken in found] == [(first, True), *((one, False) for one in behind)]


def test_beside_an_escape_a_broken_value_leaves_its_row_its_lines_too(tmp_path: Path) -> None:
    row = '1,"x \\"\n2,y,z\n\\\\","ab"c'

    assert faults(tmp_path / "f.csv", f"{row}\n6,a,b\n", escape="\\") == [(1, row, True), (4, "6,a,b", False)]


VALUES = st.text('ab,"\n', max_size=6)


@given(
    st.lists(st.lists(VALUES, min_size=3, max_size=3), max_size=3),
    st.lists(VALUES, min_size=2, max_size=2),
    st.integers(0, 2),
    st.lists(st.lists(VALUES, min_size=3, max_size=3), max_size=3),
    st.sampled_from(['"ab"c', '"a,b"c', '"""a"" "c', '""c']),
)
def test_one_broken_value_breaks_one_row_whatever_stands_in_the_others(
    tmp_path_factory: pytest.TempPathFactory, before: list[list[str]], beside: list[str], at: int,
    after: list[list[str]], broken: str,
) -> None:  # fmt: skip
    def written(values: list[str]) -> list[str]:
        return ['"' + one.replace('"', '""') + '"' for one in values]

    values = written(beside)
    texts = [*(",".join(written(one)) for one in before), ",".join([*values[:at], broken, *values[at:]])]
    texts += [",".join(written(one)) for one in after]
    file = tmp_path_factory.getbasetemp() / "broken.csv"

    found = faults(file, "".join(f"{one}\n" for one in texts))

    assert [(text, is_broken) for _, text, is_broken in found] == [
        (one, number == len(before)) for number, one in enumerate(texts)
    ]


@pytest.mark.parametrize("delimiter", ["\x01", "\x02", "\x1f", "a", "0", "_", "d"])
def test_any_character_may_part_values(engine: Engine, tmp_path: Path, delimiter: str) -> None:
    file = tmp_path / "f.csv"
    file.write_text(delimiter.join(("x", "y")) + "\n" + delimiter.join(("z", "")) + "\n")
    found = csv_file(file, {"delim": delimiter}, tmp_path / "again")

    assert engine.rows(f"FROM {found.relation()}") == [("z", None)]


def test_no_value_of_a_file_stands_for_none(engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "f.csv"
    file.write_text("x,y\n\x01dualgauge\x02,1\n,2\n")

    assert read(engine, file) == [["\x01dualgauge\x02", "1"], ["", "2"]]

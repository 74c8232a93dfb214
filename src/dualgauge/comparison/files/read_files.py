"""Files as relations of the engine: CSV, JSON and Parquet, found by path or by a pattern."""

from __future__ import annotations

import csv
import gzip
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dualgauge.comparison.errors import NoSource, UnreadableLocation
from dualgauge.comparison.files.names import place, twice, united
from dualgauge.comparison.files.value_types import ANY, FileSide, Reading, json_readings
from dualgauge.engines.errors import EngineError, OutOfMemory
from dualgauge.engines.parquet_schema import exact
from dualgauge.model import fold, literal, plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from dualgauge.engines.duck import Engine

KINDS: Final[Mapping[str, str]] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
    ".parquet": "parquet",
    ".db": "sqlite",
    ".sqlite": "sqlite",
    ".sqlite3": "sqlite",
}
"""What a file is, by its suffix."""

_DELIMITERS: Final = ",;\t|"
_LONGEST_FIELD: Final = 16 * 1024 * 1024
_AT: Final = re.compile(r"CSV Error on Line: (\d+)")
_COUNTS: Final = re.compile(r"Expected Number of Columns: (\d+) Found: (\d+)")
_MALFORMED: Final = re.compile(r'Malformed JSON in file "[^"]*", (.*)')
_RENAMED: Final = re.compile(r"(.+)_[0-9]+", re.DOTALL).fullmatch
_CSV_FAULTS: Final[Mapping[str, str]] = {
    "unterminated quote": "a quote is opened and not closed as it should be",
    "Invalid unicode": "a text is not UTF-8",
    "Maximum line size": "it is longer than 16 MB",
    "": "it is no row of this file",
}
"""What the engine says of a line of a CSV file, and what that means."""


def kind_of(name: str) -> str | None:
    """What a file is by its name, or None; text files may be packed (`.gz`)."""
    lowered = name.lower()
    packed = lowered.endswith(".gz")
    kind = KINDS.get(Path(lowered.removesuffix(".gz")).suffix)
    return None if packed and kind in ("parquet", "sqlite") else kind


def is_pattern(name: str) -> bool:
    """Whether a name is a pattern for several files."""
    return any(character in name for character in "*?[") and not Path(name).exists()


def found_files(name: str) -> tuple[str, list[Path]]:
    """
    The files of a path or a pattern, and what they are.

    Raises:
        NoSource: there is none, it is a folder, or its kind is not known.
    """
    if is_pattern(name):
        base = Path(Path(name).anchor)
        files = sorted(one for one in base.glob(str(Path(name).relative_to(base))) if one.is_file())
        if not files:
            raise NoSource(name, "no file has a name like it")
    else:
        files = [Path(name)]
    for file in files:
        if file.is_dir():
            raise NoSource(
                name, "it is a folder: name its files, for example as " + repr(f"{name.rstrip('/')}/*.parquet")
            )
        if not file.exists():
            raise NoSource(name, "there is no such file")
    kinds = {kind_of(file.name) or _looked_at(file) for file in files}
    if len(kinds) > 1:
        raise NoSource(name, f"its files are of several kinds ({', '.join(sorted(kinds))})")
    return kinds.pop(), files


def _looked_at(file: Path) -> str:
    """What a file without a known suffix is, by how it begins."""
    try:
        with file.open("rb") as opened:
            start = opened.read(64)
    except OSError as fault:
        raise NoSource(str(file), fault.strerror or str(fault)) from fault
    if start.startswith(b"SQLite format 3\0"):
        return "sqlite"
    if start.startswith(b"PAR1"):
        return "parquet"
    return "json" if start.lstrip()[:1] in (b"{", b"[") else "csv"


def read_json(engine: Engine, files: Sequence[Path], label: str, folder: Path) -> FileSide:
    """
    JSON files, an array of objects or one object after another, each value kept as the JSON it is.

    Raises:
        UnreadableLocation: a file is empty or is no such JSON.
    """
    for file in files:
        if not file.stat().st_size:
            raise UnreadableLocation(str(file), "it is empty", "a JSON file holds an array of objects, or [] for none")
    names = ", ".join(literal(exact(file)) for file in files)
    advice = "see that it is an array of objects, or one object a line, in UTF-8"
    # One level deep, nothing is guessed: only the names of the fields are looked for, in every object.
    found = _columns(
        engine,
        label,
        advice,
        f"FROM read_json([{names}], sample_size = -1, maximum_depth = 1, map_inference_threshold = -1, "
        "union_by_name = true)",
    )
    if list(found) == ["json"]:
        # What is no object gets this name, and so does nothing at all.
        with told(label, advice):
            count, objects = engine.row(
                "SELECT count(*), count(*) FILTER (json_type(json) = 'OBJECT') "
                f"FROM read_json_objects([{names}], format = 'auto')"
            )
        if objects < count:
            raise UnreadableLocation(label, "its values are no objects", advice)
        found = found if count else {}
    if not found:
        return FileSide("(SELECT 1 WHERE false)", ())
    _refuse_alike(engine, names, list(found), label, advice)
    spec = ", ".join(f"{literal(name)}: 'JSON'" for name in found)
    kept = folder / "json.parquet"
    _copy(engine, label, advice, f"FROM read_json([{names}], columns = {{{spec}}})", kept)
    source = f"read_parquet({literal(str(kept))})"
    return FileSide(source, json_readings(engine, source, list(found)))


def _refuse_alike(engine: Engine, files: str, found: Sequence[str], label: str, advice: str) -> None:
    """
    Raise where two fields of JSON files differ by case alone.

    The engine finds both, calls the second `X_1`, and then reads nothing for it.
    """
    known = {fold(name) for name in found}
    if not any(fold(made[1]) in known for name in found if (made := _RENAMED(name))):
        return
    with told(label, advice):
        keys = engine.rows(
            f"SELECT DISTINCT unnest(json_keys(json)) FROM read_json_objects([{files}], format = 'auto') ORDER BY 1"
        )
    first: dict[str, str] = {}
    for (key,) in keys:
        if (other := first.setdefault(fold(key), key)) != key:
            reason = f"its fields {other!r} and {key!r} differ by case alone"
            raise UnreadableLocation(label, reason, "rename one of the two")


def _columns(engine: Engine, label: str, advice: str, select: str) -> dict[str, str]:
    with told(label, advice):
        return engine.columns(f"SELECT * {select}")


def _copy(engine: Engine, label: str, advice: str, select: str, to: Path) -> None:
    with told(label, advice):
        engine.execute(f"COPY (SELECT * {select}) TO {literal(str(to))} (FORMAT parquet)")


@contextmanager
def told(label: str, advice: str) -> Iterator[None]:
    """Say what the engine found wrong with a file: the line and the fault, out of its page of advice."""
    try:
        yield
    except OutOfMemory:
        raise
    except EngineError as fault:
        page = str(fault.__cause__ or fault.reason)
        reason = re.sub(r"^[A-Z]\w+( [A-Z]\w+)* Error: ", "", page.splitlines()[0]).rstrip(".")
        if at := _AT.search(page):
            count = _COUNTS.search(page)
            told = next(said for words, said in _CSV_FAULTS.items() if words in page)
            found = (
                f"{plural(int(count[2]), 'value')} where there are {plural(int(count[1]), 'column')}" if count else told
            )
            reason = f"line {at[1]}: {found}"
        elif malformed := _MALFORMED.search(page):
            reason = malformed[1].strip().rstrip(".")
        raise UnreadableLocation(label, reason, advice) from fault


def read_csv(
    engine: Engine, files: Sequence[Path], label: str, folder: Path, dialects: Sequence[CsvDialect]
) -> FileSide:
    """
    CSV files with a header line, every value a text; an empty value is NULL, in quotes or not.

    Raises:
        UnreadableLocation: a row has too few or too many values, a quote is not closed, a text is no UTF-8.
    """
    columns = united([dialect.names for dialect in dialects])
    own = {name: place(at) for at, name in enumerate(dict.fromkeys(columns.values()))}
    parts: list[str] = []
    for at, (file, dialect) in enumerate(zip(files, dialects, strict=True)):
        spec = ", ".join(f"{literal(own[columns[name]])}: 'VARCHAR'" for name in dialect.names)
        kept = folder / f"csv-{at}.parquet"
        advice = f"it was read as UTF-8 with the delimiter {dialect.delimiter!r}: correct the line, or write it anew"
        # Everything is said: left alone, the engine takes a broken quote for a text, # for a comment, and passes over
        # rows that it cannot read.
        _copy(
            engine, str(file) if len(files) > 1 else label, advice,
            f"FROM read_csv({literal(exact(file))}, auto_detect = false, header = true, strict_mode = true, "
            f"delim = {literal(dialect.delimiter)}, quote = '\"', escape = {literal(dialect.escape)}, comment = '', "
            f"null_padding = false, ignore_errors = false, max_line_size = {_LONGEST_FIELD}, columns = {{{spec}}})",
            kept,
        )  # fmt: skip
        parts.append(f"SELECT * FROM read_parquet({literal(str(kept))})")
    source = f"({' UNION ALL BY NAME '.join(parts)})"
    return FileSide(source, tuple(Reading(name, None, column, ANY, column) for name, column in own.items()))


class CsvDialect:
    """How one CSV file is written: its delimiter, what escapes a quote, and its header's names."""

    def __init__(self, file: Path, delimiter: str, escape: str) -> None:
        self.delimiter, self.escape = delimiter, escape
        self.names = _header(file, delimiter, escape)
        if (name := twice(self.names)) is not None:
            raise UnreadableLocation(
                str(file), f"its header names the column {name!r} twice", "give each column a name of its own"
            )


def dialect_of(engine: Engine, file: Path, kind: str) -> CsvDialect:
    """
    The dialect of a CSV file. The header decides where it can: a delimiter that does not part it is none.

    Raises:
        UnreadableLocation: the file is empty, is no text, or names a column twice.
    """
    delimiter, escape = "\t" if kind == "tsv" else ",", '"'
    try:
        sniffed = engine.row(
            "SELECT Delimiter, Escape FROM sniff_csv(?, header = true, all_varchar = true, comment = '', skip = 0)",
            [exact(file)],
        )
    except EngineError:
        sniffed = (delimiter, escape)
    escape = "\\" if sniffed[1] == "\\" else '"'
    parting = [one for one in _DELIMITERS if len(_header(file, one, escape)) > 1]
    if kind != "tsv" and parting:
        delimiter = (
            sniffed[0] if sniffed[0] in parting else max(parting, key=lambda one: len(_header(file, one, escape)))
        )
    return CsvDialect(file, delimiter, escape)


def _header(file: Path, delimiter: str, escape: str) -> list[str]:
    """The names in the first line; one without a name is called by its place, as DuckDB does."""
    opener = gzip.open if file.name.lower().endswith(".gz") else Path.open
    try:
        # What is behind the header is read by the engine, which says the line of what is no UTF-8.
        with opener(file, "rt", encoding="utf-8-sig", errors="surrogateescape", newline="") as opened:
            reader = csv.reader(
                opened, delimiter=delimiter, doublequote=escape == '"', escapechar="\\" if escape == "\\" else None
            )
            names = next((row for row in reader if row), [])
    except (OSError, EOFError, csv.Error) as fault:
        raise UnreadableLocation(
            str(file), str(fault), "see that it is a whole CSV file, and that you may read it"
        ) from fault
    if any("\udc80" <= character <= "\udcff" for name in names for character in name):
        raise UnreadableLocation(str(file), "line 1: a text is not UTF-8", _TO_UTF_8)
    if not names:
        raise UnreadableLocation(str(file), "it is empty", "a CSV file begins with a line of column names")
    return [name or f"column{at}" for at, name in enumerate(names)]


_TO_UTF_8: Final = "convert it, for example with: iconv -f LATIN1 -t UTF-8"

"""Files as relations of the engine: CSV, JSON and Parquet, found by path or by a pattern."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dualgauge.comparison.errors import NoSource, UnreadableLocation
from dualgauge.comparison.files.names import place, united
from dualgauge.comparison.files.value_types import ANY, FileSide, Reading, json_readings
from dualgauge.engines.errors import BadValue, BrokenFile, EngineError, NoColumnNames, OutOfMemory
from dualgauge.engines.files.csv_text import csv_file, first_fault, look_into
from dualgauge.engines.files.errors import BadJson
from dualgauge.engines.parquet_files import scan
from dualgauge.model import literal

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
    from dualgauge.engines.files.json_text import read_json_texts

    for file in files:
        if not file.stat().st_size:
            raise UnreadableLocation(str(file), "it is empty", "a JSON file holds an array of objects, or [] for none")
    try:
        found = read_json_texts(engine, files, folder, alike=True)
    except BadJson as fault:
        raise UnreadableLocation(label if len(files) == 1 else str(fault.file), fault.found, fault.advice) from fault
    if not found.columns:
        return FileSide("(SELECT 1 WHERE false)", ())
    if "" in found.columns:
        raise UnreadableLocation(label, "it has a field whose name is empty", "give the field a name")
    columns = ", ".join(f"nullif({column}, 'null') AS {column}" for column in found.columns.values())
    source = f"(SELECT {columns} FROM {found.source})"
    return FileSide(source, json_readings(engine, source, found.columns))


@contextmanager
def told(label: str, advice: str) -> Iterator[None]:
    """Say what the engine found wrong, out of its page of advice."""
    try:
        yield
    except OutOfMemory:
        raise
    except EngineError as fault:
        page = str(fault.__cause__ or fault.reason)
        reason = re.sub(r"^[A-Z]\w+( [A-Z]\w+)* Error: ", "", page.splitlines()[0]).rstrip(".")
        raise UnreadableLocation(label, reason, advice) from fault


@dataclass(frozen=True, slots=True)
class CsvDialect:
    """What parts the values of a CSV file, and the names in its header."""

    delimiter: str
    names: tuple[str, ...]


def dialect_of(file: Path, kind: str, delimiter: str = "") -> CsvDialect:
    """
    The dialect of a CSV file by its header, or with a delimiter that is known.

    Raises:
        UnreadableLocation: the file is empty, is no text, or names a column twice.
    """
    delimiter = delimiter or ("\t" if kind == "tsv" else "")
    try:
        dialect, names = look_into(file, _said(delimiter), alike=True)
    except NoColumnNames as fault:
        advice = "a CSV file begins with a line of column names"
        raise UnreadableLocation(str(file), "it is empty", advice) from fault
    except BrokenFile as fault:
        advice = _TO_UTF_8 if "UTF-8" in fault.reason else "mend the line of names, or write the file anew"
        raise UnreadableLocation(str(file), f"line {fault.line}: {fault.reason}", advice) from fault
    except (OSError, EOFError) as fault:
        raise UnreadableLocation(str(file), str(fault), _WHOLE) from fault
    return CsvDialect(dialect.delimiter, names)


_TO_UTF_8: Final = "convert it, for example with: iconv -f CP1252 -t UTF-8"
_WHOLE: Final = "see that it is a whole CSV file, and that you may read it"


def _said(delimiter: str, **more: str) -> dict[str, object]:
    return {"header": True, **({"delim": delimiter} if delimiter else {}), **more}


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
        kept = folder / f"csv-{at}.parquet"
        broken = _copy_csv(engine, file, dialect, kept, [own[columns[name]] for name in dialect.names])
        if broken is not None:
            read = f"it was read as UTF-8 with the delimiter {dialect.delimiter!r}"
            reason = f"line {broken.line}: {broken.reason}"
            raise UnreadableLocation(
                str(file) if len(files) > 1 else label, reason, f"{read}: correct the line, or write it anew"
            )
        parts.append(f"SELECT * FROM {scan([kept])}")
    source = f"({' UNION ALL BY NAME '.join(parts)})"
    return FileSide(source, tuple(Reading(name, None, column, ANY, column) for name, column in own.items()))


def _copy_csv(engine: Engine, file: Path, dialect: CsvDialect, kept: Path, names: Sequence[str]) -> BrokenFile | None:
    """Copy a CSV file to Parquet, its columns under these names; what stands in it that is no row, where that fails."""
    first = None
    # Where doubled quotes give no whole file, a backslash before each may.
    for escape in ('"', "\\"):
        broken = _copied(engine, file, _said(dialect.delimiter, escape=escape), kept, names)
        if broken is None:
            return None
        first = first or broken
        if "backslash" not in broken.hint:
            break
    return first


def _copied(
    engine: Engine, file: Path, said: Mapping[str, object], kept: Path, names: Sequence[str]
) -> BrokenFile | None:
    try:
        text = csv_file(file, said, kept.with_suffix(f".{ord(str(said['escape']))}"), alike=True)
    except BrokenFile as fault:
        return fault
    except (OSError, EOFError) as fault:
        raise UnreadableLocation(str(file), str(fault), _WHOLE) from fault
    try:
        engine.execute(f"COPY (FROM {text.relation(names=names)}) TO {literal(str(kept))} (FORMAT parquet)")
    except BadValue as fault:
        if (broken := first_fault(file, text.dialect)) is None:
            raise UnreadableLocation(str(file), fault.reason, _WHOLE) from fault
        return broken
    return None

"""
JSON files, each value as the text that stands in the file.

DuckDB's own columns take numbers through DOUBLE (0.10000000000000001 is 0.1 there), and of two fields with one name
they hold the first. Only `read_json_objects` keeps an object's text: it finds the objects (lines, arrays, packed files)
and checks that they are JSON, and msgspec parts each into its fields, whose values it passes on unread; what goes are
the blanks between their parts.
"""

from __future__ import annotations

import gc
import json
import re
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
import pyarrow as pa
from msgspec.structs import astuple

from dualgauge.engines.errors import EngineError, OutOfMemory
from dualgauge.engines.files.errors import BadJson
from dualgauge.engines.files.json_lines import HALF, WHOLE, fault_of, has_lines, is_array, lines_of, without_mark
from dualgauge.engines.files.text_rows import LINES
from dualgauge.engines.parquet_schema import exact
from dualgauge.model import fold, literal

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import Self

    from dualgauge.engines.duck import Engine

_PLACE: Final = [("_part", pa.int32()), ("_row", pa.int64())]
_BATCH: Final = 2_048
_QUOTE, _NEWLINE = ord('"'), ord("\n")
_TOKEN: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)
_MALFORMED: Final = re.compile(r'Malformed JSON in file "[^"]*", at byte \d+ in \S+ \d+: ([^.]*)')
_WORDS: Final = {
    "maximum_object_size": "an object is longer than 16 MiB, which none may be", "surrogate in string": HALF,
    "input length is 0": "behind its last comma there is no value",
}  # fmt: skip
"""What a page of the engine means."""
_NAMES: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_UNFIT: Final = (msgspec.MsgspecError, RecursionError, TypeError)
"""What a text raises that has NaN, more levels than Python's stack, or no object, and what NULL does."""
_ENCODE_LINES: Final = msgspec.json.Encoder().encode_lines
_LACKING: Final = msgspec.Raw(b"")
_BLANKS: Final = (b" ", b"\t", b"\r")

_RENAME: Final = "give each a name of its own"
_NO_JSON, _UNHELD = "it is no JSON", "it has half of a surrogate pair, or more levels than can be read"


@dataclass(frozen=True, slots=True)
class Fault:
    """A line of a file, counted from 1, that gives no row, and why."""

    file: Path
    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class JsonTexts:
    """
    JSON files as a relation of the engine.

    `source` is what stands behind FROM. `columns` gives for each field, in the order in which they were met, its column
    there: a VARCHAR, the field's JSON text as it stands in the file (`null` for null) without the blanks between its
    parts, NULL where an object lacks the field. `_part` is the file's place in the list, from 0, and `_row` counts the
    objects of each file from 1, those that are faults with them. `rows` says how many rows each file has.
    """

    source: str
    columns: Mapping[str, str]
    rows: tuple[int, ...]
    faults: tuple[Fault, ...] = ()


def read_json_texts(
    engine: Engine,
    files: Sequence[Path],
    folder: Path,
    *,
    forms: Mapping[Path, str] | None = None,
    alike: bool = False,
    spelled: Collection[str] = (),
    tolerant: bool = False,
) -> JsonTexts:
    """
    Read JSON files (one object a line, one behind another, or an array of objects; also .gz) into Arrow files.

    Args:
        engine: finds the objects, and reads `source` afterwards.
        files: read in this order.
        folder: where the Arrow files go, which must stay as long as the engine is open.
        forms: how the objects stand in a file, as the engine calls it (`newline_delimited`); else as it finds.
        alike: take names that differ by case alone for two fields; they are refused otherwise.
        spelled: names that fields have elsewhere, of which another spelling is refused too.
        tolerant: give lines that hold no object as faults, and read the others; a file that has not one object a line
            is refused all the same.

    Raises:
        BadJson: a file holds something else, is cut off, or one of its objects names a field twice.
    """
    known = _Known(alike, spelled={fold(name): name for name in spelled})
    faults: list[Fault] = []
    counts: list[int] = []
    with _without_collecting(), engine.one_thread(), _Parts(folder, known.columns) as parts:
        for at, file in enumerate(files):
            wrong: dict[int, str] = {}
            form = (forms or {}).get(file, "auto")
            by_line = tolerant and (form == LINES or has_lines(file))
            counts.append(0)
            for first, texts in _objects(engine, file, folder / f"unmarked-{at}.json", form, tolerant=by_line):
                batch = _part(texts, known)
                wrong |= {first + place: reason for place, reason in batch.faults.items()}
                if wrong and not by_line:
                    raise _refused(file, form, *next(iter(wrong.items())))
                numbers = np.delete(np.arange(first, first + len(texts)), list(batch.faults))
                counts[-1] += len(numbers)
                parts.add(batch.columns, numbers, at)
            faults += [
                Fault(file, line, wrong[row] if wrong[row] != _NO_JSON else fault_of(text) or _UNHELD)
                for row, (line, text) in enumerate(lines_of(file) if wrong else (), 1)
                if row in wrong
            ]
        name = f"json_{uuid.uuid4().hex}"
        parts.register(engine, name)
    return JsonTexts(name, known.columns, tuple(counts), tuple(faults))


def _refused(file: Path, form: str, row: int, reason: str) -> BadJson:
    """The error of one object of a file, counted from 1."""
    numbers = (line for at, (line, _) in enumerate(lines_of(file), 1) if at == row)
    line = next(numbers, None) if form == LINES or has_lines(file) else None
    where = "" if line is not None else f"{'value' if reason.endswith('no object') else 'object'} {row}: "
    return BadJson(file, line, f"{where}{reason}", _RENAME if "field" in reason else WHOLE)


def _objects(
    engine: Engine, file: Path, unmarked: Path, form: str, *, tolerant: bool
) -> Iterator[tuple[int, pa.Array]]:
    """The texts of a file's objects, in batches, each with the number of its first one; NULL is a line of no JSON."""
    array = form != LINES and is_array(file)
    if form == "auto" and not array and not tolerant:
        # Seen: the engine goes by the first line, and an object over two of them is none then.
        form = "unstructured"
    name = literal(exact(without_mark(file, unmarked)))
    options = f", hive_partitioning = false{', ignore_errors = true' if tolerant else ''}"
    first = 1
    try:
        for batch in engine.stream(
            f"SELECT CAST(json AS VARCHAR) FROM read_json_objects([{name}], format = {literal(form)}{options})",
            _BATCH,
        ):
            yield first, batch.column(0)
            first += batch.num_rows
    except OutOfMemory:
        raise
    except EngineError as fault:
        page = str(fault.__cause__ or fault.reason)
        found = _MALFORMED.search(page)
        line = next((number for number, text in lines_of(file) if fault_of(text) is not None), None)
        line = line if form == LINES or has_lines(file) else None
        reason = found[1].strip() if found else page.splitlines()[0].partition(": ")[2] or page
        reason = next((words for sign, words in _WORDS.items() if sign in page), reason)
        raise BadJson(file, line, reason, WHOLE) from fault


@dataclass(slots=True)
class _Known:
    """The fields that were met, each with its column; `spelled` has them by their names without case."""

    alike: bool
    columns: dict[str, str] = field(default_factory=dict)
    spelled: dict[str, str] = field(default_factory=dict)
    _decode: Callable[[memoryview], list[Any]] | None = None

    def refused(self, names: Iterable[str]) -> str | None:
        """Note the names of one object's fields; why they are refused, or None. What is refused notes none."""
        new = [name for name in names if name not in self.columns]
        spelled: dict[str, str] = {}
        if "" in new and not self.alike:
            return "it has a field whose name is empty"
        for name in new:
            other = spelled.setdefault(fold(name), self.spelled.get(fold(name), name))
            if other != name and not self.alike:
                return f"its fields {other!r} and {name!r} differ by case alone"
        self.spelled |= spelled
        for name in new:
            self.columns[name] = f"c{len(self.columns)}"
            self._decode = None
        return None

    def copy(self) -> tuple[dict[str, str], dict[str, str]]:
        """What is noted now."""
        return dict(self.columns), dict(self.spelled)

    def restore(self, had: tuple[dict[str, str], dict[str, str]]) -> None:
        """Forget what was noted since."""
        for of, before in zip((self.columns, self.spelled), had, strict=True):
            of.clear()
            of.update(before)
        self._decode = None

    def decoder(self) -> Callable[[memoryview], list[Any]] | None:
        """What makes objects of texts, each with the raw values of its fields by their columns; None: no text fits."""
        if self._decode is None and self.columns:
            fields = [(column, msgspec.Raw, _LACKING) for column in self.columns.values()]
            names = {column: name for name, column in self.columns.items()}
            try:
                row = msgspec.defstruct("Row", fields, rename=names, forbid_unknown_fields=True, gc=False)
            except ValueError:
                # A name that has a quote or a backslash.
                return None
            self._decode = msgspec.json.Decoder(row).decode_lines
        return self._decode


@dataclass(frozen=True, slots=True)
class _Batch:
    """Fields of some objects, each an array of texts; `faults` by the place of the object, which has no place there."""

    columns: Mapping[str, pa.Array]
    faults: dict[int, str]


def _part(texts: pa.Array, known: _Known) -> _Batch:
    """Part objects into their fields."""
    whole = _parted_at_once(texts, known)
    if whole is None:
        had = known.copy()
        whole = _parted_at_once(texts, known) if known.refused(_names(texts)) is None else None
        if whole is None:
            # Of an object that is refused no name is noted.
            known.restore(had)
    if whole is not None:
        return _Batch(whole, {})
    faults: dict[int, str] = {}
    rows: list[dict[str, str]] = []
    for at, text in enumerate(texts.to_pylist()):
        row = _fields(text, lenient=known.alike) if text is not None else _NO_JSON
        if not isinstance(row, str) and (reason := known.refused(row)) is not None:
            row = reason
        if isinstance(row, str):
            faults[at] = row
        else:
            rows.append(row)
    names = dict.fromkeys(chain.from_iterable(rows))
    return _Batch({name: pa.array([row.get(name) for row in rows], pa.string()) for name in names}, faults)


def _names(texts: pa.Array) -> dict[str, None]:
    """The names of the fields of objects, in the order in which they come; none where one of the texts is no object."""
    try:
        return dict.fromkeys(chain.from_iterable(map(_NAMES, texts.to_pylist())))
    except _UNFIT:
        return {}


def _parted_at_once(texts: pa.Array, known: _Known) -> dict[str, pa.Array] | None:
    """
    The fields of objects of which each has known fields alone, and names each once; None where that is not sure.

    Of two fields with one name the decoder holds one. But then the quotes of the other one's name are missing: those of
    the values that are held, and two for each name, are all there are.
    """
    decode = known.decoder()
    if decode is None or texts.null_count:
        return None
    try:
        rows = decode(_letters(texts))
    except _UNFIT:
        return None
    if not rows or len(rows) != len(texts):
        return None
    fields = zip(*map(astuple, rows), strict=True)
    columns = {name: _column(values) for name, values in zip(known.columns, fields, strict=True)}
    quotes = sum(_quotes(one) + 2 * (len(one) - one.null_count) for one in columns.values())
    return columns if quotes == _quotes(texts) else None


def _column(values: Sequence[msgspec.Raw]) -> pa.Array:
    """Raw values as an array of texts, those that are lacking as NULL."""
    lines = _ENCODE_LINES(values)
    if (b"{" in lines or b"[" in lines) and any(map(lines.__contains__, _BLANKS)):
        lines = _ENCODE_LINES(list(map(_without_blanks, values)))
    ends = np.flatnonzero(np.frombuffer(lines, np.uint8) == _NEWLINE)
    if len(ends) > len(values):
        return _column(list(map(_without_blanks, values)))
    offsets = np.zeros(len(values) + 1, np.int32)
    offsets[1:] = ends - np.arange(len(values))
    there = np.diff(offsets) > 0
    mask = None if there.all() else pa.py_buffer(np.packbits(there, bitorder="little"))
    buffers = [mask, pa.py_buffer(offsets), pa.py_buffer(lines.replace(b"\n", b""))]
    return pa.Array.from_buffers(pa.string(), len(values), buffers)


def string_of(column: str) -> str:
    """An expression: the string that a column's JSON text is, which stands between its quotes without an escape."""
    escaped = rf"contains({column}, '\')"
    bare = f"substring({column}, 2, length({column}) - 2)"
    return f"CASE WHEN {escaped} THEN json_extract_string({column}, '$') ELSE {bare} END"


def _without_blanks(value: msgspec.Raw) -> msgspec.Raw:
    """A list or an object without the blanks between its parts; any other value as it is."""
    text = bytes(value)
    return msgspec.Raw(msgspec.json.format(text, indent=-1)) if text[:1] in (b"{", b"[") else value


def _letters(texts: pa.Array) -> memoryview:
    """The letters of an array of texts, one text behind the other."""
    offsets, letters = texts.buffers()[1:]
    first, last = np.frombuffer(offsets, np.int32)[[texts.offset, texts.offset + len(texts)]]
    return memoryview(letters or b"")[first:last]


def _quotes(texts: pa.Array) -> int:
    """How many quotes an array of texts has."""
    return int(np.count_nonzero(np.frombuffer(_letters(texts), np.uint8) == _QUOTE))


def _fields(text: str, *, lenient: bool) -> dict[str, str] | str:
    """The fields of one object, token by token, or why it is refused; `lenient`: NaN is a number."""
    if not text.startswith("{"):
        return "it is no object"
    found: dict[str, str] = {}
    depth, last, name, value = 0, "", None, ""
    for token in _TOKEN.finditer(text):
        mark = token[0]
        if not lenient and mark.lstrip("-").lower() in ("nan", "inf", "infinity"):
            return f"no JSON: {mark} is no value of it"
        if mark in "}]" and last == ",":
            return f"no JSON: a comma before {mark!r}"
        if depth == 1 and mark in ",}":
            if name is not None:
                found[name] = value
            name, value = None, ""
        elif depth == 1 and name is None:
            name = json.loads(mark)
            if name in found:
                return f"its field {name!r} is there twice"
        elif depth > 1 or (depth and (value or mark != ":")):
            value += mark
        depth += (mark in "{[") - (mark in "}]")
        last = mark
    return found


class _Parts:
    """
    Arrow files in a folder, each of columns that are known when it begins.

    `columns` grows meanwhile; a new file begins where a batch has a field that the last one lacks.
    """

    def __init__(self, folder: Path, columns: Mapping[str, str]) -> None:
        self._folder, self._columns = folder, columns
        self._files: list[Path] = []
        self._schema = pa.schema([])
        self._writer: pa.RecordBatchFileWriter | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def add(self, columns: Mapping[str, pa.Array], rows: np.ndarray[Any, Any], part: int) -> None:
        """Add the rows of a batch, of the numbers `rows` in a file."""
        if self._writer is None or len(self._columns) + len(_PLACE) > len(self._schema):
            self._close()
            self._schema = pa.schema([*_PLACE, *((name, pa.string()) for name in self._columns.values())])
            self._files.append(self._folder / f"json-{len(self._files)}.arrow")
            self._writer = pa.ipc.new_file(self._files[-1], self._schema)
        place, numbers = (
            # `pa.array` loads pandas, which takes half a second.
            pa.Array.from_buffers(kind, len(rows), [None, pa.py_buffer(one)])
            for (_, kind), one in zip(_PLACE, (np.full(len(rows), part, np.int32), rows), strict=True)
        )
        texts = [columns.get(name, pa.nulls(len(rows), pa.string())) for name in self._columns]
        self._writer.write_batch(pa.RecordBatch.from_arrays([place, numbers, *texts], schema=self._schema))

    def register(self, engine: Engine, name: str) -> None:
        """Give all rows a name in SQL."""
        self._close()
        fields = [*_PLACE, *((name, pa.string()) for name in self._columns.values())]
        engine.register_files(name, self._files, pa.schema(fields))

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._writer = None


@contextmanager
def _without_collecting() -> Iterator[None]:
    """
    Without Python's collector of cycles.

    Dicts of raw values make none, and to look for some among millions is a third of the work.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()

"""
Parquet files as one side: every value is read as it was written, or the side is refused by name.

The engine reads a DECIMAL of more than 38 digits as DOUBLE, cuts the nanoseconds off an INT96, and takes a duration for
the number that it is kept as. Files of one pattern that are unlike it casts to the type of one of them: 0.5 beside
9007199254740993 makes that 9007199254740992.0. So files are read by their layouts, and each column in a type that holds
what all of them hold.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NoReturn

from dualgauge.comparison.engine.common_types import CommonType, common_type, is_numeric
from dualgauge.comparison.engine.fetch import count_where, groups_of
from dualgauge.comparison.errors import UnreadableLocation
from dualgauge.comparison.files.exact_columns import AS_TEXT, DURATIONS, FINE, MEANT, RENAME, wide_decimals, write_exact
from dualgauge.comparison.files.names import place, twice, united
from dualgauge.comparison.files.number_text import number_text
from dualgauge.comparison.files.read_files import told
from dualgauge.comparison.files.value_types import FileSide, Reading, typed_reading
from dualgauge.engines.endless import WHAT, endless_file
from dualgauge.engines.parquet_files import parquet, scan
from dualgauge.engines.parquet_schema import ALIKE, UNNAMED, arrow_schemas, cut, schema_columns, schemas, twice_inside
from dualgauge.engines.plain_arrow import bare, means_more
from dualgauge.engines.plain_arrow import held as held_in
from dualgauge.model import quote

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pyarrow as pa

    from dualgauge.engines.duck import Engine

_WHOLE_FILE: Final = "see that it is a whole Parquet file"
_ONE_TYPE: Final = "write the files with one type, or compare them one by one"


@dataclass(slots=True)
class _Part:
    """
    Files of one layout: a FROM of the engine, and the types of its columns, by what the engine calls them.

    `cut` are the columns that the engine would cut; `texts` those that are read as texts of numbers. `spelt` says what
    the engine calls each column of the files, `names` what it calls each column of the side that is there.
    """

    files: list[Path]
    fields: dict[str, str]
    source: str = ""
    cut: dict[str, str] = field(default_factory=dict)
    spelt: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    texts: set[str] = field(default_factory=set)

    def select(self, name: str) -> str | None:
        """A column's name in SQL, where there is one."""
        return quote(self.names[name]) if name in self.names else None


def read_parquet(engine: Engine, files: Sequence[Path], label: str, folder: Path) -> FileSide:
    """
    Parquet files, read in place but for columns that the engine would cut; those go to `folder`.

    Raises:
        UnreadableLocation: one is no Parquet file, has a column twice or without a name, or times that would be read as
            infinite; or columns of one name have no common type.
    """
    with told(label, _WHOLE_FILE):
        whole = _parts(engine, files)
        called = united([list(part.spelt) for part in whole])
        for part in whole:
            part.names = {called[name]: own for name, own in part.spelt.items()}
        parts = [one for at, part in enumerate(whole) for one in _uncut(engine, part, folder / f"exact-{at}")]
    names = list(dict.fromkeys(called.values()))
    # Called by place: the engine takes x and X for one name.
    in_place = len(parts) == 1 and not parts[0].texts
    held = {name: _held(parts, name, label) for name in names}
    lost = _lost(engine, parts, held)
    columns = [
        _column(
            parts, name, held[name], quote(parts[0].names[name]) if in_place else place(at), label, lost=name in lost
        )
        for at, name in enumerate(names)
    ]
    selects = [
        f"SELECT {', '.join(f'{column.expressions[at]} AS {place(of)}' for of, column in enumerate(columns))} "
        f"FROM {part.source}"
        for at, part in enumerate(parts)
    ]
    return FileSide(
        parts[0].source if in_place else f"({' UNION ALL '.join(selects)})",
        tuple(column.reading for column in columns),
        {
            name: next(part.files[0] for part in parts if name not in part.names)
            for name in names
            if any(name not in part.names for part in parts)
        },
    )


# Layouts.


def _parts(engine: Engine, files: Sequence[Path]) -> list[_Part]:
    """The files by their layouts, each in the order in which it comes first."""
    trees = schemas(engine, files)
    durations = {name: _durations(name, schema) for name, schema in arrow_schemas(engine, files)}
    found: dict[object, _Part] = {}
    for file in files:
        rows, spans = trees[str(file)], durations.get(str(file), {})
        key = (tuple(rows), tuple(spans.items()))
        if key in found:
            found[key].files.append(file)
            continue
        found[key] = part = _Part([file], {})
        columns = schema_columns(rows)
        names = [tree[0][0] for tree in columns]
        _refuse_names(file, names)
        # The engine calls the second of two names that differ in case otherwise.
        kinds = engine.columns(f"SELECT * FROM {scan([file])}")
        part.fields = kinds
        part.spelt = dict(zip(names, kinds, strict=True))
        for name, tree in zip(names, columns, strict=True):
            if pair := twice_inside(tree):
                reason = f"its column {name!r} has fields {pair[0]!r} and {pair[1]!r}{ALIKE}"
                raise UnreadableLocation(str(file), reason, RENAME)
            if what := cut(tree) or ("a duration" if name in spans else ""):
                if len(tree) > 1:
                    _refuse_nested(file, name, what)
                if part.spelt[name] != name:
                    reason = f"its column {name!r} holds {what} and differs from another one by case alone"
                    raise UnreadableLocation(str(file), reason, "rename one of the two")
                part.cut[name] = spans.get(name, what)
    for part in found.values():
        part.source = f"({parquet(part.files, part.fields)})"
        if times := endless_file(engine, part.files, part.fields):
            raise UnreadableLocation(str(times[0]), f"its column {times[1]!r} holds {WHAT}", "write NULL, or a text")
    return list(found.values())


def _refuse_names(file: Path, names: Sequence[str]) -> None:
    if "" in names:
        raise UnreadableLocation(str(file), UNNAMED, "give it one")
    if (double := twice(names)) is not None:
        raise UnreadableLocation(str(file), f"it has two columns {double!r}", "give each column a name of its own")


def _durations(file: str, schema: pa.Schema) -> dict[str, str]:
    """The unit of each column that holds durations, by the Arrow schema that a file keeps."""
    import pyarrow as pa

    for one in schema:
        if name := means_more(one):
            raise UnreadableLocation(file, f"its column {one.name!r} is {name}{MEANT}", AS_TEXT)
    kinds = {one.name: bare(one.type) for one in schema}
    return {
        name: kind.unit if pa.types.is_duration(kind) else "a duration"
        for name, kind in kinds.items()
        if any(map(pa.types.is_duration, held_in(kind)))
    }


def _refuse_nested(file: Path, name: str, what: str) -> NoReturn:
    raise UnreadableLocation(
        str(file), f"its column {name!r} holds {what} inside a list or a struct, of which digits would be lost",
        "write it as a column of its own, or as text",
    )  # fmt: skip


# Columns that the engine would cut.


def _uncut(engine: Engine, part: _Part, folder: Path) -> list[_Part]:
    """The part, or a part a file where columns are read by hand."""
    spans = {name: unit for name, unit in part.cut.items() if unit in DURATIONS}
    for name, unit in spans.items():
        fine = f"SELECT count(*) FILTER ({quote(name)} % 1000 <> 0) FROM {part.source}"
        if unit == "ns" and engine.row(fine)[0]:
            advice = "write them as whole numbers"
            raise UnreadableLocation(str(part.files[0]), f"its column {name!r} {FINE}", advice)
    replaced = ", ".join(f"{DURATIONS[unit].format(quote(name))} AS {quote(name)}" for name, unit in spans.items())
    every = f"* REPLACE ({replaced})" if spans else "*"
    fields = part.fields | dict.fromkeys(spans, "INTERVAL")
    by_hand = [name for name in part.cut if name not in spans]
    if not by_hand:
        if spans:
            part.source, part.fields = f"(SELECT {every} FROM {part.source})", fields
        return [part]
    folder.mkdir()
    without = {name: kind for name, kind in part.fields.items() if name not in by_hand}
    found = []
    for at, file in enumerate(part.files):
        kept = folder / f"{at}.parquet"
        kinds = write_exact(file, by_hand, kept)
        # Row beside row: both are read in the order in which they were written.
        rest = f"(SELECT {every} FROM ({parquet([file], without)})) _a POSITIONAL JOIN " if without else ""
        source = f"(SELECT * FROM {rest}(SELECT {', '.join(map(quote, by_hand))} FROM {scan([kept])}) _b)"
        one = _Part([file], {**fields, **kinds}, source, names=part.names)
        one.texts = {name for name, own in part.names.items() if own in by_hand and own in wide_decimals(part.cut)}
        found.append(one)
    return found


# A column in all parts.


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of the side: what it is in each part, and how it is read."""

    reading: Reading
    expressions: list[str]


@dataclass(frozen=True, slots=True)
class _Held:
    """
    What the parts hold of a column: the type and the value by part, and a type for all.

    `texts` says that some part has it as texts of numbers, `numbers` that all of them have numbers, and `asked` that
    only its values say whether the type holds them.
    """

    kinds: dict[int, str]
    values: list[str]
    common: CommonType
    texts: bool
    numbers: bool

    @property
    def asked(self) -> bool:
        return (self.texts or self.common.risky) and self.common.name != "VARCHAR"


def _held(parts: Sequence[_Part], name: str, label: str) -> _Held:
    kinds = {at: part.fields[part.names[name]] for at, part in enumerate(parts) if name in part.names}
    values = [part.select(name) or "NULL" for part in parts]
    texts = any(name in part.texts for part in parts)
    distinct = list(dict.fromkeys(kinds.values()))
    numbers = all(is_numeric(kind) or name in parts[at].texts for at, kind in kinds.items())
    common = _common(distinct)
    if texts and numbers and "VARCHAR" in distinct:
        common = CommonType("VARCHAR")
    if common is None or (texts and not numbers):
        unlike = ", ".join(f"{parts[at].files[0].name} has {kind}" for at, kind in kinds.items())
        raise UnreadableLocation(label, f"the column {name!r} is of unlike types ({unlike})", _ONE_TYPE)
    return _Held(kinds, values, common, texts, numbers)


def _column(parts: Sequence[_Part], name: str, held: _Held, column: str, label: str, *, lost: bool) -> _Column:
    kinds, values, common = held.kinds, held.values, held.common
    distinct = list(dict.fromkeys(kinds.values()))
    if len(distinct) == 1 and not held.texts:
        return _Column(typed_reading(name, distinct[0], column), values)
    if held.numbers and (held.texts or common.risky):
        # What is read by hand is such a text already.
        spelt = [
            number_text(value, "VARCHAR" if name in parts[at].texts else kinds.get(at, "VARCHAR"))
            for at, value in enumerate(values)
        ]
        kind = "VARCHAR" if lost else common.name
        reading = Reading(name, kind, f"CAST({column} AS {kind})", text=column, of_numbers=kind == "VARCHAR")
        return _Column(reading, spelt)
    if lost:
        raise UnreadableLocation(
            label, f"the column {name!r} is {' and '.join(distinct)}, and {common.name} does not hold all values of it",
            _ONE_TYPE,
        )  # fmt: skip
    return _Column(typed_reading(name, common.name, column), [f"CAST({one} AS {common.name})" for one in values])


def _common(kinds: Sequence[str]) -> CommonType | None:
    """The type that a value of each type can be cast to; risky where some may not survive it."""
    found = CommonType(kinds[0])
    for kind in kinds[1:]:
        nested = kind != found.name and any(one.endswith("]") or ("(" in one and not is_numeric(one)) for one in kinds)
        both = common_type(found.name, kind)
        # Of two structs the common type may be what both have, and a side has to be read whole.
        if both is None or (nested and (both.apart or both.risky)):
            return None
        found = CommonType(both.name, found.risky or both.risky)
    return found


def _lost(engine: Engine, parts: Sequence[_Part], held: dict[str, _Held]) -> set[str]:
    """The columns of which some value is another one after it was cast to the type for all and back."""
    lost: set[str] = set()
    asked = [name for name, one in held.items() if one.asked]
    for at, part in enumerate(parts):
        # Many at a time: to open a file of thousands of columns takes longer than to look at one of them.
        for group in groups_of([name for name in asked if at in held[name].kinds]):
            counts = []
            for name in group:
                one = held[name]
                value = f"CAST({one.values[at]} AS {one.kinds[at]})"
                back = f"TRY_CAST(TRY_CAST({value} AS {one.common.name}) AS {one.kinds[at]})"
                counts.append(count_where(f"{value} IS DISTINCT FROM {back}"))
            row = engine.row(f"SELECT {', '.join(counts)} FROM {part.source}")
            lost |= {name for name, count in zip(group, row, strict=True) if count}
    return lost

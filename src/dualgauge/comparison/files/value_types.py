"""
The types of what has none of its own: texts of CSV files, values of JSON files.

A column of such a file is typed by the values of both sides together. A sniffer that looks at one file at a time
would make numbers of one side and texts of the other, because of one value, and call every row different. A type is
chosen only where every value is written as that type is written: 007 and +5 are texts, and stay what they are.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from dualgauge.comparison.engine.common_types import FLOATS, common_type, is_numeric, is_time
from dualgauge.comparison.files.loose_types import escaped
from dualgauge.comparison.files.number_text import NUMBER, PLAIN_POWER, number_text, plain_number, plain_power
from dualgauge.engines.files.json_text import string_of
from dualgauge.model import fold, literal, quote

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from dualgauge.engines.duck import Engine

_SAMPLE: Final = 5_000
_WIDEST: Final = 38
_NULL: Final = '"NULL"'
_LONG: Final = "number of any length"
"""A number that no type of the engine holds, kept as a text: so are all of its column, and those beside them."""

_NEAREST: Final = "nearest DOUBLE"
"""A number under a tolerance, where no type holds its last digits."""

_WRITTEN: Final = "DOUBLE as it is written"
"""A text beside DOUBLEs: the shortest that is read as its number, or that of seventeen digits."""

_TIMESTAMPTZ: Final = "TIMESTAMP WITH TIME ZONE"

# The exponent has a sign or a point before it, as programs write it: 1e5 is more often a code than a number.
_NO_DIGITS: Final = "-?(inf|Inf|infinity|Infinity)|nan|NaN"
_FLOAT: Final = rf"{NUMBER}([eE][+-][0-9]+)?|-?(0|[1-9][0-9]*)\.[0-9]+[eE][0-9]+|{_NO_DIGITS}"
_DAY: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_CLOCK: Final = r"[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6}0*)?)?"
_ZONE: Final = r"(Z|[+-][0-9]{2}(:?[0-9]{2})?)"

_SIGNIFICANT: Final = "trim(regexp_replace({0}, '[eE].*$|[^0-9]', '', 'g'), '0')"
_DOUBLE: Final = "TRY_CAST({0} AS DOUBLE)"
_SHORT: Final = f"CAST({_DOUBLE} AS VARCHAR)"
_PLAIN: Final = "length({0}) <= 15 AND NOT contains({0}, 'e') AND NOT contains({0}, 'E')"
_OF_SEVENTEEN: Final = f"printf('%.17g', {_DOUBLE})"


def _matches(pattern: str) -> str:
    return f"regexp_full_match({{0}}, {literal(pattern).replace('{', '{{').replace('}', '}}')})"


def _double(*also: str) -> str:
    """
    The condition that a text is the shortest one of its DOUBLE, or has the significant digits of another one of it.

    One arm after the other: most texts that a program wrote are decided by the first. Fifteen digits are always the
    shortest text of their DOUBLE; only an exponent could take it out of range.
    """
    digits = " OR ".join(f"{_SIGNIFICANT.format(text)} = {_SIGNIFICANT}" for text in (_SHORT, *also))
    return (
        f"CASE WHEN {_SHORT} = {{0}} THEN true WHEN NOT {_matches(_FLOAT)} THEN false "
        f"WHEN {_PLAIN} THEN true ELSE {digits} END"
    )


_FITS: Final[Mapping[str, str]] = {
    "BIGINT": "CAST(TRY_CAST({0} AS BIGINT) AS VARCHAR) = {0}",
    "DECIMAL": _matches(NUMBER),
    # Of two numbers, each the shortest text of its DOUBLE, no two are one DOUBLE.
    "DOUBLE": _double(),
    _WRITTEN: _double(_OF_SEVENTEEN),
    _NEAREST: f"{_matches(_FLOAT)} AND NOT (isinf({_DOUBLE}) AND {_SIGNIFICANT} <> '')",
    _LONG: _matches(_FLOAT),
    "BOOLEAN": "lower({0}) IN ('true', 'false')",
    "DATE": f"{_matches(_DAY)} AND TRY_CAST({{0}} AS DATE) IS NOT NULL",
    "TIMESTAMP": f"{_matches(f'{_DAY}([ T]{_CLOCK})?')} AND TRY_CAST({{0}} AS TIMESTAMP) IS NOT NULL",
    _TIMESTAMPTZ: f"{_matches(f'{_DAY}[ T]{_CLOCK}{_ZONE}')} AND TRY_CAST({{0}} AS TIMESTAMPTZ) IS NOT NULL",
}
"""For each type, the condition that a text is written as a value of it."""

_NUMBERS: Final = ("BIGINT", "DECIMAL", "DOUBLE", _LONG)
_TIMES: Final = ("DATE", "TIMESTAMP", _TIMESTAMPTZ)
ANY: Final = (*_NUMBERS, "BOOLEAN", *_TIMES)
"""What a text of a CSV file may be; tried in this order."""

STRINGS: Final = _TIMES
"""What a string of a JSON file may be: a number is written without quotes there."""


@dataclass(frozen=True, slots=True)
class Reading:
    """
    How one column of one side is read.

    `kind` None: a text whose type is not chosen yet, and `may_be` what it may become. `text` reads the value as it
    stands in a file without types; `told` reads one of SQLite's as a text that also says what it is, and
    `mixed` that its values are of several types; `raw` reads it as the JSON that it was, where `is_json` says that it
    was read from JSON, or as the JSON that it would be, and `nested` says that it holds nothing but lists and objects.
    `of_numbers` says that its texts are numbers, each spelt in one way, and `json_numbers` that all its JSON is.
    """

    name: str
    kind: str | None
    expression: str
    may_be: tuple[str, ...] = ()
    text: str | None = None
    raw: str | None = None
    is_json: bool = False
    nested: bool = False
    told: str | None = None
    mixed: bool = False
    of_numbers: bool = False
    json_numbers: bool = False

    @property
    def select(self) -> str:
        """What stands in the SELECT of the side."""
        return f"{self.expression} AS {quote(self.name)}"


@dataclass(frozen=True, slots=True)
class FileSide:
    """
    One side: a FROM of the engine, and its columns.

    `lacking` are columns that not all of its files have, each with a file that lacks it.
    """

    source: str
    readings: tuple[Reading, ...]
    lacking: Mapping[str, Path] = field(default_factory=dict)

    def renamed(self, names: Mapping[str, str]) -> FileSide:
        """The side with its columns called otherwise; they are read as before."""
        return replace(self, readings=tuple(replace(one, name=names[one.name]) for one in self.readings))

    @property
    def sql(self) -> str:
        """The side as one SELECT; what is still a text stays one."""
        return f"SELECT {', '.join(one.select for one in self.readings)} FROM {self.source}"


@dataclass(slots=True)
class _Question:
    """Which of the types all texts have; `texts` by side. What is ruled out is taken away, the best stays first."""

    texts: Mapping[int, str]
    types: list[str]
    measured: str = ""


def settle(engine: Engine, v1: FileSide, v2: FileSide, near: Collection[str] = ()) -> tuple[FileSide, FileSide]:
    """
    Give each column of both sides its type, the two of one name together.

    `near` are the columns under a tolerance, in small letters: numbers that no type holds are the nearest DOUBLE there.
    """
    engine.define(PLAIN_POWER, plain_power)
    there = {fold(one.name): one for one in v2.readings}
    sources = (v1.source, v2.source)
    pairs = [(one, there[fold(one.name)]) for one in v1.readings if fold(one.name) in there]
    questions = {a.name: question for a, b in pairs if (question := _question(a, b)) is not None}
    for name, question in questions.items():
        if fold(name) in near and _LONG in question.types:
            question.types[question.types.index(_LONG)] = _NEAREST
    _answer(engine, sources, list(questions.values()))
    types = {name: question.measured or "VARCHAR" for name, question in questions.items()}
    found: tuple[dict[str, Reading], dict[str, Reading]] = ({}, {})
    for a, b in pairs:
        both = (_as_json(a), _as_json(b)) if _by_content(a, b) else _agreed(a, b, types.get(a.name))
        found[0][a.name], found[1][b.name] = both
    first, second = (
        replace(side, readings=tuple(chosen.get(one.name, one) for one in side.readings))
        for side, chosen in zip((v1, v2), found, strict=True)
    )
    return first, second


def _question(a: Reading, b: Reading) -> _Question | None:
    """What must be looked at before a pair can be typed."""
    if _by_content(a, b):
        return None
    if a.kind is None and b.kind is None:
        return _Question(
            {0: a.expression, 1: b.expression}, [one for one in ANY if one in a.may_be and one in b.may_be]
        )
    for at, (one, other) in enumerate(((a, b), (b, a))):
        if one.kind is None and other.kind == _NULL:
            return _Question({at: one.expression}, list(one.may_be))
        if other.kind is None or _may_be_json(one, other):
            continue
        if one.kind is None:
            # PostgreSQL writes bytes as \\x00ff, of which the engine would read the first alone as hex.
            bytes_as_text = other.kind == "BLOB" and other.text is not None and other.told is None
            if other.of_numbers:
                return _Question({at: one.expression}, [_LONG] if _LONG in one.may_be else [])
            return _Question({at: one.expression}, [] if bytes_as_text else _wanted(other.kind, one.may_be))
    return None


def _wanted(kind: str, may_be: Sequence[str]) -> list[str]:
    """The types that a text may take beside a column that has one."""
    if kind in FLOATS:
        return [_WRITTEN if kind == "DOUBLE" else kind, _LONG] if "DOUBLE" in may_be else []
    if is_numeric(kind):
        return [one for one in _NUMBERS if one in may_be]
    if is_time(kind):
        return [*(one for one in _TIMES if one in may_be), kind]
    if kind in ("VARCHAR", "UUID", "JSON") or kind.startswith("ENUM("):
        return []
    return [kind]


def _fits(kind: str, text: str) -> str:
    condition = _FITS.get(_WRITTEN if kind in FLOATS else kind)
    return f"TRY_CAST({text} AS {kind}) IS NOT NULL" if condition is None else condition.format(text)


def _answer(engine: Engine, sources: Sequence[str], questions: Sequence[_Question]) -> None:
    """Leave each question the type that every text fits: first by some rows, then, best first, by all."""
    _rule_out(engine, [f"(FROM {source} LIMIT {_SAMPLE})" for source in sources], questions, most=len(ANY))
    while left := [one for one in questions if one.types and not one.measured]:
        before = [one.types[0] for one in left]
        _rule_out(engine, sources, left, most=1)
        for question, kind in zip(left, before, strict=True):
            if question.types and question.types[0] == kind:
                question.measured = _measured(engine, sources, question)
                if not question.measured:
                    question.types.remove(kind)


def _rule_out(engine: Engine, sources: Sequence[str], questions: Sequence[_Question], *, most: int) -> None:
    """Take away the types, among the first `most` of each question, that some text does not fit, or all lack."""
    gone: set[tuple[int, str]] = set()
    for at, source in enumerate(sources):
        asked = [
            (number, kind, question.texts[at])
            for number, question in enumerate(questions)
            if at in question.texts
            for kind in question.types[:most]
        ]
        if not asked:
            continue
        counts = [
            f"count(*) FILTER ({text} IS NOT NULL AND ({_fits(kind, text)}) IS NOT TRUE)" for _, kind, text in asked
        ]
        row = engine.row(f"SELECT {', '.join(counts)} FROM {source}")
        gone |= {(number, kind) for (number, kind, _), count in zip(asked, row, strict=True) if count}
    for number, question in enumerate(questions):
        question.types = [kind for kind in question.types if (number, kind) not in gone]


def _measured(engine: Engine, sources: Sequence[str], question: _Question) -> str:
    """The type found; a DECIMAL with the digits that the texts have, or "" where none has so many."""
    if question.types[0] != "DECIMAL":
        return question.types[0]
    whole, scale = 1, 0
    for at, text in question.texts.items():
        digits = f"ltrim({text}, '-')"
        row = engine.row(
            f"SELECT max(length(split_part({digits}, '.', 1))), max(length(split_part({digits}, '.', 2))) "
            f"FROM {sources[at]}"
        )
        whole, scale = max(whole, row[0] or 0), max(scale, row[1] or 0)
    return f"DECIMAL({max(18, whole + scale)},{scale})" if whole + scale <= _WIDEST else ""


# Beside a column of UUIDs, a text that is one is that one, written as PostgreSQL takes it: in capitals, in braces.
_UUID: Final = (
    "CASE WHEN regexp_full_match({0}, '[{{]?([0-9a-fA-F]{{4}}-?){{7}}[0-9a-fA-F]{{4}}[}}]?') "
    "THEN coalesce(CAST(TRY_CAST({0} AS UUID) AS VARCHAR), {0}) ELSE {0} END"
)


def _agreed(a: Reading, b: Reading, found: str | None) -> tuple[Reading, Reading]:
    """The two readings of a pair, with types that can be compared where there are such."""
    if _may_be_json(a, b) and (a.kind is None) != (b.kind is None) and _NULL not in (a.kind, b.kind):
        return _as_json(a), _as_json(b)
    written = [_says_no_type(one) for one in (a, b)]
    a, b = (_typed(one, found or "VARCHAR") for one in (a, b))
    a, b = _as_texts(a, b, written)
    if {a.kind, b.kind} == {"UUID", "VARCHAR"}:
        a, b = (
            replace(one, expression=_UUID.format(one.expression)) if one.kind == "VARCHAR" else one for one in (a, b)
        )
    if common_type(str(a.kind), str(b.kind)) is None:
        if _may_be_json(a, b):
            return _as_json(a), _as_json(b)
        if a.told is not None and b.told is not None:
            return _as_text(a, a.told), _as_text(b, b.told)
        # A text that says no type is a number's as well; one that has a type is a text.
        if a.kind == "VARCHAR" and b.text is not None and (written[0] or b.is_json):
            b = _as_text(b, b.text)
        elif b.kind == "VARCHAR" and a.text is not None and (written[1] or a.is_json):
            a = _as_text(a, a.text)
    elif a.mixed or b.mixed:
        a, b = (_beside(one, plain=any(written)) for one in (a, b))
    return a, b


def _may_be_json(a: Reading, b: Reading) -> bool:
    """Whether both can be read as JSON, and one was; as JSON, the date of a typed side is a text of its letters."""
    return a.raw is not None and b.raw is not None and (a.is_json or b.is_json)


def _by_content(a: Reading, b: Reading) -> bool:
    """
    Whether two readings are compared as the JSON that they are, whatever their values.

    So are lists and objects: as structs a field that is missing would be one that is null. So are numbers beside texts.
    """
    if not _may_be_json(a, b):
        return False
    return (a.nested and b.nested) or (a.kind is None and b.kind is None and a.json_numbers != b.json_numbers)


def _says_no_type(one: Reading) -> bool:
    """Whether a text may be a number as well: one of a CSV file."""
    return one.raw is None and one.kind is None


def _as_texts(a: Reading, b: Reading, written: Sequence[bool]) -> tuple[Reading, Reading]:
    """Two readings in the texts in which they are compared, where they are; `written` as `_says_no_type` has it."""
    if a.of_numbers or b.of_numbers:
        return _beside_numbers(a, b, plain=written[1]), _beside_numbers(b, a, plain=written[0])
    if any(written) and a.kind == b.kind == "VARCHAR":
        # As the database writes it, and a file with it.
        return _as_text(a, a.text or a.expression), _as_text(b, b.text or b.expression)
    return a, b


def _beside_numbers(one: Reading, other: Reading, *, plain: bool) -> Reading:
    """
    One of two readings of which one at least is of texts of numbers; `plain`: the other one says no type.

    Numbers become such texts too. Beside what is no number it gets a type that has none in common with any other, so
    that the schema names the column: as texts, 5 and '5' would be one.
    """
    if not one.of_numbers:
        kind = str(one.kind)
        return _as_text(one, number_text(one.expression, kind)) if is_numeric(kind) else one
    if plain and not other.of_numbers and other.kind == "VARCHAR":
        return _as_text(one, one.text or one.expression)
    if other.of_numbers or other.kind == _NULL or is_numeric(str(other.kind)):
        return one
    packed = f"struct_pack({quote(_LONG)} := {one.expression})"
    expression = f"CASE WHEN {one.expression} IS NOT NULL THEN {packed} END"
    return replace(one, kind=f"STRUCT({quote(_LONG)} VARCHAR)", expression=expression)


def _as_text(one: Reading, expression: str) -> Reading:
    return replace(one, kind="VARCHAR", expression=expression)


def _beside(one: Reading, *, plain: bool) -> Reading:
    """One of two texts of which at least one is of several types; `plain`: the other one says nothing of types."""
    if plain:
        return _as_text(one, one.text or one.expression)
    return _as_text(one, one.told or escaped(one.expression))


def _typed(one: Reading, kind: str) -> Reading:
    if one.kind is not None:
        return one
    if kind == _LONG:
        return replace(one, kind="VARCHAR", expression=plain_number(one.expression), of_numbers=True)
    if kind in (_WRITTEN, _NEAREST):
        kind = "DOUBLE"
    expression = one.expression if kind == "VARCHAR" else f"CAST({one.expression} AS {kind})"
    return replace(one, kind=kind, expression=expression)


def _as_json(one: Reading) -> Reading:
    return replace(one, kind="JSON", expression=str(one.raw))


# By the first character, which says it all.
_JSON_KINDS: Final[Mapping[str, str]] = {
    "number": "left({0}, 1) NOT IN ('\"', '[', '{{', 't', 'f')",
    "string": "left({0}, 1) = '\"'",
    "truth": "left({0}, 1) IN ('t', 'f')",
    "nested": "left({0}, 1) IN ('[', '{{')",
    # As a program writes it, the exponent has a sign; in JSON 1e5 is a number all the same.
    "bare": "left({0}, 1) NOT IN ('\"', '[', '{{', 't', 'f') AND regexp_matches({0}, '[eE][0-9]')",
}


def typed_reading(name: str, kind: str, column: str) -> Reading:
    """How a column is read that has a type; lists and structs can be read as JSON, beside a JSON file's."""
    # Bytes are no JSON: their text there would be the same as a text of those letters.
    if (kind.endswith("]") or kind.startswith("STRUCT(")) and "BLOB" not in kind:
        return Reading(name, kind, column, raw=f"to_json({column})", nested=True)
    return Reading(name, kind, column)


def json_readings(engine: Engine, source: str, columns: Mapping[str, str]) -> tuple[Reading, ...]:
    """How the columns of a JSON file are read: by what their values are. `columns` are JSON texts, by their names."""
    counts = [
        f"count(*) FILTER ({test.format(column)})" for column in columns.values() for test in _JSON_KINDS.values()
    ]
    row = iter(engine.row(f"SELECT {', '.join(counts)} FROM {source}"))
    return tuple(
        _json_reading(name, column, {kind for kind in _JSON_KINDS if next(row)}) for name, column in columns.items()
    )


def _json_reading(name: str, column: str, held: set[str]) -> Reading:
    string = string_of(column)
    text = f"CASE WHEN left({column}, 1) = '\"' THEN {string} ELSE {column} END"
    raw = f"CAST({column} AS JSON)"
    match sorted(held - {"bare"}):
        case []:
            return Reading(name, _NULL, "NULL", text=text, raw=raw, is_json=True)
        case ["string"]:
            return Reading(name, None, string, STRINGS, text, raw, is_json=True)
        case ["number"]:
            signed = rf"regexp_replace({column}, '([eE])([0-9])', '\1+\2')" if "bare" in held else column
            return Reading(name, None, signed, _NUMBERS, text, raw, is_json=True, json_numbers=True)
        case ["truth"]:
            return Reading(name, "BOOLEAN", f"CAST({column} AS BOOLEAN)", text=text, raw=raw, is_json=True)
        case kinds:
            return Reading(name, "JSON", raw, text=text, raw=raw, is_json=True, nested=kinds == ["nested"])

"""
The types that columns of text have: those that all of their values are written in, over every row.

A number is exact or a text. DECIMAL is never reached through a DOUBLE; a column is DOUBLE only where each of its texts
is the shortest one of its DOUBLE, so that nothing is said that was not there, and nothing is lost. What may be a code
(`007`, `1E5`, `+5`, `1_000`) is a text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from dualgauge.engines.errors import BadDialect
from dualgauge.model import fold, listed, literal, quote

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, Self

    from dualgauge.engines.duck import Engine

_SAMPLE: Final = 2_048
"""Rows by which most types are ruled out; what is left is held against all rows."""

_WIDEST: Final = 38
_WIDE: Final = 18
_ROOM: Final = 15
"""Digits up to which a DECIMAL has 18, with room for larger values to come; above it has all that there are."""

_DIGITS: Final = r"(0|[1-9][0-9]*)"
_POINT: Final = rf"({_DIGITS}(\.[0-9]+)?|\.[0-9]+)"
_DAY: Final = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_CLOCK: Final = r"[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?"
_ZONE: Final = r" ?(Z|[+-][0-9]{2}(:?[0-9]{2})?)"
_WHOLE: Final = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "HUGEINT")
NUMBER: Final = "number"
"""What is written as a number of any length: no type of SQL, and nothing that may be said of a column."""

NAN: Final = "nan"
"""What is said of a column of nothing but nan and infinity: one of numbers, or of texts, for Nan is a name, too."""

NUMBERS: Final = ("BIGINT", "DECIMAL", "DOUBLE", NUMBER)
"""Those of any size come last."""

_PATTERNS: Final[Mapping[str, str]] = {
    "BOOLEAN": "(?i:true|false)",
    **dict.fromkeys(_WHOLE, f"-?{_DIGITS}"),
    "DECIMAL": f"-?{_POINT}",
    # 1E5 is a code more often than a number; one with a point or a signed exponent is no code.
    **dict.fromkeys(NUMBERS[2:], rf"(?i:-?({_POINT}(e[+-][0-9]+)?|{_DIGITS}\.[0-9]+e[0-9]+|inf(inity)?)|nan)"),
    "DATE": _DAY,
    "TIMESTAMP": f"{_DAY}([ T]{_CLOCK})?",
    "TIMESTAMPTZ": f"{_DAY}[ T]{_CLOCK}{_ZONE}",
    "TIME": f"{_CLOCK}",
}
TIMES: Final = ("DATE", "TIMESTAMP", "TIMESTAMPTZ", "TIME")
CANDIDATES: Final = ("BOOLEAN", *NUMBERS[:3], *TIMES)
"""The types that are tried, the narrowest first."""

_SAID: Final = ("VARCHAR", "BOOLEAN", "BIGINT", "DOUBLE", *TIMES, "DECIMAL(p,s)")
"""The types that may be said of a column."""
_SIZES: Final = re.compile(r"DECIMAL\(([0-9]{1,2}), *([0-9]{1,2})\)")

_NUMBER: Final = r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,9})?"
_NO_NUMBER: Final = "(?i:nan|[+-]?inf(inity)?)"
_MOST_OF_DOUBLE: Final = 17
_ANY_ZONE: Final = r"([zZ]|[+-]([01]?[0-9]|2[0-3])(:?[0-5][0-9]){0,2}|[A-Za-z][A-Za-z0-9_/+-]*)"
_NO_OFFSET: Final = r"([zZ]|(?i:utc)|[+-]00?(:?00){0,2})"
"""What stands behind a clock and says that it is UTC's: another one a time without a zone would lose."""

_LAST: Final = (
    "(TRY_CAST(coalesce(nullif(split_part(_text, 'e', 2), ''), '0') AS BIGINT) "
    "- length(split_part(_front, '.', 2)) + length(_all) - length(rtrim(_all, '0')))"
)
"""Its last digit's exponent, of what `_apart` gives: of e and nothing behind it none; no number's is longer."""


@dataclass(frozen=True, slots=True)
class Spelling:
    """
    How values are written in a file: formats of `strptime`, empty for ISO 8601, and what parts a fraction off.

    `said` are the columns, by their names in small letters, whose type is said, and not that of what was found in them.
    """

    date: str = ""
    timestamp: str = ""
    decimal: str = "."
    said: frozenset[str] = frozenset()

    @classmethod
    def of(cls, read: Mapping[str, Any]) -> Self:
        """As the options of a reader say."""
        date, timestamp = read.get("dateformat", ""), read.get("timestampformat", "")
        return cls(
            date, timestamp, str(read.get("decimal_separator", ".")), frozenset(map(fold, read.get("types", ())))
        )

    def format_of(self, kind: str) -> str:
        """The format of a type of times; empty where it has none."""
        without_zone = "" if self.zoned else self.timestamp
        return {"DATE": self.date, "TIMESTAMP": without_zone, "TIMESTAMPTZ": self.timestamp}.get(kind, "")

    @property
    def zoned(self) -> bool:
        """Whether the format of instants has their zone."""
        return re.search(r"%[zZ]", self.timestamp) is not None

    def pattern_of(self, family: str) -> str | None:
        """How values of a type are written, its size aside; None where only the type knows."""
        return _PATTERNS.get(family)

    def _or_iso(self, kind: str) -> bool:
        """Whether an instant may stand in ISO 8601 beside a format: one with its zone is none of a format without."""
        return kind == "TIMESTAMPTZ" and not self.zoned

    def number(self, text: str) -> str:
        """A number's text with a point before its fraction; a text that has a point already is no number then."""
        return text if self.decimal == "." else f"translate({text}, {literal(f'{self.decimal}.')}, '.,')"

    def value(self, name: str, kind: str) -> str:
        """The value of a type that the text of a column is, which `fits` says."""
        text = quote(name)
        if form := self.format_of(kind):
            value = f"CAST(strptime({text}, {literal(form)}) AS {kind})"
            if self._or_iso(kind):
                return f"CASE WHEN {_instant(text)} THEN CAST({text} AS {kind}) ELSE {value} END"
            return value
        return f"CAST({self.number(text) if is_number(kind) else text} AS {kind})"

    def fault(self, name: str, kind: str) -> str:
        """A text of SQL: why the text of a column is no value of a type."""
        before, behind = literal(f"{name} = '"), literal(f"' is no {kind}")
        return f"{before} || {quote(name)} || {behind}"

    def fits(self, name: str, kind: str) -> str:
        """
        A condition that the text of a column is written as a value of a type and says no more than that.

        It is never NULL for a text.
        """
        text = quote(name)
        if kind == "VARCHAR":
            return "true"
        if form := self.format_of(kind):
            time = f"try_strptime({text}, {literal(form)})"
            # Seen: %Y takes 26 for the year 26.
            year = f"lpad(CAST(year({time}) AS VARCHAR), 4, '0')" if "%Y" in form else "''"
            whole = f" AND {time} = date_trunc('day', {time})" if kind == "DATE" else ""
            fits = f"coalesce({time} IS NOT NULL AND contains({text}, {year}){whole}, false)"
            return f"({fits} OR {_instant(text)})" if self._or_iso(kind) else fits
        family, _, size = kind.partition("(")
        number = self.number(text) if is_number(kind) else text
        pattern = self.pattern_of(family)
        told = [f"regexp_full_match({number}, {literal(pattern)})"] if pattern else []
        if size:
            # With one nought more it is another text than the values that were found.
            behind = f"rtrim(split_part({number}, '.', 2), {literal('0' if fold(name) in self.said else '')})"
            told.append(f"length({behind}) <= {_scale(size):d}")
        if kind == "DOUBLE":
            told.append(shortest(number))
        elif kind not in ("DECIMAL", NUMBER):
            told.append(f"TRY_CAST({number} AS {kind}) IS NOT NULL")
        return f"coalesce({' AND '.join(told)}, false)"


def _instant(text: str) -> str:
    pattern = literal(_PATTERNS["TIMESTAMPTZ"])
    return f"coalesce(regexp_full_match({text}, {pattern}) AND TRY_CAST({text} AS TIMESTAMPTZ) IS NOT NULL, false)"


def check_types(options: Mapping[str, Any], *also: str) -> None:
    """Look at the types that are said of columns, `also` other ones. Raises BadDialect where one is none."""
    types = options.get("types", {})
    wrong = [one for one in types.values() if not _is_said(one, also)] if isinstance(types, dict) else [types]
    if wrong:
        kinds = listed((*also, *_SAID), len(_SAID) + len(also))
        raise BadDialect("types", f"has {wrong[0]!r}", f'say it as {{amount = "DECIMAL(18,2)"}}, with {kinds}')


def _is_said(kind: object, also: Sequence[str]) -> bool:
    sizes = _SIZES.fullmatch(str(kind))
    sized = sizes is not None and int(sizes[2]) <= int(sizes[1]) and 0 < int(sizes[1]) <= _WIDEST
    return sized or kind in (*also, *_SAID[:-1])


def _scale(size: str) -> int:
    """Digits behind the point, of what stands behind DECIMAL( in a type's name."""
    return int(size.rstrip(")").rpartition(",")[2])


def is_number(kind: str) -> bool:
    """Whether a type is one of numbers."""
    return kind.partition("(")[0] in (*_WHOLE, "UHUGEINT", "BIGNUM", "DECIMAL", "DOUBLE", "FLOAT", NUMBER)


def shortest(text: str) -> str:
    """A condition that a number's text is the shortest one of its DOUBLE, whatever its exponent is spelt like."""
    double = f"TRY_CAST({text} AS DOUBLE)"
    written = f"CAST({double} AS VARCHAR)"
    # Most are written as the engine writes them.
    return (
        f"CASE WHEN {text} = {written} OR NOT isfinite({double}) AND regexp_matches({text}, '(?i:n)') THEN true "
        f"ELSE {normal(text)} = {normal(written)} END"
    )


def normal(number: str) -> str:
    """A number's text in its one form: a sign, its digits without noughts around them, and the last one's exponent."""
    digits = "CASE WHEN starts_with(_text, '-') THEN '-' ELSE '' END || trim(_all, '0')"
    return _apart(number, f"CASE WHEN trim(_all, '0') = '' THEN '0' ELSE {digits} || 'e' || {_LAST} END")


def _apart(number: str, sql: str) -> str:
    """SQL over parts of a number: `_text` in small letters, `_front` before its exponent, `_all` the digits of that."""
    # Each is bound once: written out in every place, the engine took 40 ms to plan one column.
    parts = {"_all": "replace(_front, '.', '')", "_front": "ltrim(split_part(_text, 'e', 1), '+-')"}
    for name, part in (parts | {"_text": f"lower({number})"}).items():
        sql = f"list_transform([{part}], lambda {name}: {sql})[1]"
    return sql


def types_of(engine: Engine, relation: str, columns: Mapping[str, Sequence[str]], spelling: Spelling) -> dict[str, str]:
    """
    The types of columns of a relation of texts, by their names; VARCHAR where the values have no other in common.

    A column without a value has none, and one of nothing but nan and infinity NAN.

    Args:
        engine: the engine.
        relation: what stands behind FROM.
        columns: for each name the types that it may have, the narrowest first.
        spelling: how values are written.

    Raises:
        EngineError: the relation cannot be read.
    """
    left = {name: list(kinds) for name, kinds in columns.items()}
    # What a few rows rule out is not asked of all.
    _settled(engine, f"(FROM {relation} LIMIT {_SAMPLE:d})", left, spelling)
    found = _settled(engine, relation, left, spelling)
    return {name: found[name] for name in columns if found[name]}


def _settled(engine: Engine, relation: str, left: dict[str, list[str]], spelling: Spelling) -> dict[str, str]:
    """The types of columns, empty where there is no value; of `left`, what they may have, goes what a value is not."""
    found = {name: "VARCHAR" for name, kinds in left.items() if not kinds}
    while open_ := {name: kinds for name, kinds in left.items() if name not in found}:
        before = {name: kinds[0] for name, kinds in open_.items()}
        for name, held in _rule_out(engine, relation, open_, spelling).items():
            if not held.values or not left[name]:
                found[name] = "VARCHAR" if held.values else ""
            elif left[name][0] == before[name]:
                found[name] = sized(before[name], held)
    return found


def sized(kind: str, held: Held) -> str:
    """A type that all values of a column are written in, with as many digits as they have."""
    if kind in NUMBERS[2:]:
        return kind if held.digits else NAN
    if kind != "DECIMAL":
        return kind
    width = _WIDE if held.whole + held.scale <= _ROOM else _WIDEST
    return f"DECIMAL({width},{held.scale})" if held.whole + held.scale <= _WIDEST else "VARCHAR"


def misfitting(engine: Engine, relation: str, kinds: Mapping[str, str], spelling: Spelling) -> set[str]:
    """Those columns of a relation of texts of which some value is none of their type. Raises EngineError."""
    if not kinds:
        return set()
    counts = ", ".join(_misfits(name, kind, spelling) for name, kind in kinds.items())
    row = engine.row(f"SELECT {counts} FROM {relation}")
    return {name for name, count in zip(kinds, row, strict=True) if count}


def _misfits(name: str, kind: str, spelling: Spelling) -> str:
    # NULL is of any type: a filter leaves it out.
    return f"count(*) FILTER ({quote(name)} IS NOT NULL AND NOT {spelling.fits(name, kind)})"


class Held(NamedTuple):
    """What a column holds: how many values; of numbers the most digits before and behind the point, whether any."""

    values: int
    whole: int
    scale: int
    digits: int


def _rule_out(engine: Engine, relation: str, left: Mapping[str, list[str]], spelling: Spelling) -> dict[str, Held]:
    """Take away the first type of each column that a value is not written in; gives what the columns hold."""
    asked = [(name, kinds[0]) for name, kinds in left.items()]
    counts = [_misfits(name, kind, spelling) for name, kind in asked]
    held = [one for name, kinds in left.items() for one in _asked_of(name, kinds[0], spelling)]
    row = engine.row(f"SELECT {', '.join(counts + held)} FROM {relation}")
    for (name, kind), misfits in zip(asked, row, strict=False):
        if misfits:
            left[name].remove(kind)
    values = iter(row[len(asked) :])
    return {name: Held(*(next(values) or 0 for _ in Held._fields)) for name in left}


def _asked_of(name: str, kind: str, spelling: Spelling) -> tuple[str, str, str, str]:
    """The aggregates that give what a column holds, as far as a type of it needs them."""
    column, count = quote(name), f"count({quote(name)})"
    if kind == "DECIMAL":
        number = spelling.number(column)
        # In bytes, which takes a fifth of the time of letters: the digits of what is none are not asked for.
        point = f"CASE WHEN contains({number}, '.') THEN instr({number}, '.') ELSE strlen({number}) + 1 END"
        whole = f"max({point} - 1 - CAST(starts_with({number}, '-') AS INTEGER))"
        return count, whole, f"max(greatest(strlen({number}) - ({point}), 0))", "NULL"
    return count, "NULL", "NULL", f"bool_or(regexp_matches({column}, '[0-9]'))" if kind in NUMBERS[2:] else "NULL"


def kept_whole(text: str, kind: str) -> str:
    """
    A condition that the value of a type that a text is cast to says what the text does; NULL where the cast fails.

    A number may be spelt in any way that is one (`007`, `1e3`, blanks around it), for it was said to be one; more of it
    than the type holds is lost. Of a time, more than microseconds are.
    """
    family, _, size = kind.partition("(")
    number = f"trim({text})"
    written = f"regexp_full_match({number}, {literal(_NUMBER)})"
    if family in ("BIGINT", "DECIMAL"):
        scale = _scale(size) if size else 0
        # Nearly all are written so, and to bring a number to its one form takes ten times as long.
        plain = rf"[+-]?[0-9]+(\.[0-9]{{0,{scale:d}}}0*)?"
        fits = _apart(number, f"trim(_all, '0') = '' OR {_LAST} >= {-scale:d}")
        return f"(CASE WHEN regexp_full_match({text}, {literal(plain)}) THEN true ELSE {written} AND {fits} END)"
    if family == "DOUBLE":
        # Nearest, of as many digits as a DOUBLE has; neither infinite nor nought where the text is not.
        plain = r"-?[0-9]{1,8}(\.[0-9]{0,9})?"
        digits = _apart(number, f"length(trim(_all, '0')) <= {_MOST_OF_DOUBLE:d}")
        double = f"TRY_CAST({text} AS DOUBLE)"
        there = f"isfinite({double}) AND ({double} <> 0 OR NOT regexp_matches({number}, '^[^eE]*[1-9]'))"
        none = f"regexp_full_match({number}, {literal(_NO_NUMBER)})"
        short = f"regexp_full_match({text}, {literal(plain)})"
        return f"(CASE WHEN {short} THEN true WHEN {written} THEN {digits} AND {there} ELSE {none} END)"
    if family == "DATE":
        written = iso_time(text, "0*", _NO_OFFSET)
        return f"({written} AND TRY_CAST({text} AS TIMESTAMP) = CAST(TRY_CAST({text} AS DATE) AS TIMESTAMP))"
    if family in ("TIMESTAMP", "TIMESTAMPTZ"):
        return iso_time(text, "[0-9]{0,6}0*", _NO_OFFSET if family == "TIMESTAMP" else _ANY_ZONE)
    return "true"


def iso_time(text: str, fraction: str = "[0-9]*", zone: str = _ANY_ZONE) -> str:
    """
    A condition that a text is written as a day or a time of ISO 8601, with `-` or `/`; the engine's cast takes more.

    What lies out of the years 1 to 9999 is so written too, for another condition to tell.
    """
    day, clock = "[0-9]{4,6}[-/][0-9]{1,2}[-/][0-9]{1,2}", "[0-9]{1,2}:[0-9]{1,2}"
    pattern = rf"\s*({day}([ T]+{clock}(:[0-9]{{1,2}}(\.{fraction})?)?( ?{zone})?)?( \(BC\))?|-?infinity)\s*"
    return f"regexp_full_match({text}, {literal(pattern)})"

"""
Rows that do not fit into the log: which they are, and why, in one scan.

An expression that fails on a row, and one that gives NULL on it, are told apart: under `TRY` a struct that cannot be
made is NULL, and one that holds a NULL is not.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from dualgauge.engines.errors import EngineError
from dualgauge.engines.files.column_types import Spelling, iso_time
from dualgauge.eventlog.errors import BadMapping
from dualgauge.eventlog.sources.comparisons import bent, in_brackets
from dualgauge.eventlog.sources.losses import NO_PAYLOAD, by_text, finer_than_kept, loses, outside
from dualgauge.eventlog.sources.mapping import (
    columns_quoted,
    described,
    lowered,
    mapping,
    place_of,
    queried,
    tried,
)
from dualgauge.eventlog.sources.needed import words_of
from dualgauge.eventlog.sources.readers import unbounded_rows
from dualgauge.eventlog.sources.source import told
from dualgauge.model import fold, literal, quote

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dualgauge.engines.duck import Engine
    from dualgauge.eventlog.sources.source import Source

_FINER = "is finer than a microsecond, which the log keeps: left(time, 26) || 'Z' cuts a text"
_NOT_ISO = "is not written as ISO 8601: say its form by dateformat or timestampformat, or by strptime in select"
_NEEDED = ("event_id", "type", "occurred_at", "_order")


@dataclass(frozen=True, slots=True)
class Found:
    """A row that does not fit: its label and number, and why. `place` is that for a sentence."""

    file: str
    row: int
    reason: str

    @property
    def place(self) -> str:
        """`data/a.csv row 7`; empty where the row has no place."""
        return place_of(self.file, self.row)


@dataclass(frozen=True, slots=True)
class _Check:
    """
    One way not to fit: a condition over the columns, and what is said of a row that meets it.

    `expression` is what fails; empty where none does. `value` says that the column's value is told, by the expression
    `shown` where that is not the column.
    """

    condition: str
    words: str
    column: str
    expression: str = ""
    value: bool = False
    shown: str = ""


@dataclass(frozen=True, slots=True)
class Misfits:
    """The query for the rows of a source that do not fit, and what it means. `base` are the raw rows."""

    base: str
    query: str
    checks: tuple[_Check, ...]

    def find(self, engine: Engine, most: int) -> tuple[int, list[Found]]:
        """
        How many rows do not fit, and the first of them, at most `most`, in the order of their files.

        Raises:
            EngineError: the rows cannot be read, or an expression cannot be tried.
        """
        rows = engine.rows(
            f"SELECT _file, _row, _check, _value, count(*) OVER () FROM ({self.query}) "
            f"WHERE _check IS NOT NULL ORDER BY _at LIMIT {most:d}"
        )
        base = self.base
        if sum(bool(self.checks[check].expression) for _, _, check, _, _ in rows) > 1:
            # What an expression fails with is asked row by row: of these rows, not of all.
            wanted = ", ".join(f"({literal(file)}, {row:d})" for file, row, *_ in rows)
            engine.execute(
                f"CREATE OR REPLACE TEMP TABLE _misfits AS SELECT * FROM ({base}) WHERE (_file, _row) IN ({wanted})"
            )
            base = "FROM _misfits"
        found = [
            Found(file, row, self._reason(engine, base, (file, row), check, value))
            for file, row, check, value, _ in rows
        ]
        return (rows[0][4] if rows else 0), found

    def _reason(self, engine: Engine, base: str, place: tuple[str, int], check: int, value: str | None) -> str:
        made = self.checks[check]
        if made.value:
            return str(value) if made.column == "_unfit" else made.words.format(repr(value))
        if not made.expression:
            return made.words
        only = f"FROM ({base}) WHERE _file = {literal(place[0])} AND _row = {place[1]:d}"
        try:
            engine.rows(f"SELECT {made.expression} {only}")
        except EngineError as fault:
            return f"{made.words} ({told(fault)})"
        return made.words


def misfits_of(engine: Engine, source: Source, columns: Mapping[str, str], base: str) -> Misfits:
    """
    What finds the rows of a source that do not fit.

    Args:
        engine: the engine.
        source: one that `select` read on this engine.
        columns: declared columns and their types.
        base: its raw rows, with their places unless it has a query.

    Raises:
        BadMapping: an expression does not fit the columns.
        EngineError: the rows cannot be looked at.
    """
    available = described(engine, source, base, ())
    base = unbounded_rows(source, base, available)
    settings = columns_quoted(source.expressions, available, columns)
    whole = f"* FROM {in_brackets(settings.query)}" if settings.query else f"{settings.where or 'true'}\n FROM source"
    if reason := bent(engine, source, f"SELECT {whole}", available):
        raise BadMapping(source.name, reason, tuple(available), "query" if settings.query else "where")
    if settings.query:
        # What a query gives has no place in a file, and where it fails it fails as a whole.
        values = f"SELECT *, '' AS _file, 0 AS _row, 0 AS _at FROM ({queried(base, settings)})"
        expressions: dict[str, str] = {}
    else:
        # What is refused once the rows that do not fit are set aside sets none aside.
        expressions = {
            name: one
            for name, one in mapping(settings, dict(columns), available).items()
            if not bent(engine, source, f"SELECT {one}\n FROM source", available)
        }
        # A where that needs what is none of its type says nothing of the row.
        blind = bool(words_of([settings.where]) & set(source.unsure))
        values = _tried(base, expressions, settings.where, unfit="_unfit" in available, blind=blind)
    names = described(engine, source, values, ())
    where = settings.where if expressions else ""
    checks = _checks(names, columns, expressions, where, Spelling.of(settings.read if settings.path else {}))
    if "_unfit" in names:
        checks = (_Check("_unfit IS NOT NULL", "{}", "_unfit", value=True), *checks)
    cases = " ".join(f"WHEN {one.condition} THEN {number}" for number, one in enumerate(checks))
    told_of = " ".join(
        f"WHEN {number} THEN CAST({one.shown or quote(one.column)} AS VARCHAR)"
        for number, one in enumerate(checks)
        if one.value
    )
    checked = f"SELECT *, CASE {cases} END AS _check FROM ({values})"
    query = f"SELECT _file, _row, _at, _check, CASE _check {told_of} END AS _value FROM ({checked})"
    return Misfits(base, query, checks)


def _tried(base: str, expressions: Mapping[str, str], where: str, *, unfit: bool, blind: bool) -> str:
    """
    The values of an event's columns, beside each whether its expression failed; `unfit`: and what no type took.

    `blind`: rows of which no type took something are there whatever the where makes of them.
    """
    tries = {name: tried(expression, "{{'v': {}}}") for name, expression in expressions.items()}
    inner = [f"{one} AS {quote(f'_try_{name}')}" for name, one in tries.items()]
    met = ""
    if where:
        inner.append(tried(where, "{{'v': CAST(({}) AS BOOLEAN)}}") + " AS _try_where")
        met = f" WHERE _try_where IS NULL OR _try_where.v{' OR _unfit IS NOT NULL' if unfit and blind else ''}"
    outer = [f"{quote(f'_try_{name}')}.v AS {quote(name)}" for name in tries]
    outer += [f"{quote(f'_try_{name}')} IS NULL AS {quote(f'_failed_{name}')}" for name in tries]
    if where:
        outer.append("_try_where IS NULL AS _failed_where")
    place = f"_file, _row, _at{', _unfit' if unfit else ''}"
    return f"SELECT {place}, {', '.join(outer)} FROM (SELECT {place}, {', '.join(inner)} FROM ({base})){met}"


def _needed(given: Mapping[str, str], expressions: Mapping[str, str]) -> Iterator[_Check]:
    """What a row must have, and that its payload is JSON."""
    for name in _NEEDED:
        if name in given:
            setting = "order_by" if name == "_order" else name
            yield _Check(f"{quote(name)} IS NULL", f"its {setting} is NULL", name, expressions.get(name, ""))
    if "payload" in given:
        yield _Check(f"({NO_PAYLOAD})", "payload = {} is no JSON", "payload", value=True)


def _checks(
    names: Mapping[str, str],
    columns: Mapping[str, str],
    expressions: Mapping[str, str],
    where: str,
    spelling: Spelling,
) -> tuple[_Check, ...]:
    checks = [_Check("_failed_where", "its where fails", "", where)] if where else []
    given = lowered(dict(names))
    checks += _needed(given, expressions)
    checks += [
        _Check(quote(f"_failed_{name}"), f"its {name} fails", name, expression)
        for name, expression in expressions.items()
        if name not in _NEEDED
    ]
    kinds = {name: kind for name, kind in {"occurred_at": "TIMESTAMPTZ", **columns}.items() if fold(name) in given}
    if given.get("_order") == "VARCHAR":
        kinds["_order"] = "TIMESTAMPTZ"
    for name, kind in kinds.items():
        column, called = quote(name), "order_by" if name == "_order" else name
        # A comma before a fraction was made a point on the way, and is told as it stands in the file.
        swapped = spelling.decimal != "." and expressions.get(name, "").startswith("translate(")
        tell = partial(_Check, column=name, value=True, shown=spelling.number(column) if swapped else "")
        value = by_text(column, given[fold(name)], kind)
        there, none = f"({value}) IS NOT NULL", f"TRY_CAST({value} AS {kind}) IS NULL"
        checks.append(tell(f"({there} AND {none})", f"{called} = {{}} is no {kind}"))
        if kind in ("DATE", "TIMESTAMP", "TIMESTAMPTZ") and given[fold(name)] == "VARCHAR":
            checks.append(tell(f"({there} AND NOT {iso_time(value)})", f"{called} = {{}} {_NOT_ISO}"))
        lossy, words = loses(column, given[fold(name)], kind), f"does not fit into {kind} without loss"
        if value != column and kind.startswith("DECIMAL"):
            words += f": round({name}, {kind[:-1].rpartition(',')[2].strip()}) gives the nearest"
        if name == "occurred_at":
            if (finer := finer_than_kept(column, given[fold(name)])) != "false":
                checks.append(tell(f"({there} AND {finer})", f"{called} = {{}} {_FINER}"))
            lossy, words = outside(column, kind), "is not in the years 1 to 9999"
        if lossy != "false":
            checks.append(tell(f"({there} AND {lossy})", f"{called} = {{}} {words}"))
    return tuple(checks)

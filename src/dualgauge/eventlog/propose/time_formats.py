"""Times in forms that are no ISO 8601: what `strptime` reads them, or which unit counts since 1970, over every row."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from dualgauge.model import literal, quote

if TYPE_CHECKING:
    from dualgauge.engines.duck import Engine
    from dualgauge.eventlog.propose.profile import ProfiledColumn

ZONED = r"(Z|UTC|[+-][0-9]{2}(:?[0-9]{2})?)"

_DAYS = (
    "%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%Y/%m/%d", "%Y.%m.%d", "%d-%m-%Y", "%m-%d-%Y", "%Y%m%d",
    "%d %b %Y", "%d-%b-%Y", "%b %d, %Y", "%b %d %Y", "%d %B %Y", "%B %d, %Y", "%a, %d %b %Y", "%d/%b/%Y",
    "%m/%d/%y", "%d/%m/%y", "%d.%m.%y", "%d-%b-%y",
)  # fmt: skip
_CLOCKS = (
    "", " %H:%M", " %H:%M:%S", " %H:%M:%S.%g", " %I:%M %p", " %I:%M:%S %p", "T%H:%M:%S", " %H:%M:%S GMT",
    ":%H:%M:%S %z", " %H:%M:%S %z", " - %H:%M", "%H%M%S",
)  # fmt: skip
_PARTS = {
    "Y": r"\d{4}", "y": r"\d{2}", "b": "[A-Za-z]{3}", "B": "[A-Za-z]+", "a": "[A-Za-z]{3}", "p": "[AaPp][Mm]",
    "g": r"\d{1,3}", "z": r"[+-]\d{2}:?\d{2}",
}  # fmt: skip
_SAMPLE, _LONGEST, _FEWEST_DIGITS = 500, 40, 3
_YEARS = (1900, 2199)
"""Years that a format may give: `%Y` takes `10` for the year 10."""

_SECONDS, _MILLIS = (10**8, 5 * 10**9), (10**11, 5 * 10**12)
"""Counts since 1970 that are years from 1973 on."""

_TIME_WORDS = {"time", "timestamp", "ts", "at", "datetime", "date", "day", "when", "epoch", "unix", "millis", "ms"}


def words(name: str) -> list[str]:
    """The words of a column's name: `CustomerID` and `customer_id` are `customer`, `id`."""
    return [one.lower() for one in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_]+|\d+", name)]


def odd_times(engine: Engine, base: str, column: ProfiledColumn) -> ProfiledColumn:
    """The column with an expression that gives a time for every value, where there is one; else as it is."""
    named = bool(_TIME_WORDS & set(words(column.name)))
    if column.type == "BIGINT" and not named:
        return column
    text = quote(column.name) if column.given == "VARCHAR" else f"CAST({quote(column.name)} AS VARCHAR)"
    if column.type == "BIGINT" and (counted := _since_1970(engine, base, column)):
        return counted
    formats = _fitting(engine, base, column, text)
    if not formats:
        return column
    chosen = formats[0]
    day = chosen in _DAYS
    other = next((one for one in formats[1:] if "%b" not in one and "%B" not in one), "")
    doubt = f"; every value also reads as {other}: see which is meant" if other else ""
    time = f"strptime({text}, {literal(chosen)})"
    if column.type == "BIGINT":
        return replace(column, time=time, why=f"whole numbers that read as {chosen}{doubt}")
    kind = "DATE" if day else "TIMESTAMPTZ" if "%z" in chosen else "TIMESTAMP"
    made = f"CAST({time} AS DATE)" if day else time
    return replace(column, type=kind, time=time, expression=made, why=f"text of the form {chosen}{doubt}")


def _fitting(engine: Engine, base: str, column: ProfiledColumn, text: str) -> list[str]:
    """The formats that every value has, the likelier first."""
    name = quote(column.name)
    sample = f"SELECT DISTINCT {text} AS v FROM ({base}) WHERE {name} IS NOT NULL LIMIT {_SAMPLE:d}"
    if column.longest > _LONGEST or sum(one.isdigit() for one in column.least) < _FEWEST_DIGITS:
        return []
    formats = [
        one
        for day in _DAYS
        for clock in _CLOCKS
        if re.fullmatch(_shape(one := day + clock), column.least) and re.fullmatch(_shape(one), column.most)
    ]
    for rows in (f"SELECT v FROM ({sample})", f"SELECT {text} AS v FROM ({base}) WHERE {name} IS NOT NULL"):
        if not formats:
            break
        fits = ", ".join(
            f"bool_and(coalesce(year(TRY(try_strptime(v, {literal(one)}))) BETWEEN {_YEARS[0]} AND {_YEARS[1]}, false))"
            for one in formats
        )
        found = engine.row(f"SELECT {fits} FROM ({rows})")
        formats = [one for one, fit in zip(formats, found, strict=True) if fit]
    return formats


def _shape(form: str) -> str:
    """A format as a pattern, to leave out early what cannot fit: DuckDB takes its time over many formats."""
    return re.sub(r"%(\w)", lambda found: _PARTS.get(found[1], r"\d{1,2}"), re.escape(form).replace(r"\%", "%"))


def _since_1970(engine: Engine, base: str, column: ProfiledColumn) -> ProfiledColumn | None:
    number = f"CAST({quote(column.name)} AS BIGINT)"
    least, most = engine.row(f"SELECT min({number}), max({number}) FROM ({base})")
    if _SECONDS[0] <= least and most <= _SECONDS[1]:
        return replace(column, time=f"to_timestamp({number})", why="whole numbers: seconds since 1970")
    if _MILLIS[0] <= least and most <= _MILLIS[1]:
        return replace(column, time=f"epoch_ms({number})", why="whole numbers: milliseconds since 1970")
    return None

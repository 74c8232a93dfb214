"""Times as texts and numbers: what gives the time of each value, in ISO 8601, by `strptime` or counted since 1970."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from dualgauge.model import literal, quote

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dualgauge.engines.duck import Engine
    from dualgauge.eventlog.propose.profile import ProfiledColumn

_DAY, _MINUTE = "[0-9]{4}-[0-9]{2}-[0-9]{2}", "[ T][0-9]{2}:[0-9]{2}"
_STAMP = rf"{_DAY}{_MINUTE}(:[0-9]{{2}}(\.[0-9]{{1,6}})?)?"
_OFFSET = r"[+-](0[0-9]|1[0-5])(:?[0-5][0-9])?"
_FINER = rf"{_DAY}{_MINUTE}:[0-9]{{2}}\.[0-9]{{7,}}"

ISO = {
    "date": _DAY,
    "timestamp": _STAMP,
    "zoned": rf"{_STAMP}( ?(Z|UTC)|{_OFFSET})",
    "apart": rf"{_STAMP} {_OFFSET}",
    "finer": _FINER,
    "finer_utc": rf"{_FINER}Z",
    "finer_zoned": rf"{_FINER}( (Z|UTC)|UTC| ?{_OFFSET})",
}
"""Kinds of times in ISO 8601: `apart` with an offset behind a blank, `finer` with more than six digits of a second."""

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
_PLAIN = ("date", "timestamp", "zoned")
NO_TIME = "; called a time, but its values read as none"
_SAMPLE, _LONGEST, _FEWEST_DIGITS = 500, 40, 3
_YEARS = (1900, 2199)
"""Years that a format may give: `%Y` takes `10` for the year 10."""

_UNITS = (
    ("seconds", 10**8, "to_timestamp({})"),
    ("milliseconds", 10**11, "epoch_ms({})"),
    ("microseconds", 10**14, "make_timestamp({})"),
    ("nanoseconds", 10**17, "make_timestamp({} // 1000)"),
)
"""What counts since 1970, its number in March 1973, and what makes a time of it."""

_TO_2128 = 50
"""Times the least number of a unit: the most that is taken for a time."""

_TIME_WORDS = {"time", "timestamp", "ts", "at", "datetime", "date", "day", "when", "epoch", "unix", "millis", "ms"}


def words(name: str) -> list[str]:
    """The words of a column's name: `CustomerID` and `customer_id` are `customer`, `id`."""
    return [one.lower() for one in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_]+|\d+", name)]


def iso_cast(kind: str, text: str) -> str:
    """What gives the time of a text of a kind of ISO; NULL where it is none, as the 30th of February."""
    made = {"date": "DATE", "timestamp": "TIMESTAMP", "finer": "TIMESTAMP"}.get(kind, "TIMESTAMPTZ")
    return f"TRY_CAST({_plain_iso(text, apart=True, finer=True) if kind not in _PLAIN else text} AS {made})"


def _plain_iso(text: str, *, apart: bool, finer: bool) -> str:
    """A time's text as the engine reads it without cutting anything off by itself."""
    cut = rf"regexp_replace({text}, '([.][0-9]{{6}})[0-9]+', '\1')" if finer else text
    return rf"regexp_replace({cut}, ' ([+-])', '\1')" if apart else cut


def iso_time(engine: Engine, base: str, column: ProfiledColumn, like: Mapping[str, int]) -> ProfiledColumn | None:
    """
    The column as one of times in ISO 8601, where every value is one; else None.

    `like` has the number of values of each kind. The log keeps microseconds: a column of finer times stays a text, and
    its time is cut off.
    """
    name, n = quote(column.name), column.filled
    if like["date"] == n:
        return replace(column, type="DATE", why="days", time=name)
    if sum(like[kind] for kind in ISO) != n:
        return None
    finer = like["finer"] + like["finer_utc"] + like["finer_zoned"]
    zoned = like["zoned"] + like["apart"] + like["finer_utc"] + like["finer_zoned"]
    some = "" if zoned == n else ", some without a zone (read as UTC)"
    kind, why = ("TIMESTAMPTZ", f"instants{some}") if zoned else ("TIMESTAMP", "times without a zone")
    if not finer:
        if not like["apart"]:
            return replace(column, type=kind, why=why, time=name)
        made = f"CAST({_plain_iso(name, apart=True, finer=False)} AS {kind})"
        return replace(column, type=kind, why=f"{why}, with an offset behind a blank", time=made, expression=made)
    if n in (like["finer"], like["finer_utc"]):
        made = f"left({name}, 26)" + (" || 'Z'" if zoned else "")
    else:
        made = _plain_iso(name, apart=bool(like["apart"] + like["finer_zoned"]), finer=True)
    (digits,) = engine.row(f"SELECT max(length(regexp_extract({name}, '[.]([0-9]+)', 1))) FROM ({base})")
    why = f"{why}, with {digits} digits of a second, of which the log keeps six by {made}; the column keeps its text"
    return replace(column, type="VARCHAR", why=why, time=f"CAST({made} AS {kind})", cut=True)


def odd_times(engine: Engine, base: str, column: ProfiledColumn) -> ProfiledColumn:
    """The column with an expression that gives a time for every value, where there is one; else as it is."""
    named = bool(_TIME_WORDS & set(words(column.name)))
    if column.type != "VARCHAR" and not named:
        return column
    if column.type not in ("VARCHAR", "BIGINT"):
        return _unknown(column)
    text = quote(column.name) if column.given == "VARCHAR" else f"CAST({quote(column.name)} AS VARCHAR)"
    if column.type == "BIGINT" and (counted := _since_1970(engine, base, column)):
        return counted
    formats = _fitting(engine, base, column, text)
    if not formats:
        return _unknown(column) if named else column
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


def _unknown(column: ProfiledColumn) -> ProfiledColumn:
    """A column that is called a time and has digits enough for one, and is none that is known."""
    if column.time or sum(one.isdigit() for one in column.least) < _FEWEST_DIGITS:
        return column
    if column.type != "VARCHAR":
        if len(column.least.partition(".")[0]) < len(str(_UNITS[0][1])):
            return column
        if column.type != "BIGINT":
            say = f'say {quote(column.name)} = "DECIMAL(18,6)" in `types`, and make_timestamp of its microseconds'
            return replace(column, why=f"{column.why}{NO_TIME}: as counts since 1970 they have a fraction; {say}")
        return replace(column, why=f"{column.why}{NO_TIME}: as counts since 1970 they are in no one unit")
    return replace(column, why=f"{column.why}{NO_TIME}: there is no form of time that all of them have")


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
    least, most, finer = engine.row(
        f"SELECT min({number}), max({number}), count(*) FILTER (WHERE {number} % 1000 <> 0) FROM ({base})"
    )
    for unit, start, made in _UNITS:
        if start <= least and most <= start * _TO_2128:
            cut = unit == "nanoseconds" and finer > 0
            kept = ", of which the log keeps microseconds; the column keeps its numbers" if cut else ""
            return replace(column, time=made.format(number), why=f"whole numbers: {unit} since 1970{kept}", cut=cut)
    return None

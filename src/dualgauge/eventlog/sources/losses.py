"""Values that would be others in the type of their column."""

from __future__ import annotations

from dualgauge.engines.files.column_types import is_number, kept_whole

_FIRST_TIME, _END_OF_TIME = "TIMESTAMPTZ '0001-01-01 00:00:00Z'", "TIMESTAMPTZ '9999-12-31 23:59:59.999999Z'"
"""Arrow, Python and Delta's statistics hold the years 1 to 9999 alone."""

NO_PAYLOAD = "payload IS NOT NULL AND NOT json_valid(CAST(payload AS VARCHAR))"
"""A condition: what a source gives as the payload is no JSON."""

_FLOATS = ("DOUBLE", "FLOAT")
_WIDE = ("BIGINT", "UBIGINT", "HUGEINT", "UHUGEINT", "DECIMAL")
"""Types of numbers that may have more digits than a DOUBLE."""


def outside(column: str, kind: str) -> str:
    """A condition: the time is none that everything which reads the log can hold."""
    return f"TRY_CAST({column} AS {kind}) NOT BETWEEN {_FIRST_TIME} AND {_END_OF_TIME}"


def loses(column: str, given: str, kind: str) -> str:
    """A condition: a value would be another one in its column, which holds times of the years 1 to 9999."""
    lossy = _loses(column, given, kind)
    if kind not in ("DATE", "TIMESTAMP", "TIMESTAMPTZ"):
        return lossy
    time = f"TRY_CAST({column} AS {kind})"
    # The year of an endless time is NULL.
    until = f"coalesce(year({time}) <= 9999, false)"
    beyond = f"({time} IS NOT NULL AND ({time} < {_FIRST_TIME} OR NOT {until}))"
    return beyond if lossy == "false" else f"({lossy} OR {beyond})"


def finer_than_kept(column: str, given: str) -> str:
    """A condition: a time says more than the microseconds that the log keeps."""
    return _loses(column, given, "TIMESTAMPTZ")


def by_text(column: str, given: str, kind: str) -> str:
    """A value of the type `given` as what its column's type is cast from: its text, where the engine would round it."""
    text = f"CAST({column} AS VARCHAR)"
    if given == "JSON" and kind != "VARCHAR":
        return f"CASE WHEN starts_with({text}, '\"') THEN {column} ->> '$' ELSE nullif({text}, 'null') END"
    if given == "TIMESTAMPTZ_NS" and kind == "TIMESTAMP":
        return f"CAST({column} AS TIMESTAMPTZ)"
    floats = given in _FLOATS and kind.startswith("DECIMAL")
    wide = kind == "DOUBLE" and given.partition("(")[0] in _WIDE
    return text if floats or wide or given.startswith("ENUM") else column


def _loses(column: str, given: str, kind: str) -> str:
    """The same of the value itself."""
    text = by_text(column, given, kind)
    if given == "VARCHAR" or (text != column and given != "TIMESTAMPTZ_NS"):
        return f"NOT coalesce({kept_whole(text, kind)}, true)"
    exact = kind == "BIGINT" or (kind.startswith("DECIMAL") and given.startswith("DECIMAL"))
    if exact and given.startswith(("DECIMAL", *_FLOATS)) and given.replace(" ", "") != kind:
        return f"{column} <> TRY_CAST({column} AS {kind})"
    if kind == "BOOLEAN" and (is_number(given) or given == "FLOAT"):
        return f"{column} NOT IN (0, 1)"
    if kind == "DATE" and given.startswith("TIMESTAMP"):
        return f"{column} <> CAST(CAST({column} AS DATE) AS {given})"
    if kind in ("TIMESTAMP", "TIMESTAMPTZ") and given in ("TIMESTAMP_NS", "TIMESTAMPTZ_NS"):
        return f"epoch_ns(CAST({column} AS TIMESTAMP_NS)) % 1000 <> 0"
    return "false"

"""
Parquet files, read so that what they say of themselves changes no answer.

A Parquet file keeps the least and the greatest value of each column, and most writers leave NaN out of them. DuckDB
rests on them: it drops the row groups, and even the conditions, that they decide. Seen, of the values 1, 4 and NaN:
`x > 5` finds no row, `x <= 5` all of them, `isnan(x)` none, `max(x)` is 4, and a join loses the row; so too in a field
of a struct and in an element of a list or a map. So every FLOAT and DOUBLE is read through an expression that these
bounds say nothing of. It takes 4 ns a value, and 20 ns where the value is nested.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from dualgauge.engines.parquet_schema import exact
from dualgauge.model import literal, quote

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from dualgauge.engines.duck import Engine

_FLOATS: Final = ("FLOAT", "DOUBLE")
_HOLDS_FLOATS: Final = re.compile(r"\b(FLOAT|DOUBLE|VARIANT)\b")
_BENT: Final = re.compile(
    r"\b(U?HUGEINT|BIGNUM|INTERVAL|BIT|TIME WITH TIME ZONE|UNION|VARIANT|GEOMETRY|TUPLE)\b|\[[0-9]+\]"
)
_QUOTED: Final = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"")


def parquet(files: Sequence[Path | str], columns: Mapping[str, str]) -> str:
    """
    A SELECT of some columns of Parquet files, given with the DuckDB types that they have there.

    Files are united by name; one without a column reads NULL.

    What stands over it answers as over a table of the same rows.
    """
    return f"SELECT {reading(columns)} FROM {scan(files)}"


def whole_parquet(engine: Engine, files: Sequence[Path | str]) -> str:
    """The same with all the columns that there are; looks at the files for their types."""
    return parquet(files, engine.columns(f"SELECT * FROM {scan(files)}"))


def reading(columns: Mapping[str, str]) -> str:
    """What stands in the SELECT of a Parquet file of such columns."""
    return ", ".join(f"{_unbounded(quote(name), kind)}{quote(name)}" for name, kind in columns.items())


def unbounded(source: str, columns: Mapping[str, str]) -> str:
    """A SELECT of all of a relation, over Parquet files whose columns have such types."""
    changed = {name: kind for name, kind in columns.items() if _unbounded(name, kind)}
    return f"SELECT *{f' REPLACE ({reading(changed)})' if changed else ''} FROM {source}"


def bent(kind: str) -> bool:
    """
    Whether a DuckDB type holds values that are other ones after they were written to Parquet, or given to Arrow.

    Seen: COPY writes a HUGEINT as DOUBLE, cuts an INTERVAL to milliseconds and makes a struct of a UNION, and Arrow has
    no zone for a TIMETZ and no sign for the 128th bit of a UHUGEINT; nothing is told.
    """
    return _BENT.search(_QUOTED.sub("", kind)) is not None


def written(value: str, kind: str) -> str:
    """A value as a COPY writes it to Parquet: as it is, or as its text where Parquet has no such type."""
    return f"CAST({value} AS VARCHAR)" if bent(kind) else value


def scan(files: Sequence[Path | str]) -> str:
    """What stands after FROM for Parquet files, united by name; over it stands `reading` of their columns."""
    names = ", ".join(literal(exact(file)) for file in files)
    # Else the name of any folder on the way, such as id=5, is each row's id.
    return f"read_parquet([{names}], union_by_name = true, hive_partitioning = false)"


def _unbounded(value: str, kind: str) -> str:
    """The value and AS, through an expression that bounds say nothing of; nothing where it needs none."""
    if kind in _FLOATS:
        # The inner one says that a NaN is possible: the outer test by itself is dropped by the bounds, and a NaN with a
        # sign keeps it in some files and not in others.
        nan = f"'nan'::{kind}"
        inner = f"CASE WHEN isnan({value}) THEN {nan} ELSE {value} END"
        return f"CASE WHEN isnan({inner}) THEN {nan} ELSE {value} END AS "
    if _HOLDS_FLOATS.search(kind):
        # Nothing is known of what a lambda gives, be it the value as it was.
        return f"list_transform([{value}], lambda _one: _one)[1] AS "
    return ""

"""How much memory both sides would take, and whether that is little enough to judge every row by value."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from dualgauge.comparison.engine.kinds import Kind, kind_of

if TYPE_CHECKING:
    from dualgauge.comparison.engine.keys import Paired
    from dualgauge.engines.duck import Engine

_BYTES: Final = {
    "BOOLEAN": 1, "TINYINT": 1, "UTINYINT": 1, "SMALLINT": 2, "USMALLINT": 2, "INTEGER": 4, "UINTEGER": 4,
    "BIGINT": 8, "UBIGINT": 8, "HUGEINT": 16, "UHUGEINT": 16, "FLOAT": 4, "DOUBLE": 8, "DATE": 4,
    "TIME": 8, "TIME_NS": 8, "TIME WITH TIME ZONE": 8, "TIMESTAMP": 8, "TIMESTAMP_S": 8, "TIMESTAMP_MS": 8,
    "TIMESTAMP_NS": 8, "TIMESTAMP WITH TIME ZONE": 8, "TIMESTAMPTZ_NS": 8, "UUID": 16, "INTERVAL": 16, "ENUM": 4,
}  # fmt: skip
_POINTER: Final = 16
"""What a value of any length takes beside its bytes."""

_NESTED: Final = 6
"""A value in a list takes at most so many times the bytes of its text: `0, ` may be a HUGEINT."""

_ROW: Final = 9
"""What a row of a join takes beside its values."""

_SIZE: Final = re.compile(r"([0-9.]+) ?([KMGT]?)i?B|([0-9]+) bytes?")
_UNITS: Final = ("", "K", "M", "G", "T")


def fits(engine: Engine, paired: Paired) -> bool:
    """
    Whether the rows of both sides take no more than half of the engine's memory limit.

    Values of no fixed length are measured, every one of them: a few of 10 MB each would be missed by a sample. That
    is only done where the rest leaves room for them. A limit that the engine does not tell fits nothing.
    """
    room = _limit(engine) // 2
    measured = []
    for side, relation, rows in (("v1", paired.v1, paired.rows_v1), ("v2", paired.v2, paired.rows_v2)):
        kinds = engine.columns(f"SELECT * FROM {relation}")
        fixed, lengths = _ROW, []
        for name, text in kinds.items():
            kind = kind_of(text)
            fixed += _BYTES.get(kind.family, _POINTER)
            if kind.family not in _BYTES and kind.family != "DECIMAL":
                lengths.append(_length(name, kind))
        room -= fixed * rows
        measured.append((side, relation, lengths))
    if room < 0:
        return False
    for _, relation, lengths in measured:
        if lengths:
            # Added here: the engine takes no expression of a thousand terms.
            sums = ", ".join(f"coalesce(sum({length}), 0)" for length in lengths)
            room -= sum(map(int, engine.row(f"SELECT {sums} FROM {relation}")))
    return room >= 0


def _length(name: str, kind: Kind) -> str:
    """The bytes of a value: of its text, or as many as that text may stand for."""
    match kind.family:
        case "VARCHAR" | "JSON":
            return f"strlen({name})"
        case "BLOB" | "BIT":
            return f"octet_length({name})"
        case _:
            return f"{_NESTED} * strlen(CAST({name} AS VARCHAR))"


def _limit(engine: Engine) -> int:
    """The engine's memory limit in bytes."""
    found = _SIZE.fullmatch(str(engine.row("SELECT current_setting('memory_limit')")[0]))
    if found is None:
        return 0
    if found[3]:
        return int(found[3])
    return int(float(found[1]) * 1024 ** _UNITS.index(found[2]))

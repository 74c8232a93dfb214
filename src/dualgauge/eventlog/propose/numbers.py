"""
Texts that are numbers, and the type that holds every one of them as it is written, to the last digit.

A code is no number: `007`, `+5`, `0x1F`, `1_000`, ` 12 `, and `1E5` or `12e4`, whose exponent has neither a sign nor a
fraction before it. Programs write one of both (`1.5E5`, `1e-05`), and beside such numbers others have a fraction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dualgauge.engines.files.column_types import normal, shortest
from dualgauge.model import literal, plural

if TYPE_CHECKING:
    from dualgauge.engines.duck import Engine

MOST_SCALE: Final = 9
"""Digits behind the point that prices, rates and weights have; more are most often a measurement's."""

_WIDEST: Final = 38
"""Digits of a DECIMAL, at most."""

_ROOM: Final = (15, 18)
"""Up to so many digits a DECIMAL gets so many, for larger values to come; beyond, all that there are."""

WHOLE: Final = r"-?(0|[1-9][0-9]{0,18})"
_DIGITS: Final = r"-?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)"
_CODE: Final = r"-?[0-9]+[eE][0-9]+"
NUMBER: Final = rf"{_DIGITS}([eE][+-]?[0-9]{{1,5}})?"
"""How a program writes a number; an exponent of more digits is none of any type."""


def number_type(engine: Engine, base: str, name: str, *, coded: bool) -> tuple[str, str]:
    """
    The type that holds every number of a column exactly, and why; VARCHAR where none does.

    Args:
        engine: holds the rows.
        base: the rows as SQL.
        name: the column, quoted; each of its values matches NUMBER.
        coded: whether `1E5` may be a code, as in CSV; in JSON it is a number by the way it is written.
    """
    digits = "CASE WHEN form = '0' THEN 0 ELSE length(ltrim(split_part(form, 'e', 1), '-')) END"
    values = (
        f"SELECT contains(lower({name}), 'e') AS power, regexp_full_match({name}, {literal(_CODE)}) AS code, "
        f"contains({name}, '.') AS fraction, length(split_part({name}, '.', 2)) AS behind, {digits} AS digits, "
        f"TRY_CAST(split_part(form, 'e', 2) AS BIGINT) AS place, coalesce({shortest(name)}, false) AS shortest "
        f"FROM (SELECT {name}, {normal(name)} AS form FROM ({base}) WHERE {name} IS NOT NULL)"
    )
    powers, codes, fractions, written, scale, whole, all_shortest = engine.row(
        "SELECT count(*) FILTER (WHERE power), count(*) FILTER (WHERE code), count(*) FILTER (WHERE fraction), "
        "max(behind), coalesce(max(greatest(-place, 0)) FILTER (WHERE digits > 0), 0), "
        f"coalesce(max(greatest(digits + place, 0)) FILTER (WHERE digits > 0), 0), bool_and(shortest) FROM ({values})"
    )
    if powers and coded and (codes or not fractions):
        return "VARCHAR", "text: codes such as 1E5, which as numbers would be written otherwise"
    behind = "numbers with an exponent" if powers else f"{plural(written, 'digit')} behind the point"
    # 1.50 has two digits behind the point, and the next price may need both.
    exact = _decimal(whole, scale if powers or written > MOST_SCALE else written)
    amount = not powers and written <= MOST_SCALE
    if not amount and all_shortest and (powers or written):
        return "DOUBLE", f"{behind}, each the shortest text of its DOUBLE"
    if exact and _holds(engine, base, name, exact):
        return exact, f"exact, at most {behind}" if amount else f"exact: {behind}, of which a DOUBLE would round some"
    return "VARCHAR", f"text: {behind}, and neither a DOUBLE nor a DECIMAL of {_WIDEST} digits holds them all exactly"


def _holds(engine: Engine, base: str, name: str, kind: str) -> bool:
    """Whether every number of a column is the same as a DECIMAL: a long exponent may be past what the engine reads."""
    back = normal(f"CAST(TRY_CAST({name} AS {kind}) AS VARCHAR)")
    (same,) = engine.row(
        f"SELECT bool_and(coalesce({back} = {normal(name)}, false)) FROM ({base}) WHERE {name} IS NOT NULL"
    )
    return bool(same)


def _decimal(whole: int, scale: int) -> str:
    """A DECIMAL for so many digits before and behind the point; empty where none is wide enough."""
    digits = whole + scale
    return "" if digits > _WIDEST else f"DECIMAL({_ROOM[1] if digits <= _ROOM[0] else _WIDEST},{scale})"

"""Decimals of more digits than SQLite's numbers hold: how such a column is declared, and how its keys are written."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

SQLITE_DIGITS: Final = 15
"""Significant digits of a decimal number that SQLite holds exactly as a number."""

DECLARED: Final = "DECIMAL_BLOB"
"""What stands in a SQLite table for such a column: a type with BLOB in it leaves text and numbers as they are."""

_DECLARED: Final = re.compile(rf"{DECLARED}\((\d+), *(\d+)\)")
_FAR: Final = 100
"""A power of ten beyond what any DECIMAL holds."""
_NUMBER: Final = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")


def declared_as(kind: str) -> tuple[int, int] | None:
    """The digits, in all and behind the point, of a column that is declared so; None for any other."""
    match = _DECLARED.fullmatch(kind.upper())
    return (int(match[1]), int(match[2])) if match else None


def written(text: str, scale: int) -> str | None:
    """
    A number's text with so many digits behind the point; None where it has more, so that no column holds it.

    Raises:
        ValueError: it is no number.
    """
    if not _NUMBER.fullmatch(text):
        raise ValueError(text)
    number = Decimal(text)
    if number and abs(number.adjusted()) > _FAR:
        return None
    exact = f"{number:.{scale:d}f}"
    return exact if Decimal(exact) == number else None


def as_kept(mark: str) -> str:
    """What such a column holds for a text with its digits, which a numbered mark is bound to."""
    # SQLite makes the number: another reader of digits gives the last bit of a few otherwise.
    # What is a NULL is none of more digits, and stays one.
    digits = f"length(trim(replace(replace({mark}, '-', ''), '.', ''), '0'))"
    return f"CASE WHEN {digits} > {SQLITE_DIGITS:d} THEN {mark} ELSE CAST({mark} AS NUMERIC) END"

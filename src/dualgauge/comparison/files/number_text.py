"""Numbers of any type as texts: one text for one number."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Final

from dualgauge.comparison.engine.common_types import FLOATS
from dualgauge.model import literal

NUMBER: Final = r"-?((0|[1-9][0-9]*)(\.[0-9]+)?|\.[0-9]+)"
"""How a number is written in a file or by a database: 007 and +5 are texts."""

PLAIN_POWER: Final = "plain_power"
"""The name in SQL of the function `plain_power`."""

_FARTHEST: Final = 1_100
"""Digits on either side of the point that are written out: those that the DOUBLEs have, and some more."""


def plain_power(text: str | None) -> str | None:
    """A number with an exponent, as `number_text` has it; with its exponent where it is far out of a DOUBLE's range."""
    try:
        sign, digits, exponent = Decimal(text or "").as_tuple()
    except InvalidOperation:
        return text
    if not isinstance(exponent, int):
        return text
    significant = "".join(map(str, digits)).strip("0")
    if not significant:
        return "0"
    # The power of ten of the last digit that is not nought.
    power = exponent + len(digits) - len("".join(map(str, digits)).rstrip("0"))
    minus = "-" if sign else ""
    if max(power, -power) > _FARTHEST:
        return f"{minus}{significant}e{power}"
    padded = significant.rjust(1 - power, "0")
    return f"{minus}{significant}{'0' * power}" if power >= 0 else f"{minus}{padded[:power]}.{padded[power:]}"


def number_text(value: str, kind: str) -> str:
    """
    A number of a DuckDB type as the text that all numbers of its value have: digits, and no exponent.

    A DOUBLE that is whole is that whole number, to the last digit. Another one is the shortest decimal that is read as
    it, as it is beside a DECIMAL: 0.1 is a tenth.
    """
    if kind in FLOATS:
        double = f"CAST({value} AS DOUBLE)"
        text = f"CAST({double} AS VARCHAR)"
        digits = f"regexp_replace({text}, '^-|[.]|e.*$', '', 'g')"
        # Only small numbers have an exponent and a fraction, and then one digit stands before the point.
        zeros = f"repeat('0', CAST(split_part({text}, 'e-', 2) AS INTEGER) - 1)"
        sign = f"CASE WHEN {double} < 0 THEN '-' ELSE '' END"
        return (
            f"CASE WHEN {double} = 0 THEN '0' WHEN isnan({double}) THEN 'nan' WHEN isinf({double}) THEN {text} "
            f"WHEN {double} = trunc({double}) THEN CAST(CAST({double} AS BIGNUM) AS VARCHAR) "
            f"WHEN contains({text}, 'e-') THEN {sign} || '0.' || {zeros} || {digits} ELSE {text} END"
        )
    if kind.startswith("DECIMAL(") and not kind.endswith(",0)"):
        text = f"CAST({value} AS VARCHAR)"
        width, scale = kind[len("DECIMAL(") : -1].split(",")
        if width == scale:
            # The engine writes .5 then.
            text = f"replace({text}, '.', '0.')"
        return rf"regexp_replace({text}, '\.?0+$', '')"
    return f"CAST({value} AS VARCHAR)"


def plain_number(text: str) -> str:
    """A number that a file or a database has written, as `number_text` has it; another text is as it was."""
    # Not .5, and of 1.50 no nought at the end.
    whole = rf"regexp_replace({text}, '^(-?)[.]', '\10.')"
    digits = rf"CASE WHEN contains({whole}, '.') THEN regexp_replace({whole}, '[.]?0+$', '') ELSE {whole} END"
    named = {"nan": "nan", "inf": "inf", "infinity": "inf", "-inf": "-inf", "-infinity": "-inf"}
    arms = " ".join(f"WHEN {literal(written)} THEN {literal(spelt)}" for written, spelt in named.items())
    return (
        f"CASE WHEN regexp_full_match({text}, {literal(NUMBER)}) THEN regexp_replace({digits}, '^-0$', '0') "
        f"ELSE CASE lower({text}) {arms} ELSE {PLAIN_POWER}({text}) END END"
    )

"""Shares as people write them: a decimal number of percent that is whole in parts per million."""

from __future__ import annotations

import re
from typing import Final

from dualgauge.cutover.errors import BadPercent
from dualgauge.ledger.values import percent_text
from dualgauge.model import PPM

__all__ = ["parse_percent", "percent_text"]

_DECIMAL: Final = re.compile(r"([0-9]+)(?:\.([0-9]+))?", re.ASCII)
_PLACES: Final = 4
"""One part per million is 0.0001 %."""


def parse_percent(text: str) -> int:
    """
    Read a percentage, and give it in parts per million, 0 to 1,000,000. Nothing is rounded.

    Raises:
        BadPercent: it is no plain decimal, over 100, or finer than 0.0001.
    """
    match = _DECIMAL.fullmatch(text.strip())
    if match is None:
        raise BadPercent(text, "it is not a plain decimal number from 0 to 100")
    whole, fraction = match[1].lstrip("0"), (match[2] or "").rstrip("0")
    if len(fraction) > _PLACES:
        raise BadPercent(
            text, f"it has {len(fraction)} decimals, and the finest share is 0.0001 (one read in a million)"
        )
    # Digits, not floats: 0.07 * 10_000 is not a whole number in binary. Four digits are already too many.
    share_ppm = int((whole[:_PLACES] or "0") + fraction.ljust(_PLACES, "0"))
    if share_ppm > PPM:
        raise BadPercent(text, "it is over 100")
    return share_ppm

"""Why a view is left to replays, and what would change that."""

from __future__ import annotations

from typing import Final


class NotKept(Exception):
    """
    Why no tail keeps a view, as a clause.

    `advice` is what would let one keep it, as an order to the reader; empty where nothing is known to.
    """

    def __init__(self, reason: str, advice: str = "") -> None:
        self.reason, self.advice = reason, advice
        super().__init__(reason)


_COUNTED: Final = frozenset(
    "median mad mode histogram entropy quantile quantile_cont quantile_disc count sum avg".split()  # noqa: SIM905
)
_LISTED: Final = frozenset(("list", "array_agg", "string_agg", "group_concat", "listagg"))
_OF_SUMS: Final = frozenset(("corr", "covar_pop", "covar_samp", "skewness", "kurtosis", "kurtosis_pop", "sem"))


def instead_of(name: str, value: str) -> str:
    """
    What to write in the place of an aggregate that cannot be merged; empty where nothing is known.

    Args:
        name: of the aggregate.
        value: what it goes over, as it is written.
    """
    if name in _LISTED:
        return f"keep a view of the events, a row each, and put {value} together where it is read"
    if name in _COUNTED:
        return f"keep a view with {value} in its key (GROUP BY it too) and count(*), and compute this where it is read"
    if name in _OF_SUMS or name.startswith("regr_"):
        return "keep the count and the sums that it is made of, and compute it where it is read"
    return ""

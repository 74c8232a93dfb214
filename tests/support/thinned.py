"""Cases of which the suite has some, spread over all of them, and `make torture` the others."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable


def thinned(each: int, *cases: Iterable[Any]) -> list[Any]:
    """
    Each n-th case for the suite; of several lists, of all their combinations.

    Where n and the length of the last lists have no divisor in common, each case of each list is there in the suite.
    """
    made = list(itertools.product(*cases)) if len(cases) > 1 else [_values(one) for one in cases[0]]
    return [
        pytest.param(*values, marks=() if at % each == 0 else pytest.mark.torture) for at, values in enumerate(made)
    ]


def _values(case: Any) -> tuple[Any, ...]:
    return case if isinstance(case, tuple) else (case,)

"""A hundred thousand pairs of tables of every type, by every plan, against the oracle; a failure names its seeds."""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

import pytest

from dualgauge.comparison.engine.diff import DiffPlan
from support.oracle_bench import wrong_rules, wrong_seeds

if TYPE_CHECKING:
    from collections.abc import Callable

PAIRS = int(os.environ.get("DUALGAUGE_PAIRS", "100000"))
RULES = PAIRS // 20
BLOCK = 500
FIRST = 1_000_000
"""Seeds that the suite has not."""
PLANS = list(DiffPlan)

pytestmark = pytest.mark.torture


def _all(work: Callable[..., dict[str, list[str]]], blocks: list[tuple[Any, ...]], what: str) -> dict[str, list[str]]:
    """Spread blocks over all cores, and say every minute or so how far they are and what is wrong by then."""
    wrong: dict[str, list[str]] = {}
    said = time.monotonic()
    # Not forked: pytest has threads, and so has an engine.
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as processes:
        running = [processes.submit(work, *block) for block in blocks]
        for done, block in enumerate(as_completed(running), 1):
            wrong |= block.result()
            if time.monotonic() - said > 30 or done == len(blocks):
                said = time.monotonic()
                print(
                    f"{what}: {done * BLOCK:,} judged, wrong: {', '.join(wrong) or 'none'}",
                    file=sys.__stderr__,
                    flush=True,
                )
    return wrong


def test_a_hundred_thousand_pairs_are_answered_right() -> None:
    blocks = [
        (range(start, start + BLOCK), [PLANS[start // BLOCK % len(PLANS)]])
        for start in range(FIRST, FIRST + PAIRS, BLOCK)
    ]

    assert _all(wrong_seeds, blocks, "pairs") == {}


def test_five_thousand_columns_of_numbers_are_judged_by_rules_as_exact_arithmetic_does() -> None:
    blocks = [(range(start, start + BLOCK),) for start in range(FIRST, FIRST + RULES, BLOCK)]

    assert _all(wrong_rules, blocks, "rules") == {}

"""
What evidence is bound to: builds with their definition hashes, a comparator, the log and the configuration.

Change any of it, and the evidence is of something else. A run writes down what it found; a gate makes the same
from what is there now, without running anything, and compares.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualgauge.model import Side
from dualgauge.stores.errors import NotBuilt

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dualgauge.comparison.content.comparator import Comparator
    from dualgauge.comparison.runs.pairs import Pair
    from dualgauge.stores.serving.checkpoints import Checkpoint
    from dualgauge.stores.serving.port import ServedStore


def bound(
    pair: Pair, builds: Mapping[Side, Mapping[str, Checkpoint]], basis: Mapping[str, object]
) -> dict[str, object]:
    """What a diff of a pair is bound to: the builds that it compares, and `basis`, which all evidence is bound to."""
    return {
        **_sides(builds),
        "comparator": pair.name,
        "comparator_hash": pair.comparator.definition_hash(),
        **basis,
    }


def reads_bound(
    builds: Mapping[Side, Mapping[str, Checkpoint]],
    comparator: Comparator | None,
    routing: Mapping[str, object],
    basis: Mapping[str, object],
) -> dict[str, object]:
    """What the reads of a view are bound to: its builds, its comparator, and what canary.yaml says of reads."""
    rules = comparator.definition_hash() if comparator is not None else None
    return {**_sides(builds), "comparator_hash": rules, "routing": routing, **basis}


def _sides(builds: Mapping[Side, Mapping[str, Checkpoint]]) -> dict[str, object]:
    return {
        side.value: {
            # Nobody built an adopted table: what it is by its definition is all that evidence can be bound to.
            name: {
                "build": None if one.adopted else one.build,
                "token": one.token,
                "definition_hash": one.definition_hash,
            }
            for name, one in builds[side].items()
        }
        for side in Side
    }


def check_bound(
    pair: Pair, builds: Mapping[Side, Mapping[str, Checkpoint]], basis: Mapping[str, object]
) -> dict[str, object]:
    """What a run of a pair's checks is bound to: what its diff is, and the checks."""
    return {**bound(pair, builds, basis), "checks_hash": pair.comparator.checks_hash()}


def served(store: ServedStore, pair: Pair) -> dict[Side, dict[str, Checkpoint]]:
    """
    The builds that readers get now, of the views that a pair compares.

    Raises:
        NotBuilt: a view has no build.
    """
    return builds_of(pair, store.served_builds)


def builds_of(
    pair: Pair, served_builds: Callable[[Side], Mapping[str, Checkpoint]]
) -> dict[Side, dict[str, Checkpoint]]:
    """
    The builds of the views that a pair compares, out of those that a side serves.

    Raises:
        NotBuilt: a view has no build.
    """
    found: dict[Side, dict[str, Checkpoint]] = {}
    for side, names in pair.views.items():
        there = served_builds(side)
        for name in names:
            if name not in there:
                raise NotBuilt(f"{side.value}.{name}")
        found[side] = {name: there[name] for name in names}
    return found

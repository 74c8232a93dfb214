"""
Which rows are worth judging by value.

All of them, where both sides fit the memory (`wide`): a match then rests on nothing but values. Above that a hash
chooses: signed hash buckets where everything is exact, and a narrow join of key, row hash and the tolerant columns
elsewhere. A hash never makes a difference by itself, and hides one with a chance of about 2^-62 a bucket or a row, if
it is as good as it should be. Should it not be, some buckets chosen by chance are judged by value whatever it says.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from dualgauge.comparison.engine.equality import hashable
from dualgauge.comparison.engine.fetch import count_where
from dualgauge.comparison.engine.relations import named
from dualgauge.comparison.engine.sizes import fits
from dualgauge.comparison.errors import NoSuchPlan, PlanRefused

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from random import Random

    from dualgauge.comparison.engine.expectations import Expectation
    from dualgauge.comparison.engine.keys import Paired
    from dualgauge.comparison.engine.relations import Scratch
    from dualgauge.comparison.engine.schema import Layout

BUCKETS: Final = 1 << 16
MOST_BUCKETS: Final = BUCKETS // 5
"""Above a fifth of differing buckets the second pass reads most rows again, and the narrow join is quicker."""

ONE_OF: Final = 500
"""One bucket of so many, chosen by chance, is judged by value whatever its hash says: of n rows that differ unseen, one
at least is found but for a chance of (1 - 1 / 500)^n, one in a million at 6,901 rows."""

_MOST_KEPT: Final = 200
"""Rows of more columns are not kept while the buckets are counted, but read again: as structs they hold a vector for
each column at each step, hundreds of megabytes however few the rows are."""


class DiffPlan(StrEnum):
    """How candidates are found."""

    WIDE = "wide"
    BUCKETS = "buckets"
    NARROW = "narrow"

    @classmethod
    def named(cls, name: str | None) -> DiffPlan | None:
        """The plan of that name; None: none was asked for. Raises NoSuchPlan."""
        if name is not None and name not in list(cls):
            raise NoSuchPlan(name, list(cls))
        return None if name is None else cls(name)


@dataclass(frozen=True, slots=True)
class Candidates:
    """Relations with the rows of each side worth judging; `within` counts cells, by column, that a rule let pass."""

    v1: str
    v2: str
    within: Mapping[str, int]
    plan: str


def choose(
    space: Scratch,
    layout: Layout,
    expected: Sequence[Expectation],
    paired: Paired,
    *,
    wanted: DiffPlan | None,
    chance: Random,
) -> Candidates:
    """
    Find the candidates by the plan that suits, or by the one that is wanted.

    Args:
        space: where their relations are named.
        layout: the columns.
        expected: the expected differences, whose conditions need every row.
        paired: both sides' rows, with keys that are unique.
        wanted: the plan that was asked for; None: the tool chooses.
        chance: chooses the buckets of the net.

    Raises:
        PlanRefused: a hash was asked for and a type has none, or buckets were, and a tolerant rule or an expected
            difference needs every row.
    """
    v1, v2 = paired.v1, paired.v2
    unproven = _unproven(layout)
    if wanted is DiffPlan.WIDE or (wanted is None and unproven):
        return _wide(space, layout, v1, v2, why=unproven or "asked for")
    if unproven and wanted is not None:
        raise PlanRefused(wanted, unproven)
    if wanted is None and fits(space.engine, paired):
        return _wide(space, layout, v1, v2, why="both sides fit half of the memory limit")
    net = f"{_bucket(layout)} % {ONE_OF} = {chance.randrange(ONE_OF)}"
    tolerant = [column.name for column in layout.compared if not column.exact]
    needs_all = f"column {tolerant[0]!r} has a tolerant rule" if tolerant else "there are expected differences"
    if tolerant or expected:
        if wanted is DiffPlan.BUCKETS:
            raise PlanRefused(wanted, needs_all)
        return _narrow(space, layout, expected, v1, v2, why=needs_all, net=net)
    if wanted is DiffPlan.NARROW:
        return _narrow(space, layout, expected, v1, v2, why="asked for", net=net)
    keeps = len(space.engine.columns(f"SELECT * FROM {v1}")) <= _MOST_KEPT
    found = _buckets(space, layout, v1, v2, net=net if keeps else "false")
    count = space.engine.row(f"SELECT count(*) FROM {found} WHERE differs")[0]
    differ = f"{count:,} of {BUCKETS:,} buckets differ"
    if count > MOST_BUCKETS and wanted is None:
        return _narrow(space, layout, expected, v1, v2, why=differ, net=net)
    bad = f"SELECT bucket FROM {found} WHERE differs"
    chosen = [
        space.view(
            f"chosen_{side}",
            f"SELECT * FROM {relation} WHERE {_bucket(layout)} IN ({bad}) UNION ALL "
            f"SELECT unnest(row) FROM (SELECT unnest({side}) AS row FROM {found} WHERE NOT differs)"
            if keeps
            else f"SELECT * FROM {relation} WHERE {_bucket(layout)} IN ({bad}) OR {net}",
        )
        for side, relation in (("v1", v1), ("v2", v2))
    ]
    return Candidates(chosen[0], chosen[1], {}, f"{DiffPlan.BUCKETS}: {count:,} of {BUCKETS:,} differ{_NET}")


_NET: Final = f", and one of {ONE_OF} was judged by value"


def _wide(space: Scratch, layout: Layout, v1: str, v2: str, *, why: str) -> Candidates:
    """Every row is judged. Cells that only a rule lets pass are counted by themselves."""
    tolerant = [at for at, column in enumerate(layout.compared) if not column.exact]
    counted: dict[str, int] = {}
    if tolerant:
        counts = ", ".join(count_where(_within(layout, at)) for at in tolerant)
        found = space.engine.row(f"SELECT {counts} FROM {v1} AS v1 JOIN {v2} AS v2 ON {layout.on('v1', 'v2')}")
        counted = {layout.compared[at].name: int(cells) for at, cells in zip(tolerant, found, strict=True)}
    return Candidates(v1, v2, counted, f"{DiffPlan.WIDE}: {why}")


def _within(layout: Layout, at: int) -> str:
    """The condition that a pair's cells are unequal, and the same by their rule."""
    a, b = (f"{side}.{layout.value(at)}" for side in ("v1", "v2"))
    return f"{a} IS DISTINCT FROM {b} AND {layout.same(at, 'v1', 'v2')}"


def _unproven(layout: Layout) -> str:
    """Why a hash cannot choose: the first column whose type has none that tells every two values apart."""
    for column in (*layout.keys, *layout.compared):
        if hashable("", column.key_kind if column in layout.keys else column.kind) is None:
            return f"column {column.name!r} is {column.common.name}, and no hash of that type is proven"
    return ""


def _bucket(layout: Layout) -> str:
    return f"CAST(hash({', '.join(layout.key_names)}) & {BUCKETS - 1} AS USMALLINT)"


def _hash(columns: Sequence[tuple[str, str | None]]) -> str:
    """The hash of a row: of each column by itself, and of which of them are NULL."""
    told = [*(text for _, text in columns if text is not None), *(f"{name} IS NULL" for name, _ in columns)]
    return f"hash({', '.join(told)})"


def _keys(layout: Layout) -> list[tuple[str, str | None]]:
    forms = [(name, column.key_kind) for name, column in zip(layout.key_names, layout.keys, strict=True)]
    return [(name, hashable(name, kind)) for name, kind in forms]


def _exact(layout: Layout) -> list[tuple[str, str | None]]:
    return [
        (layout.value(at), hashable(layout.value(at), column.kind))
        for at, column in enumerate(layout.compared)
        if column.exact
    ] + [(layout.unfit(at), layout.unfit(at)) for at in layout.risky]


def _buckets(space: Scratch, layout: Layout, v1: str, v2: str, *, net: str) -> str:
    """
    Count and sum the row hashes of both sides in one aggregate: v1's with plus, v2's with minus.

    Names the table of the buckets that differ and, with their rows of both sides, of those in the net. A USMALLINT
    group is dense, so that DuckDB counts in an array instead of a hash table (`perfect_ht_threshold`).
    """
    bucket = _bucket(layout)
    # Shifted, so that a signed number holds the hash and its negative.
    row = f"CAST({_hash([*_keys(layout), *_exact(layout)])} >> 2 AS BIGINT)"
    whole = []
    for relation in (v1, v2):
        names = list(space.engine.columns(f"SELECT * FROM {relation}"))
        whole.append(f"struct_pack({', '.join(f'{name} := {name}' for name in names)})")
    caught = f"CASE WHEN {net} THEN {{}} END"
    return space.table(
        "buckets",
        "SELECT bucket, sum(sign) <> 0 OR sum(h) <> 0 AS differs, "
        "list(row1) FILTER (row1 IS NOT NULL) AS v1, list(row2) FILTER (row2 IS NOT NULL) AS v2 FROM "
        f"(SELECT {bucket} AS bucket, 1 AS sign, {row} AS h, {caught.format(whole[0])} AS row1, NULL AS row2 FROM {v1} "
        f"UNION ALL SELECT {bucket}, -1, -{row}, NULL, {caught.format(whole[1])} FROM {v2}) "
        "GROUP BY bucket HAVING differs OR v1 IS NOT NULL OR v2 IS NOT NULL",
    )


def _narrow(
    space: Scratch,
    layout: Layout,
    expected: Sequence[Expectation],
    v1: str,
    v2: str,
    *,
    why: str,
    net: str,
) -> Candidates:
    """
    Join key, hash of the exact columns, tolerant columns and what the conditions use; keep the candidates' keys.

    Rows that only a rule lets pass are kept beside them, to be counted.
    """
    tolerant = [at for at, column in enumerate(layout.compared) if not column.exact]
    exact = _exact(layout)
    hashed, candidate = layout.own("hash"), layout.own("candidate")
    sides = []
    for side, relation in (("v1", v1), ("v2", v2)):
        # What is not used of it does not go through the join.
        source = named(layout, side, relation) if expected else relation
        sides.append(f"(SELECT *, {_hash(exact) if exact else '0'} AS {hashed} FROM {source})")
    alone = f"{layout.alone('v1')} OR {layout.alone('v2')}"
    judged = [f"v1.{hashed} <> v2.{hashed}"]
    judged += [f"NOT {layout.same(at, 'v1', 'v2')}" for at in tolerant]
    judged += [expectation.when for expectation in expected if expectation.live]
    passed = [layout.own(f"within_{at}") for at in tolerant]
    picks = [f"coalesce(v1.{key}, v2.{key}) AS {key}" for key in layout.key_names]
    picks.append(f"({alone} OR {' OR '.join(judged)}) AS {candidate}")
    picks += [f"(NOT ({alone}) AND {_within(layout, at)}) AS {name}" for at, name in zip(tolerant, passed, strict=True)]
    joined = f"SELECT {', '.join(picks)} FROM {sides[0]} AS v1 FULL JOIN {sides[1]} AS v2 ON {layout.on('v1', 'v2')}"
    chosen_by = f"SELECT * REPLACE ({candidate} OR {net} AS {candidate}) FROM ({joined})"
    table = space.table("candidates", f"SELECT * FROM ({chosen_by}) WHERE {' OR '.join([candidate, *passed])}")
    counts = [count_where(name) for name in passed]
    found = space.engine.row(f"SELECT {', '.join(['count(*)', *counts])} FROM {table}")[1:]
    chosen = [
        space.view(
            f"chosen_{side}",
            f"SELECT * FROM {relation} AS s WHERE EXISTS "
            f"(SELECT 1 FROM {table} AS c WHERE c.{candidate} AND {layout.on('c', 's')})",
        )
        for side, relation in (("v1", v1), ("v2", v2))
    ]
    counted = {layout.compared[at].name: int(cells) for at, cells in zip(tolerant, found, strict=True)}
    return Candidates(chosen[0], chosen[1], counted, f"{DiffPlan.NARROW}: {why}{_NET}")

"""
Judging the candidates by value: which rows differ, in which columns, and which of them were expected.

The table that comes out holds every row that is not matched. Its columns are named by place, so that no
name of the user's can collide: k0.. the key, a0../b0.. the compared values of v1 and v2, x0../y0.. the rest,
p0../q0.. whether the common type lost v1's and v2's value, d0.. whether the cell is wrong, f0.. whether the two sides
differ in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualgauge.comparison.engine.expectations import met
from dualgauge.comparison.engine.relations import named
from dualgauge.comparison.values import UNEXPECTED_SAME, DifferenceKind
from dualgauge.model import literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualgauge.comparison.engine.candidates import Candidates
    from dualgauge.comparison.engine.expectations import Expectation
    from dualgauge.comparison.engine.relations import Scratch
    from dualgauge.comparison.engine.schema import Layout


def judge(space: Scratch, layout: Layout, expected: Sequence[Expectation], candidates: Candidates) -> str:
    """
    Name the table of rows that are not matched, with `kind`, `note`, `excused` and `lapsed`.

    `excused` is the place of the expected difference that a row meets (NULL: it is a mismatch), `lapsed` the
    place of the expired one that it would have met.
    """
    cells = _cells(layout, expected, candidates)
    flagged = f"SELECT *, {', '.join(_flags(layout, expected))} FROM ({cells})"
    ruled = f"SELECT *, {', '.join(_rulings(layout, expected))} FROM ({flagged})"
    mismatched = "NOT no1 AND NOT no2 AND excused IS NULL"
    governed = f"SELECT *, {_governing(expected)} AS governing, {mismatched} AS mismatched FROM ({ruled})"
    wrong = [f"({_wrong(at, expected)}) AS d{at}" for at in range(len(layout.compared))]
    columns = [
        "* EXCLUDE (no1, no2, governing, mismatched)",
        *wrong,
        f"{_kind()} AS kind",
        f"{_note(expected)} AS note",
    ]
    unmatched = "NOT same OR (excused IS NULL AND governing IS NOT NULL)"
    return space.table("judged", f"SELECT {', '.join(columns)} FROM ({governed}) WHERE {unmatched}")


def _cells(layout: Layout, expected: Sequence[Expectation], candidates: Candidates) -> str:
    """Both rows side by side, and what each expectation says of the pair."""
    shown = [layout.shown(at) for at in range(len(layout.keys))]
    chosen = [f"coalesce(v1.{key}, v2.{key}) AS k{at}" for at, key in enumerate(shown)]
    chosen += [f"{layout.alone('v1')} AS no1", f"{layout.alone('v2')} AS no2"]
    for at in range(len(layout.compared)):
        chosen += [f"v1.{layout.value(at)} AS a{at}", f"v2.{layout.value(at)} AS b{at}"]
    for at in layout.risky:
        chosen += [f"coalesce({side}.{layout.unfit(at)}, 0) AS {name}{at}" for side, name in (("v1", "p"), ("v2", "q"))]
    chosen += [f"v1.{layout.rest(at)} AS x{at}" for at in range(len(layout.rest_v1))]
    chosen += [f"v2.{layout.rest(at)} AS y{at}" for at in range(len(layout.rest_v2))]
    for expectation in expected:
        chosen.append(f"{expectation.when} AS w{expectation.at}")
        # Only where the condition holds: elsewhere the expression may divide by zero, and does not matter.
        chosen += [
            f"CASE WHEN {expectation.when} THEN ({text}\n) END AS e{expectation.at}_{at}"
            for at, text in expectation.equals.items()
        ]
    sides = [(side, getattr(candidates, side)) for side in ("v1", "v2")]
    v1, v2 = (named(layout, side, relation) if expected else relation for side, relation in sides)
    return f"SELECT {', '.join(chosen)} FROM {v1} AS v1 FULL JOIN {v2} AS v2 ON {layout.on('v1', 'v2')}"


def _flags(layout: Layout, expected: Sequence[Expectation]) -> list[str]:
    """f: the two sides differ in the cell. m: v2 is what the expectation says."""
    lost = {at: f"p{at} + q{at} > 0 OR " for at in layout.risky}
    flags = [
        f"({lost.get(at, '')}NOT {column.same(f'a{at}', f'b{at}')}) AS f{at}"
        for at, column in enumerate(layout.compared)
    ]
    # What is lost is no value that could be expected.
    held = {at: f"q{at} = 0 AND " for at in layout.risky}
    for expectation in expected:
        flags += [
            f"({held.get(at, '')}{met(layout.compared[at], f'e{expectation.at}_{at}', f'b{at}')}) "
            f"AS m{expectation.at}_{at}"
            for at in expectation.equals
        ]
    return flags or ["true AS nothing"]


def _rulings(layout: Layout, expected: Sequence[Expectation]) -> list[str]:
    """Whether the pair is the same; the first live expectation that it meets; the first expired one."""
    places = range(len(layout.compared))
    same = " AND ".join(["NOT no1", "NOT no2", *(f"NOT f{at}" for at in places)])
    return [
        f"({same}) AS same",
        f"{_first_met([e for e in expected if e.live], places)} AS excused",
        f"{_first_met([e for e in expected if not e.live], places)} AS lapsed",
    ]


def _first_met(expected: Sequence[Expectation], places: range) -> str:
    arms = []
    for expectation in expected:
        if expectation.source.v2_equals:
            said = [f"m{expectation.at}_{at}" for at in expectation.equals]
            said += [f"NOT f{at}" for at in places if at not in expectation.equals]
        else:
            said = ["(no1 OR no2)"]
        arms.append(f"WHEN {' AND '.join([f'w{expectation.at}', *said])} THEN {expectation.at}")
    return f"CASE {' '.join(arms)} ELSE CAST(NULL AS INTEGER) END" if arms else "CAST(NULL AS INTEGER)"


def _governing(expected: Sequence[Expectation]) -> str:
    """
    The expectation by which a pair's cells are right or wrong; NULL: by the sides being equal.

    First one that asked for a change that did not come, then the first whose condition holds.
    """
    live = [e for e in expected if e.live and e.equals]
    arms = [f"WHEN NOT no1 AND NOT no2 AND {_unmoved(e)} THEN {e.at}" for e in live]
    arms += [f"WHEN NOT no1 AND NOT no2 AND NOT same AND w{e.at} THEN {e.at}" for e in live]
    return f"CASE {' '.join(arms)} ELSE CAST(NULL AS INTEGER) END" if arms else "CAST(NULL AS INTEGER)"


def _unmoved(expectation: Expectation) -> str:
    """The condition holds, the sides agree in all its columns, and v2 should be another value."""
    still = " AND ".join(f"NOT f{at}" for at in expectation.equals)
    met_all = " AND ".join(f"m{expectation.at}_{at}" for at in expectation.equals)
    return f"w{expectation.at} AND {still} AND NOT ({met_all})"


def _wrong(at: int, expected: Sequence[Expectation]) -> str:
    """A cell of a mismatched pair is wrong if it is not what the governing expectation says, or differs."""
    arms = [f"WHEN governing = {e.at} THEN NOT m{e.at}_{at}" for e in expected if e.live and at in e.equals]
    ruled = f"CASE {' '.join(arms)} ELSE f{at} END" if arms else f"f{at}"
    return f"mismatched AND {ruled}"


def _kind() -> str:
    one, two, both = DifferenceKind.ONLY_IN_V1, DifferenceKind.ONLY_IN_V2, DifferenceKind.CHANGED
    return f"CASE WHEN no2 THEN '{one}' WHEN no1 THEN '{two}' ELSE '{both}' END"


def _note(expected: Sequence[Expectation]) -> str:
    arms = ["WHEN excused IS NOT NULL THEN ''"]
    arms += [
        f"WHEN governing = {e.at} AND {_unmoved(e)} THEN '{UNEXPECTED_SAME}'" for e in expected if e.live and e.equals
    ]
    arms += [
        f"WHEN lapsed = {e.at} THEN {literal(f'expired: {e.source.reason} (until {e.source.until.isoformat()})')}"
        for e in expected
        if not e.live
    ]
    return f"CASE {' '.join(arms)} ELSE '' END"

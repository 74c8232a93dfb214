"""What reads of applications are evidence for, and what they came to."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from dualgauge.ledger.reads import PairVerdict, ReadSample, ReadsJudged
from dualgauge.ledger.routing import CHANGED
from dualgauge.model import Side, canonical_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from dualgauge.comparison.content.comparator import Comparator
    from dualgauge.ledger.ledger import Ledger
    from dualgauge.ledger.reads import ReadCount, ReadPair, ReadsNow
    from dualgauge.ledger.values import MigrationState
    from dualgauge.workspace import Handles

_ROWS, _LONG = 20, 500
"""Rows of a sample, and characters of a value, at most."""

_UNJUDGED = ("excluded", "comparator_error", "settling")
"""Outcomes of shadow reads whose answers differ, or are no rows, and which nobody judged, or not yet."""

_OF_READS = ("unit", "serve", "shadow")
"""What of canary.yaml the evidence of reads rests on, beside the rules of a view."""


@dataclass(frozen=True, slots=True)
class RateBelow:
    """
    Below which rate of bad reads the different reads that were judged at a share prove it to be.

    `bad` are those of which the first was bad; `ever_bad` those of which any was. `unjudged` were not judged, though
    they differ or might have to: they wait, or could not be. The rate takes both for bad: it would be better for what
    was left out.
    """

    share_ppm: int
    reads: int
    bad: int
    ever_bad: int
    unjudged: int
    rate_below: float


@dataclass(frozen=True, slots=True)
class ViewReads:
    """
    What the reads of a view came to.

    `evidence_key` is empty where they are not counted; `stale`: they are counted for builds, a comparator or settings
    that are not those of now. `waiting` pairs of answers are not judged yet. `alpha` is the chance that a rate is
    claimed wrongly.
    """

    view: str
    evidence_key: str
    stale: bool
    counts: tuple[ReadCount, ...]
    judged: tuple[RateBelow, ...]
    samples: tuple[ReadSample, ...]
    waiting: int
    alpha: float


@dataclass(frozen=True, slots=True)
class PairsJudged:
    """What became of the pairs of answers of a view that waited to be judged."""

    view: str
    expected: int
    mismatched: int
    comparator_error: int


def by_row(comparators: Mapping[str, Comparator], view: str) -> Comparator | None:
    """The comparator by whose row rules the reads of a view are compared; None where there is none."""
    found = comparators.get(view)
    return found if found is not None and found.v1 is None and found.v2 is None else None


def shared(handles: Handles) -> list[str]:
    """The names of the views that both sides have."""
    sides = [{view.name for view in handles.views if view.side is side} for side in Side]
    return sorted(set.intersection(*sides))


def bases(handles: Handles, canary: str) -> dict[str, Mapping[str, object]]:
    """
    What the reads of each view are evidence for now, by the file that is in force; nothing without one.

    Builds are looked at anew.
    """
    from dualgauge.comparison.runs.binding import reads_bound

    if canary in ("", CHANGED):
        return {}
    said = json.loads(canary)
    served = {side: handles.store.served_builds(side) for side in Side}
    found: dict[str, Mapping[str, object]] = {}
    for name in shared(handles):
        if all(name in served[side] for side in Side):
            builds = {side: {name: served[side][name]} for side in Side}
            routing = {key: said.get(key) for key in _OF_READS} | {"rules": said.get("views", {}).get(name)}
            found[name] = reads_bound(builds, by_row(handles.comparators, name), routing, handles.basis)
    return found


def count_for(handles: Handles, ledger: Ledger, state: MigrationState, at: datetime) -> None:
    """Have routers count reads for what is there now."""
    ledger.reads_of(state.name).count_for(bases(handles, state.canary), at=at)


def reads(handles: Handles, migration: str) -> list[ViewReads]:
    """What the reads of each view that both sides have came to."""
    from dualgauge.ledger.reads import ReadsNow

    state, ledger = handles.state, handles.known_ledger
    now = ledger.reads_of(migration).now() if ledger else ReadsNow({})
    said: dict[str, Any] = json.loads(state.canary) if state.canary not in ("", CHANGED) else {}
    alpha = float(said.get("alpha", 0.05))
    wanted = bases(handles, state.canary)
    found = []
    for view in sorted({*shared(handles), *now.bases}):
        counted = now.bases.get(view)
        found.append(
            ViewReads(
                view, counted.key if counted else "", counted is not None and wanted.get(view) != counted.bound,
                tuple(one for one in now.counts if one.view == view),
                _rates(now, view, alpha),
                tuple(one for one in now.samples if one.view == view), now.waiting.get(view, 0), alpha,
            )
        )  # fmt: skip
    return found


def _rates(now: ReadsNow, view: str, alpha: float) -> tuple[RateBelow, ...]:
    from dualgauge.cutover.statistics import upper_bound

    judged = {one.share_ppm: one for one in now.judged if one.view == view}
    shadows = [one for one in now.counts if one.view == view and one.kind == "shadow"]
    # Which of them are of which share, pairs that wait do not say.
    waiting = now.waiting.get(view, 0)
    pending = {one.share_ppm for one in shadows if waiting and one.outcome == "pending"}
    unjudged = Counter(dict.fromkeys(judged.keys() | pending, waiting))
    for one in shadows:
        if one.outcome in _UNJUDGED:
            unjudged[one.share_ppm] += max(one.reads, 0)
    found = []
    for share, left_out in sorted(unjudged.items()):
        of = judged.get(share, ReadsJudged(view, share, 0, 0, 0))
        rate = upper_bound(of.reads + left_out, of.ever_bad + left_out, alpha)
        found.append(RateBelow(share, of.reads, of.bad, of.ever_bad, left_out, rate))
    return tuple(found)


def judge(handles: Handles, migration: str, at: datetime) -> list[PairsJudged]:
    """
    Judge the pairs of answers that wait: those that differ as the comparator expects are good.

    Those of a view that is counted for something else than is there now wait on.
    """
    from dualgauge.comparison.engine.answers import judge_answers

    if handles.known_ledger is None:
        return []
    state, kept = handles.state, handles.ledger.reads_of(migration)
    found: dict[str, Counter[PairVerdict]] = {}
    wanted, counted = bases(handles, state.canary), kept.now().bases
    current = [view for view, basis in counted.items() if wanted.get(view) == basis.bound]
    columns = {(view.side, view.name): view.columns for view in handles.views}
    while pairs := kept.waiting(current):
        for view, some in groupby(pairs, key=lambda one: one.view):
            waiting = list(some)
            comparator = by_row(handles.comparators, view)
            assert comparator is not None  # noqa: S101  (else nothing was counted for it)
            verdicts = judge_answers(
                handles.engine, comparator, [(one.v1, one.v2) for one in waiting],
                {side: columns[side, view] for side in Side}, at.date(),
            )  # fmt: skip
            done = kept.judge(list(zip(waiting, verdicts, strict=True)), [_sample(one) for one in waiting], at)
            found.setdefault(view, Counter()).update(done)
    return [PairsJudged(view, *(of[verdict] for verdict in PairVerdict)) for view, of in sorted(found.items())]


def _sample(pair: ReadPair) -> ReadSample:
    """A pair as a sample: the columns that differ, and both answers. A router keeps no pair with what is secret."""
    v1, v2 = json.loads(pair.v1), json.loads(pair.v2)
    alone = len(v1) == len(v2) == 1
    names = sorted(name for name in v1[0].keys() | v2[0].keys() if v1[0].get(name) != v2[0].get(name)) if alone else []
    shown = (tuple({name: _shown(value) for name, value in row.items()} for row in rows[:_ROWS]) for rows in (v1, v2))
    columns = tuple(names) or (("(unexpected same)",) if v1 == v2 else ("(rows)",))
    return ReadSample(pair.view, PairVerdict.MISMATCHED, "", columns, *shown)


def _shown(value: str | list[str] | None) -> object:
    """A value of a sample: a number, a list or a dict is itself where JSON holds it as it is, else its text."""
    if not isinstance(value, list):
        return value and value[:_LONG]
    (text,) = value
    try:
        found = json.loads(text)
    except ValueError:
        return text[:_LONG]
    return found if len(text) <= _LONG and canonical_json(found) == text else text[:_LONG]

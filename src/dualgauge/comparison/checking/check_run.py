"""
A check run: a comparator's checks asked of the views in the serving store, and the drifts between its sides.

Everything is of one position: what is asked of a build is read in one transaction with its checkpoint, which goes on
where a tail moves the build; an adopted table is read as it is when it is asked. If readers get another build meanwhile
it is all done again. The result is kept as evidence; a comparator without checks only has its drifts shown.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from dualgauge.comparison.checking.gx import expecting, resolve
from dualgauge.comparison.content.checks import placed, single
from dualgauge.comparison.engine.profile import between
from dualgauge.comparison.errors import BuildsMoved, UnequalPositions
from dualgauge.comparison.runs.binding import builds_of, check_bound, served
from dualgauge.comparison.runs.recording import Keeping, recording
from dualgauge.comparison.runs.run import common
from dualgauge.comparison.runs.snapshot import pin
from dualgauge.engines.scratch import scratch
from dualgauge.eventlog.table.lag import lag_of
from dualgauge.ledger.values import EvidenceKind
from dualgauge.model import Outcome, Position, Progress, Side, as_json, plural, silent
from dualgauge.stores.serving.checkpoints import ADOPTED

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from dualgauge.comparison.checking.gx import CheckResult, Expecting
    from dualgauge.comparison.content.checks import Check
    from dualgauge.comparison.runs.barrier import Barrier
    from dualgauge.comparison.runs.pairs import Pair
    from dualgauge.comparison.runs.snapshot import Pinned
    from dualgauge.comparison.values import Drift
    from dualgauge.engines.duck import Engine
    from dualgauge.eventlog.table.event_log import EventLog
    from dualgauge.stores.external.sql_location import SqlLocation
    from dualgauge.stores.serving.checkpoints import Checkpoint
    from dualgauge.stores.serving.port import ServedStore

    Where = Callable[[Side, str], SqlLocation]
    """Says where a side's view is, for Great Expectations to read it."""

RESULT: Final = "check.json"

TRIES: Final = 3
"""Looks at most: the builds may change in one, by a replay or a tail."""


@dataclass(frozen=True, slots=True)
class CheckRun:
    """
    One comparator's run of checks, and its drifts.

    Where the comparator has no checks, nothing was kept: `run_id`, `verdict`, `evidence_key`, `folder` and
    `shown_folder` are None, and `results` is empty.
    """

    run_id: str | None
    name: str
    position: Position
    verdict: Outcome | None
    why: tuple[str, ...]
    evidence_key: str | None
    folder: Path | None
    shown_folder: str | None
    seconds: float
    results: tuple[CheckResult, ...]
    drifts: tuple[Drift, ...]

    def to_json(self) -> dict[str, object]:
        """What `check.json` and `--format json` hold."""
        return {
            "run": self.run_id,
            "comparator": self.name,
            "position": self.position,
            "verdict": self.verdict and self.verdict.value,
            "why": list(self.why),
            "evidence_key": self.evidence_key,
            "folder": self.shown_folder,
            "seconds": round(self.seconds, 3),
            "results": as_json(self.results),
            "drifts": as_json(self.drifts),
        }


@dataclass(frozen=True, slots=True)
class Question:
    """One check of one view, ready to be asked."""

    side: Side
    view: str
    place: SqlLocation
    check: Check
    expectation: Any

    @property
    def label(self) -> str:
        """What messages call the view: `v2.orders`."""
        return f"{self.side.value}.{self.view}"


def run_checks(
    engine: Engine,
    log: EventLog,
    store: ServedStore,
    pairs: Sequence[Pair],
    *,
    where: Where,
    keeping: Keeping,
    barrier: Barrier | None = None,
    progress: Progress = silent,
) -> list[CheckRun]:
    """
    Ask every pair's checks, and look at its drifts. Each run of checks is kept as evidence.

    Whatever is wrong with a check as it is written is found for all pairs before the first one is asked.

    Raises:
        NotRead, UnclearView, NoSuchExpectation, BadArguments: a check cannot be asked; no run was begun.
        NotBuilt, UnequalPositions: the sides cannot be looked at now.
        BuildsMoved: the builds changed at each look; a run that was begun is inconclusive.
        StoreRefused: a side's file cannot be read.
    """
    asked = [
        [
            (side, view, where(side, view), check)
            for check in single(pair.comparator.checks)
            for side, view in placed(pair.name, check, pair.views)
        ]
        for pair in pairs
    ]
    if any(asked):
        progress("loading Great Expectations", 0, None)
    questions = [
        [
            Question(side, view, place, check, resolve(pair.name, check, place.kind))
            for side, view, place, check in wanted
        ]
        for pair, wanted in zip(pairs, asked, strict=True)
    ]
    sides = _Sides(engine, log, store, keeping, progress)
    return [sides.steady(pair, wanted, barrier) for pair, wanted in zip(pairs, questions, strict=True)]


@dataclass(frozen=True, slots=True)
class _Sides:
    """Both sides, to be looked at for one pair after the other."""

    engine: Engine
    log: EventLog
    store: ServedStore
    keeping: Keeping
    progress: Progress

    def steady(self, pair: Pair, questions: Sequence[Question], barrier: Barrier | None) -> CheckRun:
        """Look at the sides as they are, and where something moves them or they are late, as a tail holds them."""
        self.log.refresh()
        late = barrier is not None and barrier.late(pair.views, partial(lag_of, self.log, now=self.keeping.clock()))
        for at in range(TRIES):
            try:
                found = self.look(pair, questions, barrier if at or late else None)
            except UnequalPositions:
                if at or barrier is None:
                    raise
                continue
            if found is not None:
                return found
        raise BuildsMoved(pair.name, TRIES)

    def look(self, pair: Pair, questions: Sequence[Question], barrier: Barrier | None) -> CheckRun | None:
        """Look once; None where the builds changed meanwhile, and a run that was begun is one that could not tell."""
        started = self.keeping.clock()
        self.log.refresh()
        with expecting() if questions else nullcontext() as work:
            seen: dict[Side, Mapping[str, Checkpoint]] = {}
            pinned, drifts = self._pin(pair, questions, work, barrier, seen)
            if work is None:
                seconds = (self.keeping.clock() - started).total_seconds()
                return CheckRun(
                    None, pair.name, pinned.position, None, (), None, None, None,
                    seconds=seconds, results=(), drifts=drifts,
                )  # fmt: skip
            if _places(pinned.builds) != _places(builds_of(pair, seen.__getitem__)):
                return None
            return self._judge(pair, questions, work, pinned, drifts, started=started)

    def _pin(
        self,
        pair: Pair,
        questions: Sequence[Question],
        work: Expecting | None,
        barrier: Barrier | None,
        seen: dict[Side, Mapping[str, Checkpoint]],
    ) -> tuple[Pinned, tuple[Drift, ...]]:
        """
        Open what the checks will read, and look at the drifts, at one position.

        `seen` gets how far each side's builds are once its transactions are open.
        """

        def opened(side: Side) -> None:
            if work is not None:
                builds = {name for name, build in self.store.served(side).items() if build != ADOPTED}
                for one in questions:
                    if one.side is side and one.view in builds:
                        work.hold(one.place)
            # Read behind the transactions: what is so before them and behind them is so in them.
            seen[side] = self.store.served_builds(side)

        with scratch("check") as pins, barrier.asked(pair.views) if barrier else nullcontext() as held:
            pinned = pin(
                self.engine, self.store, pair.views, self.log.settings.all_columns, pins,
                held=held, opened=opened, progress=self.progress,
            )  # fmt: skip
            v1, v2 = (common(pair, pinned, side) for side in Side) if pair.undeclared else (pair.v1, pair.v2)
            self.progress(f"{pair.name}: drifts", 0, None)
            return pinned, between(self.engine, v1, v2, pair.comparator, stable=pair.plain, context=not pair.plain)

    def _judge(
        self,
        pair: Pair,
        questions: Sequence[Question],
        work: Expecting,
        pinned: Pinned,
        drifts: tuple[Drift, ...],
        *,
        started: dt.datetime,
    ) -> CheckRun | None:
        """Ask the checks and keep what they say as evidence; None where readers got other builds meanwhile."""
        about = check_bound(pair, pinned.builds, self.keeping.basis)
        lag = lag_of(self.log, pinned.position, started)
        begun = recording(
            self.keeping, EvidenceKind.CHECK, pair.name, about, position=pinned.position, lag=lag, started=started
        )
        with begun as record:
            results = _ask(work, pair.name, questions, self.progress)
            if _numbers(served(self.store, pair)) != _numbers(pinned.builds):
                record.could_not_look("the builds changed while they were checked")
                return None
            verdict, why = judged(results)
            finished = self.keeping.clock()
            run = CheckRun(
                run_id=record.run_id,
                name=pair.name,
                position=pinned.position,
                verdict=verdict,
                why=why,
                evidence_key=record.evidence_key,
                folder=record.folder,
                shown_folder=record.shown,
                seconds=(finished - started).total_seconds(),
                results=results,
                drifts=drifts,
            )
            record.finish(RESULT, run.to_json(), verdict, {**_summary(results), "why": list(why)}, at=finished)
        return run


def _ask(
    work: Expecting, name: str, questions: Sequence[Question], progress: Progress
) -> tuple[CheckResult, ...]:  # fmt: skip
    found = []
    for at, one in enumerate(questions):
        progress(f"{name}: {one.label} {one.check.name}", at, len(questions))
        found.append(work.judge(one.label, one.place, one.check, one.expectation))
    return tuple(found)


def _numbers(builds: Mapping[Side, Mapping[str, Checkpoint]]) -> dict[tuple[Side, str], tuple[int, str]]:
    """Which build each view is."""
    return {
        (side, name): (one.build, one.definition_hash) for side, views in builds.items() for name, one in views.items()
    }


def _places(builds: Mapping[Side, Mapping[str, Checkpoint]]) -> dict[tuple[Side, str], tuple[int, Position | None]]:
    """Which build each view is, and how far; adopted tables stand for themselves."""
    return {
        (side, name): (one.build, one.position)
        for side, views in builds.items()
        for name, one in views.items()
        if not one.adopted
    }


def judged(results: Sequence[CheckResult]) -> tuple[Outcome, tuple[str, ...]]:
    """
    Pass, fail or inconclusive, with a reason for each check that did not pass, the failed ones first.

    One that failed makes the run fail, whatever others could not tell.
    """
    failed = [one for one in results if one.success is False]
    untold = [one for one in results if one.success is None]
    why = [_failure(one) for one in failed]
    why += [f"{one.view} {one.expectation}: could not tell: {one.error}" for one in untold]
    if failed:
        return Outcome.FAIL, tuple(why)
    if untold:
        return Outcome.INCONCLUSIVE, tuple(why)
    return Outcome.PASS, (f"{plural(len(results), 'check')} passed",)


def _failure(one: CheckResult) -> str:
    if one.checked is not None and one.unexpected is not None:
        return f"{one.view} {one.expectation}: {one.unexpected:,} of {plural(one.checked, 'row')} unexpected"
    return f"{one.view} {one.expectation}: observed {one.to_json()['observed']}"


def _summary(results: Sequence[CheckResult]) -> dict[str, object]:
    return {
        "checks": len(results),
        "passed": sum(one.success is True for one in results),
        "failed": sum(one.success is False for one in results),
        "could_not_tell": sum(one.success is None for one in results),
    }


def worst(runs: Sequence[CheckRun]) -> Outcome | None:
    """The verdict over several runs: fail before inconclusive before pass; None where no run had checks."""
    found = {one.verdict for one in runs}
    return next((one for one in (Outcome.FAIL, Outcome.INCONCLUSIVE, Outcome.PASS) if one in found), None)

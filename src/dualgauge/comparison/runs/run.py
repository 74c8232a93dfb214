"""
A diff run: comparators resolved against the views, both sides pinned, compared, traced, and kept as evidence.

The evidence is bound to definition hashes, build numbers, comparator hash and configuration hash, and says the
position. A run that was killed stays `running` in the ledger and is evidence of nothing.
"""

from __future__ import annotations

import json
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from dualgauge.comparison.engine.diff import compare_relations
from dualgauge.comparison.errors import ChangedMeanwhile, NotBrought, UnequalPositions, UntracedEvents
from dualgauge.comparison.runs.binding import bound
from dualgauge.comparison.runs.in_flight import SETTLE_SECONDS, lacking, noted, still, without
from dualgauge.comparison.runs.recording import recording
from dualgauge.comparison.runs.run_files import MISMATCHES, RESULT
from dualgauge.comparison.runs.snapshot import pin
from dualgauge.comparison.runs.touched import SWEEP, VERIFIED, Since
from dualgauge.comparison.runs.trace import touched, trace
from dualgauge.engines.errors import EngineError
from dualgauge.engines.scratch import scratch
from dualgauge.errors import UsageError
from dualgauge.eventlog.table.lag import lag_of
from dualgauge.ledger.values import TOUCHED, EvidenceKind
from dualgauge.model import Outcome, Position, Progress, Side, fold, literal, quote, silent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import timedelta
    from pathlib import Path
    from random import Random

    from dualgauge.comparison.engine.candidates import DiffPlan
    from dualgauge.comparison.runs.barrier import Barrier
    from dualgauge.comparison.runs.live import Feeds
    from dualgauge.comparison.runs.pairs import Pair
    from dualgauge.comparison.runs.recording import Keeping
    from dualgauge.comparison.runs.snapshot import Pinned
    from dualgauge.comparison.runs.touched import Touched
    from dualgauge.comparison.values import Comparison
    from dualgauge.engines.duck import Engine
    from dualgauge.eventlog.table.event_log import EventLog
    from dualgauge.ledger.seal import Evidence
    from dualgauge.stores.serving.port import ServedStore

CHANGES, CHANGES_LEFT_OUT, DRIFTED = "changes", "changes_left_out", "drifted"
"""What a run's line in the ledger calls its changes, how many of them it leaves out, and how many columns drifted."""

MOST_CHANGES = 200
"""So many changes are kept in the ledger, those with most rows; a comparison has thousands of columns, perhaps."""


@dataclass(frozen=True, slots=True)
class DiffRun:
    """
    One comparator's run.

    `folder` holds its result and every mismatched key; `shown_folder` is its path from the project's root, as kept.
    `untraced` says why the samples show no events; it is empty where they do. `touched` is what was compared where it
    was not every key, and `in_full` why it was every key all the same.
    """

    run_id: str
    name: str
    position: Position
    comparison: Comparison
    evidence_key: str
    folder: Path
    shown_folder: str
    seconds: float
    untraced: str
    touched: Touched | None = None
    in_full: str = ""

    def to_json(self) -> dict[str, object]:
        """What `diff.json` and `--format json` hold."""
        return {
            "run": self.run_id,
            "comparator": self.name,
            "position": self.position,
            "evidence_key": self.evidence_key,
            "folder": self.shown_folder,
            "seconds": round(self.seconds, 3),
            "untraced": self.untraced,
            "touched": self.touched and self.touched.to_json(),
            "in_full": self.in_full,
            **self.comparison.to_json(),
        }


def common(pair: Pair, pinned: Pinned, side: Side) -> str:
    """A side's view of the pair's name, with the columns that both builds have."""
    own, other = (pinned.columns[at][pair.name] for at in (side, Side.V2 if side is Side.V1 else Side.V1))
    there = {fold(column) for column in other}
    columns = ", ".join(quote(column) for column in own if fold(column) in there)
    return f"SELECT {columns} FROM {side.value}.{quote(pair.name)}"


def run_diff(
    engine: Engine,
    log: EventLog,
    store: ServedStore,
    pair: Pair,
    *,
    keeping: Keeping,
    samples: int = 10,
    plan: DiffPlan | None = None,
    settle: float = SETTLE_SECONDS,
    barrier: Barrier | None = None,
    feeds: Feeds | None = None,
    evidence: Evidence | None = None,
    sweep: int = SWEEP,
    sleep: Callable[[float], None] = time.sleep,
    chance: Random | None = None,
    progress: Progress = silent,
) -> DiffRun:
    """
    Compare one pair at one position and keep the result as evidence.

    Where v1 cannot tell its position and differs, both sides are looked at again after `settle` seconds, and what
    changed between is left out; 0: one look must do. Where `feeds` knows what writes v1, the log gets what v1 has, and
    both sides are looked at there, once.

    With `evidence` only the keys are compared that changed since the newest run of exactly this, those that differed
    in it, and `sweep` rows of all, in turn; see `touched`. Where that cannot be, all are, and the run says why.

    Raises:
        UntracedEvents: v1 lacks events, and nobody can tell which keys they touch; no run was begun.
        NotBuilt, UnequalPositions, NotBrought: the sides cannot be compared now; no run was begun.
        ChangedMeanwhile: the second look is of something else; the run then ends inconclusive.
        and what `compare_relations` raises; the run then ends inconclusive, with the error as its summary.
    """
    started = keeping.clock()
    log.refresh()
    with scratch("diff") as pins:
        lag_at = partial(lag_of, log, now=started)
        since = evidence and Since(engine, log, pair, evidence, keeping.root, keeping.basis, started, sweep)
        take = partial(pin, select=since.select if since else None, progress=progress)
        pinned = _pinned(engine, log, store, pair, pins, barrier, feeds, progress, lag_at, take)
        lag = lag_at(pinned.position)
        about = bound(pair, pinned.builds, keeping.basis)
        v1, v2 = (common(pair, pinned, side) for side in Side) if pair.undeclared else (pair.v1, pair.v2)
        begun = recording(
            keeping, EvidenceKind.DIFF, pair.name, about, position=pinned.position, lag=lag, started=started
        )
        with _naming(pair), begun as record:
            compare = partial(
                compare_relations, engine, comparator=pair.comparator,
                today=started.date(), samples=samples, plan=plan, keep=record.folder / MISMATCHES,
                context=not pair.plain, chance=chance,
                progress=lambda step: progress(f"{pair.name}: {step}", 0, None),
            )  # fmt: skip
            if pinned.lacking:
                events = _events(log, pinned)
                with without(
                    engine, v1, v2, pair.comparator, touched(events, pair.tracings), exact=pair.plain
                ) as looks:
                    comparison = lacking(
                        compare(looks.v1, looks.v2, stable=pair.plain), looks.in_flight, len(pinned.lacking)
                    )
            else:
                comparison = compare(v1, v2, stable=pair.plain)
            if comparison.mismatched and pinned.moving and settle > 0:

                def again() -> None:
                    progress(f"{pair.name}: waiting {settle:g} s for v1 to settle", 0, None)
                    sleep(settle)
                    # Files of their own: an engine may remember what it read of a file.
                    (second_pins := pins / "again").mkdir()
                    second = pin(engine, store, pair.views, log.settings.all_columns, second_pins, progress=progress)
                    if (second.position, second.columns) != (pinned.position, pinned.columns) or (
                        bound(pair, second.builds, keeping.basis) != about
                    ):
                        raise ChangedMeanwhile(pair.name)

                with still(engine, v1, v2, pair.comparator, exact=pair.plain, again=again) as looks:
                    comparison = noted(compare(looks.v1, looks.v2, stable=True), looks.in_flight, settle)
            if since and since.found and since.coverage:
                # Of some rows no column's profile says anything.
                comparison = replace(comparison, drifts=(), partly=since.found.line)
                text = json.dumps(since.coverage.to_json(), ensure_ascii=False)
                (record.folder / VERIFIED).write_text(f"{text}\n", encoding="utf-8")
            if comparison.mismatches and pair.tracings:
                progress(f"{pair.name}: looking for the events", 0, None)
            comparison, untraced = _traced(engine, log, pair, pinned.position, comparison)
            finished = keeping.clock()
            run = DiffRun(
                run_id=record.run_id,
                name=pair.name,
                position=pinned.position,
                comparison=comparison,
                evidence_key=record.evidence_key,
                folder=record.folder,
                shown_folder=record.shown,
                seconds=(finished - started).total_seconds(),
                untraced=untraced,
                touched=since.found if since else None,
                in_full=since.in_full if since else "",
            )
            record.finish(RESULT, run.to_json(), comparison.verdict, _summary(run), at=finished)
    return run


def _pinned(  # noqa: PLR0917  (called with all of them, in this order)
    engine: Engine, log: EventLog, store: ServedStore, pair: Pair, folder: Path, barrier: Barrier | None,
    feeds: Feeds | None, progress: Progress, lag: Callable[[Position], timedelta], take: Callable[..., Pinned],
) -> Pinned:  # fmt: skip
    """
    Both sides as they are, if they are at one position.

    Else, and where that is late, as a tail holds them for it, if one moves them.
    """
    columns = log.settings.all_columns
    if feeds is not None and feeds.of(pair):
        with feeds.moment(engine, pair, progress) as live:
            if live.lacking and not pair.tracings:
                raise UntracedEvents(pair.name, len(live.lacking))
            try:
                pinned = take(engine, live.store, pair.views, columns, folder, held=live.held)
            except UnequalPositions as fault:
                raise NotBrought(fault.positions, live.held.position) from fault
        return replace(pinned, lacking=live.lacking)
    if barrier is None:
        return take(engine, store, pair.views, columns, folder)
    if not barrier.late(pair.views, lag):
        with suppress(UnequalPositions):
            return take(engine, store, pair.views, columns, folder)
    with barrier.asked(pair.views) as held:
        return take(engine, store, pair.views, columns, folder, held=held)


def _events(log: EventLog, pinned: Pinned) -> str:
    """The events up to the position that v1 does not have yet."""
    log.refresh()
    ids = ", ".join(map(literal, pinned.lacking))
    return f"SELECT * FROM ({log.relation(pinned.position)}) WHERE event_id IN ({ids})"


@contextmanager
def _naming(pair: Pair) -> Iterator[None]:
    """Most errors are of the comparator's texts, which do not know the name of the variable that holds them."""
    try:
        yield
    except UsageError as fault:
        fault.within(f"comparator {pair.name!r}")
        raise


def _traced(
    engine: Engine, log: EventLog, pair: Pair, position: Position, comparison: Comparison
) -> tuple[Comparison, str]:
    """The comparison with the events of its samples, or why they are not known."""
    if not pair.tracings:
        return comparison, "which events touch a key is not known; give the comparator an affected_by"
    if not comparison.mismatches:
        return comparison, ""
    if position > log.head().last:
        # Imported and replayed since this command opened the log.
        log.refresh()
    try:
        found = trace(engine, log.relation(position), pair.tracings, comparison.mismatches)
    except EngineError as fault:
        # The expressions are the user's: a diff that found something must not be lost for want of a trace.
        return comparison, f"affected_by cannot be computed: {fault.reason.splitlines()[0]}"
    return replace(comparison, mismatches=found), ""


def _summary(run: DiffRun) -> dict[str, object]:
    comparison = run.comparison
    names = (
        "rows_v1", "rows_v2", "compared", "matched", "expected", "only_in_v1", "only_in_v2", "changed",
        "unexpected_same", "mismatched", "in_flight",
    )  # fmt: skip
    return {
        **{name: getattr(comparison, name) for name in names},
        "why": list(comparison.why),
        # For reports of a series, which need them when the files are gone; they hold no value of a row.
        CHANGES: [one.to_json() for one in comparison.changes[:MOST_CHANGES]],
        CHANGES_LEFT_OUT: len(comparison.changes[MOST_CHANGES:]),
        DRIFTED: sum(1 for one in comparison.drifts if one.notes),
        **({TOUCHED: run.touched.to_json()} if run.touched else {}),
    }


def worst(runs: Sequence[DiffRun]) -> Outcome:
    """The verdict over several runs: fail before inconclusive before pass."""
    found = {one.comparison.verdict for one in runs}
    return next((one for one in (Outcome.FAIL, Outcome.INCONCLUSIVE) if one in found), Outcome.PASS)

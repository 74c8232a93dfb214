"""Looking what is there: whether v2 could answer reads, and all that the gates decide from."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from dualgauge.comparison.errors import NothingToCompare
from dualgauge.comparison.runs.binding import bound, builds_of, check_bound
from dualgauge.comparison.runs.run_files import FileState, file_states
from dualgauge.cutover.gates.validity import Present, RequiredEvidence, ViewNow, newest
from dualgauge.cutover.values import Readiness
from dualgauge.eventlog.table.lag import lags
from dualgauge.ledger.values import EvidenceKind
from dualgauge.model import Outcome, Side, listed
from dualgauge.stores.errors import NotBuilt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from dualgauge.comparison.runs.pairs import Pair
    from dualgauge.eventlog.table.event_log import EventLog
    from dualgauge.ledger.seal import Evidence
    from dualgauge.ledger.values import EvidenceRun
    from dualgauge.model import Position
    from dualgauge.stores.serving.checkpoints import Checkpoint
    from dualgauge.stores.serving.port import ServedStore
    from dualgauge.views.definition import ViewDefinition


def look(store: ServedStore, views: Sequence[ViewDefinition]) -> Readiness:
    """
    What the store holds of the views that have a file: which are not built, and how far each side is.

    A view whose file is gone may still be served; it is nobody's candidate, and nothing waits for it.
    """
    return _readiness({side: store.served_builds(side) for side in Side}, views)


def find(
    builds: Mapping[Side, Mapping[str, Checkpoint]],
    views: Sequence[ViewDefinition],
    pairs: Callable[[], Sequence[Pair]],
    evidence: Evidence,
    *,
    root: Path,
    log: EventLog,
    kept: Callable[[ViewDefinition], bool],
    basis: Mapping[str, object],
    at: datetime,
    waiting: int = 0,
) -> Present:
    """
    All that the gates decide from, as it is now. Nothing is compared and nothing is written.

    `builds` are the builds that readers get, by side and view. `kept` says whether a tail can bring a view forward.

    Raises:
        DamagedLog: a file of the log is gone.
        what `pairs` raises, but for NothingToCompare: a comparator that cannot be read has no gate that could pass.
    """
    try:
        chosen = pairs()
    except NothingToCompare:
        chosen = ()
    read = {(side, name) for pair in chosen for side, names in pair.views.items() for name in names}
    filed = {(one.side, one.name) for one in views}
    present = Present(
        at=at,
        head=log.head().last,
        readiness=_readiness(builds, views),
        views=tuple(
            replace(one, compared=(one.side, one.name) in read) for one in views_now(builds, views, log, kept, at)
        ),
        wanted=tuple(one for pair in chosen for one in _wanted(builds, pair, basis)),
        evidence=evidence,
        waiting=waiting,
        unfiled=tuple(
            ViewNow(side, one.view, "", one.build, one.definition_hash, one.position, compared=False, token=one.token)
            for side in Side
            for one in builds[side].values()
            if (side, one.view) not in filed
        ),
    )
    deciding = [found.run for each in present.wanted if (found := newest(present, each)) and found.run]
    return replace(present, altered={run.run_id: what for run in deciding if (what := _altered(run, root))})


def _altered(run: EvidenceRun, root: Path) -> str:
    """What became of the first of a run's files that is not what the run wrote; empty where all of them are."""
    states = file_states(root / run.folder, run.summary) if run.folder else {}
    if not states and run.verdict is Outcome.PASS:
        return "no file is known"
    words = {FileState.CHANGED: "was changed by hand", FileState.GONE: "is gone"}
    return next((f"the file {name} {words[state]}" for name, state in states.items() if state in words), "")


def _readiness(builds: Mapping[Side, Mapping[str, Checkpoint]], views: Sequence[ViewDefinition]) -> Readiness:
    built = [(one.side, builds[one.side][one.name].position) for one in views if one.name in builds[one.side]]
    return Readiness(
        unbuilt=tuple(one.label for one in views if one.name not in builds[one.side]),
        v1_position=max((at for side, at in built if side is Side.V1 and at is not None), default=None),
        v2_position=min((at for side, at in built if side is Side.V2 and at is not None), default=None),
    )


def views_now(
    builds: Mapping[Side, Mapping[str, Checkpoint]],
    views: Sequence[ViewDefinition],
    log: EventLog,
    kept: Callable[[ViewDefinition], bool],
    at: datetime,
) -> list[ViewNow]:
    """
    Each view with the build that readers get: whose it is, and how far behind.

    `kept` is asked of those that lack events alone.

    Raises:
        DamagedLog: a file of the log is gone.
    """
    behind = lags(log, [one.position for side in builds.values() for one in side.values()], at)
    return [_now(one, builds[one.side].get(one.name), log, kept, behind) for one in views]


def _now(
    view: ViewDefinition,
    build: Checkpoint | None,
    log: EventLog,
    kept: Callable[[ViewDefinition], bool],
    behind: Mapping[Position, timedelta],
) -> ViewNow:
    if build is None:
        return ViewNow(view.side, view.name, view.hash)
    position = build.position
    return ViewNow(
        view.side, view.name, view.hash, build.build, build.definition_hash, position, token=build.token,
        ours=build.adopted or position is None or log.had(build.history, position),
        kept=build.adopted or position not in behind or kept(view),
        lag=None if position is None else behind.get(position, timedelta()), adopted=build.adopted,
    )  # fmt: skip


def _wanted(
    builds: Mapping[Side, Mapping[str, Checkpoint]], pair: Pair, basis: Mapping[str, object]
) -> Iterator[RequiredEvidence]:
    """The evidence that a pair needs: a diff, and a check where its comparator has checks."""
    comparator = pair.comparator
    made = {EvidenceKind.DIFF: partial(bound, pair)}
    if comparator.checks:
        made[EvidenceKind.CHECK] = partial(check_bound, pair)
    for kind, bind in made.items():
        ends = tuple((one.until, one.reason) for one in comparator.expected) if kind is EvidenceKind.DIFF else ()
        try:
            found = builds_of(pair, builds.__getitem__)
        except NotBuilt as fault:
            yield RequiredEvidence(kind, pair.name, None, missing=str(fault))
            continue
        old = [f"{side.value}.{one.view}" for side in Side for one in found[side].values() if not one.identified]
        if old:
            missing = f"the build of {listed(old)} is of an older dualgauge, which gave builds no token"
            yield RequiredEvidence(kind, pair.name, None, missing=missing)
        else:
            yield RequiredEvidence(kind, pair.name, bind(found, basis), ends=ends)

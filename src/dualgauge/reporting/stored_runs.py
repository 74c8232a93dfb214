"""
Whether kept evidence is still evidence: its files are those that the run wrote, and it is of what is there now.

The judgement is that of the gates (`cutover.gates.validity`), so that a report never counts what a gate would not.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dualgauge.comparison.runs.run_files import FileState, file_states
from dualgauge.cutover.gates.evidence_list import lines
from dualgauge.cutover.gates.validity import differences, staleness
from dualgauge.errors import DualgaugeError
from dualgauge.ledger.values import RunState
from dualgauge.model import Side
from dualgauge.reporting.errors import BadEvidence
from dualgauge.reporting.values import Build, Run, Standing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from dualgauge.cutover.gates.evidence_list import EvidenceLine
    from dualgauge.cutover.gates.validity import Present, RequiredEvidence
    from dualgauge.cutover.values import GateLimits
    from dualgauge.ledger.seal import Evidence
    from dualgauge.model import Position


@dataclass(frozen=True, slots=True)
class StoredRuns:
    """
    All kept evidence, newest first, and what it is held against.

    `present` is None where the project's own files cannot be read now, because of `trouble`. `problem` is what was
    done to the journal by hand; empty where nothing was.
    """

    lines: tuple[EvidenceLine, ...]
    head: Position
    limits: GateLimits
    present: Present | None = None
    trouble: str = ""
    problem: str = ""

    def wanted(self, line: EvidenceLine) -> RequiredEvidence | None:
        """What evidence of this kind and comparator would be bound to now."""
        found = self.present.wanted if self.present else ()
        return next((one for one in found if (one.kind, one.name) == (line.kind, line.name)), None)


def kept_of(
    look: Callable[[], Present], evidence_of: Callable[[], Evidence], limits: GateLimits, head: Position
) -> StoredRuns:
    """All kept evidence of a migration with what `look` finds there now; where that cannot be read, with the reason."""
    present, trouble = None, ""
    try:
        present = look()
    except DualgaugeError as fault:
        trouble = str(fault)
    evidence = present.evidence if present else evidence_of()
    problem = evidence.problem.problem if evidence.problem else ""
    return StoredRuns(tuple(lines(evidence, present, limits)), head, limits, present, trouble, problem)


def run_of(line: EvidenceLine, kept: StoredRuns, root: Path) -> Run:
    """A kept run with what is there now beside it. Reads its folder's files whole, to see that they are unchanged."""
    run = line.run
    if run is None:
        # Gone from the ledger, or not what was sealed: what stands there now says nothing.
        return Run(
            run=line.run_id, started_at=line.at, finished_at=line.at, seconds=None, position=None, behind=None,
            said=None, evidence_key=None, comparator_hash=None, checks_hash=None, configuration_hash=None, folder=None,
            builds=(), standing=Standing(counts=False, why=(line.why,)), altered=(line.why,),
        )  # fmt: skip
    finished = run.finished_at
    return Run(
        run=run.run_id,
        started_at=run.started_at,
        finished_at=finished,
        seconds=(finished - run.started_at).total_seconds() if finished else None,
        position=run.position,
        behind=None if run.position is None else max(0, kept.head - run.position),
        said=run.verdict,
        evidence_key=run.evidence_key,
        comparator_hash=_text(run.bound.get("comparator_hash")),
        checks_hash=_text(run.bound.get("checks_hash")),
        configuration_hash=_text(run.bound.get("configuration_hash")),
        folder=run.folder,
        builds=tuple(_builds(line, kept)),
        standing=_standing(line, kept, root),
        altered=tuple(_altered(line, root)),
        error=str((run.summary or {}).get("error", "")).replace(f"{root}/", ""),
    )


def document(line: EvidenceLine, root: Path, name: str) -> dict[str, Any]:
    """
    One JSON file of a run's folder.

    Raises:
        BadEvidence: it is gone, is no JSON, or is not of this run and verdict.
    """
    folder = line.run.folder if line.run else None
    try:
        found = json.loads(((root / (folder or ".")) / name).read_bytes())
    except FileNotFoundError as fault:
        raise BadEvidence(name, "was removed since the run") from fault
    except OSError as fault:
        raise BadEvidence(name, f"cannot be read: {fault.strerror}") from fault
    except ValueError as fault:
        raise BadEvidence(name, "is not the JSON that the run wrote") from fault
    if not isinstance(found, dict) or found.get("run") != line.run_id:
        raise BadEvidence(name, "is not of this run")
    # Runs of an older version have no digests in the ledger; a verdict that was edited shows all the same.
    if found.get("verdict") != line.verdict:
        raise BadEvidence(name, f"says {found.get('verdict')!r}, and the ledger kept {line.verdict!r} for this run")
    return found


def _builds(line: EvidenceLine, kept: StoredRuns) -> Iterator[Build]:
    wanted = kept.wanted(line)
    for side in Side:
        now = views_of(wanted.bound, side) if wanted and wanted.bound else {}
        for view, one in views_of(line.run.bound if line.run else {}, side).items():
            yield Build(
                side.value, view, one.get("build"), _text(one.get("definition_hash")), now.get(view, {}).get("build")
            )


def _standing(line: EvidenceLine, kept: StoredRuns, root: Path) -> Standing:
    if kept.present is None or line.run is None:
        return Standing(line.counts, ((kept.trouble or line.why).replace(f"{root}/", ""),))
    why = list(_reasons(line, kept, kept.present))
    edited = [one.label for one in kept.present.views if one.built_hash not in (None, one.file_hash)]
    mine = {f"{side.value}.{view}" for side in Side for view in views_of(line.run.bound, side)}
    why += [f"the file of {label} was edited since the build that readers get" for label in edited if label in mine]
    return Standing(counts=not why, why=tuple(why))


def _reasons(line: EvidenceLine, kept: StoredRuns, present: Present) -> Iterator[str]:
    """Why a gate does not go by a run, in whole phrases; in the gates' short words where those say it all."""
    wanted, run = kept.wanted(line), line.run
    if not line.why:
        return
    phrases: list[str] = []
    if run is not None and wanted is not None and wanted.bound is not None and run.state is RunState.FINISHED:
        phrases = [long for _, long in differences(run.bound, wanted.bound)]
        stale = list(staleness(present, wanted, run, kept.limits))
        if not phrases and line.why in [short for short, _ in stale]:
            phrases = [long for _, long in stale]
    yield from phrases or [line.why]


def _altered(line: EvidenceLine, root: Path) -> Iterator[str]:
    """What was done by hand; a file that is only gone is told where it is missed."""
    run = line.run
    if run is None or (run.state is RunState.FINISHED and not line.row):
        yield line.why
        return
    if run.folder is not None:
        for name, state in sorted(file_states(root / run.folder, run.summary).items()):
            if state is FileState.CHANGED:
                yield f"{name} was changed since the run"


def removed(line: EvidenceLine, root: Path) -> list[str]:
    """Names of a run's files that are gone."""
    run = line.run
    if run is None or run.folder is None:
        return []
    return [name for name, state in file_states(root / run.folder, run.summary).items() if state is FileState.GONE]


def views_of(bound: Mapping[str, object], side: Side) -> dict[str, dict[str, Any]]:
    """What a run is bound to of a side: its builds by view."""
    found = bound.get(side.value)
    return {name: one for name, one in found.items() if isinstance(one, dict)} if isinstance(found, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None

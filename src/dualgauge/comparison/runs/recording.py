"""
A run as it is kept: a folder for what it found, and its line in the ledger, sealed in the journal.

A run that could not look ends inconclusive and leaves no folder; one that was killed stays `running`. Both are evidence
of nothing.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dualgauge.comparison.runs.run_files import file_hashes
from dualgauge.errors import DualgaugeError
from dualgauge.ledger.values import LAG, EvidenceKind, evidence_key
from dualgauge.model import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime, timedelta
    from pathlib import Path

    from dualgauge.ledger.ledger import Ledger
    from dualgauge.model import Clock, Position


@dataclass(frozen=True, slots=True)
class Keeping:
    """Where and as whose runs are kept. `basis` is what every run of the project is bound to."""

    ledger: Ledger
    root: Path
    reports: Path
    basis: Mapping[str, object]
    migration: str
    who: str
    clock: Clock


@dataclass(slots=True)
class Recording:
    """
    A run that has begun. `shown` is its folder's path from the project's root; `ended`: it has found something.

    `lag`: for how long, when it began, the log had had the first event that what it looks at lacked.
    """

    keeping: Keeping
    run_id: str
    folder: Path
    shown: str
    evidence_key: str
    lag: timedelta
    ended: bool = False

    def finish(
        self, file: str, found: Mapping[str, object], verdict: Outcome, summary: Mapping[str, object], *, at: datetime
    ) -> None:
        """Keep what was found as a file of the run's folder, and end the run."""
        # A ledger that does not keep it leaves the run as one that was cut off.
        self.ended = True
        text = json.dumps(found, indent=2, ensure_ascii=False)
        (self.folder / file).write_text(f"{text}\n", encoding="utf-8")
        self._end(verdict, {**summary, LAG: self.lag.total_seconds(), "files": file_hashes(self.folder)}, at)

    def could_not_look(self, reason: str) -> None:
        """End the run as one that is evidence of nothing."""
        shutil.rmtree(self.folder)
        self._end(Outcome.INCONCLUSIVE, {"error": reason}, self.keeping.clock())

    def _end(self, verdict: Outcome, summary: Mapping[str, object], at: datetime) -> None:
        keeping = self.keeping
        keeping.ledger.finish_evidence(
            self.run_id, verdict=verdict, finished_at=at, summary=summary, migration=keeping.migration, who=keeping.who
        )


@contextmanager
def recording(
    keeping: Keeping,
    kind: EvidenceKind,
    name: str,
    bound: Mapping[str, object],
    *,
    position: Position,
    lag: timedelta,
    started: datetime,
) -> Iterator[Recording]:
    """
    Begin a run of a comparator, bound to what it looks at; whoever gets it ends it by `finish`.

    For `lag` see `Recording`.

    What is raised meanwhile ends it as one that could not look.
    """
    mark = "" if kind is EvidenceKind.DIFF else f"{kind.value}-"
    run_id = f"{started:%Y%m%dT%H%M%SZ}-{name}-{mark}{secrets.token_hex(3)}"
    folder = keeping.reports / run_id
    folder.mkdir(parents=True)
    run = Recording(keeping, run_id, folder, os.path.relpath(folder, keeping.root), evidence_key(bound), lag)
    keeping.ledger.start_evidence(
        run_id, kind=kind, name=name, bound=bound, started_at=started, position=position, folder=run.shown
    )
    try:
        yield run
    except DualgaugeError as fault:
        if not run.ended:
            run.could_not_look(str(fault))
        raise

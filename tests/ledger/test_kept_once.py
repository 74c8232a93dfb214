"""What the ledger keeps once: a verdict, a commit of the log and a revision of a state are never given again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from dualgauge.ledger.errors import LogCommitDiffers, RunConflict, StateChanged
from dualgauge.ledger.journal import JournalEntry
from dualgauge.ledger.ledger import Ledger
from dualgauge.ledger.values import EvidenceKind, EvidenceRun, LogCommit
from dualgauge.model import Outcome
from support.ledgers import AT, kept_runs

if TYPE_CHECKING:
    from pathlib import Path

    from dualgauge.ledger.values import MigrationState


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'kept' / 'ledger.db'}"


def test_a_verdict_is_not_given_again_with_other_counts(url: str) -> None:
    def finish(ledger: Ledger, changed: int) -> EvidenceRun:
        found: dict[str, Any] = {"verdict": Outcome.FAIL, "finished_at": AT, "summary": {"changed": changed}}
        return ledger.finish_evidence("r1", migration="orders", who="ana", **found)

    with Ledger.open(url) as ledger:
        ledger.start_evidence("r1", kind=EvidenceKind.DIFF, name="orders", bound={}, started_at=AT)
        given = finish(ledger, 1)
        with pytest.raises(RunConflict, match="evidence run 'r1' is finished already, with verdict fail"):
            finish(ledger, 2)
        assert kept_runs(ledger) == (given,)


@pytest.mark.parametrize("other", [{"digest": "d3"}, {"first": 10}, {"rows": 3}], ids=lambda other: next(iter(other)))
def test_a_commit_of_the_log_that_differs_in_anything_is_refused(url: str, other: dict[str, Any]) -> None:
    one, two = LogCommit(1, 10, 10, "d1", "c1"), LogCommit(11, 12, 2, "d2", "c2")
    with Ledger.open(url) as ledger:
        ledger.add_log_commits([one, two])
        with pytest.raises(LogCommitDiffers):
            ledger.add_log_commits([replace(two, **other)])
        assert ledger.log_commits() == (one, two)


def test_a_state_that_was_left_and_come_back_to_is_another_one(url: str) -> None:
    def entry(state: MigrationState, stage: str, share_ppm: int, operation_id: str) -> JournalEntry:
        return JournalEntry(
            state.name, "share_some", "ana", AT, state.stage, state.share_ppm, stage, share_ppm, operation_id
        )

    with Ledger.open(url) as ledger:
        off = ledger.state("orders")
        first = ledger.move(off, entry(off, "canary", 50_000, "op-1"))
        more = ledger.move(first, entry(first, "live", 1_000_000, "op-2"))
        back = ledger.move(more, entry(more, "canary", 50_000, "op-3"))
        with pytest.raises(StateChanged):
            ledger.move(first, entry(first, "live", 1_000_000, "op-4"))
        assert (ledger.state("orders"), len(ledger.journal())) == (back, 3)

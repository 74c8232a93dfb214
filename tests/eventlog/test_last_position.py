"""A commit that adds no event leaves the log's last position where it was; one that says otherwise is found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.tamper import Log


@pytest.mark.parametrize("last", [40, 60])
def test_a_commit_without_events_that_says_another_last_position_is_found(log: Log, last: int) -> None:
    log.project.columns["y"] = "BIGINT"
    with log.project.open().appender():
        assert log.found() == []
    log.tamper.said(6, first=last + 1, last=last)

    assert ("chain broken", 0, 0) in log.faults()


@pytest.mark.parametrize("ledger", ["with a ledger", "without one"])
def test_a_compaction_that_says_another_last_position_is_found(log: Log, ledger: str) -> None:
    log.project.open().log.compact(rows=20)
    if ledger == "without one":
        log.without_a_ledger()
    assert log.found() == []
    log.tamper.said(7, first=61, last=60)

    assert ("chain broken", 21, 40) in log.faults()

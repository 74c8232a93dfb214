"""What is changed in the ledger by hand stays found after the next move; what dualgauge writes is sealed, all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dualgauge.ledger.ledger import Ledger
from dualgauge.ledger.misfit import Misfit, RowState, Settled
from support.ledgers import AT, move, sql

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'ledger.db'}"


@pytest.mark.parametrize("changed", ["revision = 7", "rollout = 'v9'", "stage = 'live'", "share_ppm = 49000"])
def test_a_state_changed_by_hand_is_not_made_good_by_the_next_move(changed: str, url: str) -> None:
    move(url, 50_000)
    sql(url, f"UPDATE migration SET {changed}")
    move(url, 60_000)

    with Ledger.look(url) as ledger:
        found = ledger.verify_journal()
    assert found is not None
    assert found.seq == 2
    assert "where no row before it led" in found.problem


def test_of_more_rows_than_a_statement_names_each_is_sealed(url: str) -> None:
    many = [Misfit("shop", "a.csv", number, "no number", f"{number},x") for number in range(10, 1_215)]
    with Ledger.open(url) as ledger:
        ledger.quarantine.add(many, at=AT)
        assert ledger.verify_journal() is None
        assert len(ledger.quarantine.chosen([])) >= len(many)
        ledger.quarantine.settle([Settled(one.id, RowState.SKIPPED, "let be") for one in many], at=AT)
        assert ledger.verify_journal() is None

"""A ledger that answers late, or not at all, holds up no read: all go on with what is known."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from dualgauge.ledger.errors import NoLedger
from dualgauge.model import PPM, Side
from dualgauge_router.ledger import LedgerReader
from dualgauge_router.router import Router
from support.ledgers import move

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from dualgauge.ledger.values import MigrationState


def test_while_a_look_waits_for_the_ledger_reads_go_on_with_what_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    move(url, PPM, "live")
    real, asked, answers = LedgerReader.state, threading.Event(), threading.Event()

    def slow(ledger: LedgerReader, name: str) -> MigrationState:
        asked.set()
        answers.wait(60)
        return real(ledger, name)

    with Router(ledger=url, migration="orders", refresh=0.01) as router:
        monkeypatch.setattr(LedgerReader, "state", slow)
        try:
            assert asked.wait(60)
            start = time.monotonic()
            assert all(router.decide("u").side is Side.V2 for _ in range(1_000))
            assert time.monotonic() - start < 5
            assert not router.refresh(0.05)
        finally:
            answers.set()
        assert router.refresh(20)


def test_a_lost_ledger_is_asked_again_and_what_was_known_holds(tmp_path: Path) -> None:
    file, away = tmp_path / "ledger.db", tmp_path / "ledger.away"
    url = f"sqlite:///{file}"
    move(url, PPM, "live")
    with Router(ledger=url, migration="orders", refresh=60) as router:
        move(url, 0, "shadow")
        file.rename(away)
        assert router.refresh()
        assert isinstance(router.trouble, NoLedger)
        away.rename(file)
        assert router.decide("u").share_ppm == PPM
        assert router.trouble is not None
        assert router.refresh()
        assert router.decide("u").share_ppm == 0

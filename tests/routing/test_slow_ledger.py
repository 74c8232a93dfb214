"""A ledger that answers late, or not at all, holds up one read at most: the others go on with what is known."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from dualgauge.ledger.errors import NoLedger
from dualgauge.ledger.ledger import Ledger
from dualgauge.model import PPM, Side
from dualgauge.routing.router import Router
from support.ledgers import move

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from dualgauge.ledger.values import MigrationState


def test_while_one_thread_waits_for_the_ledger_the_others_go_on_with_what_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    move(url, PPM, "live")
    real, asked, answers = Ledger.state, threading.Event(), threading.Event()

    def slow(ledger: Ledger, name: str) -> MigrationState:
        asked.set()
        answers.wait(60)
        return real(ledger, name)

    with Router(ledger=url, migration="orders", refresh=0.0) as router, ThreadPoolExecutor(2) as pool:
        router.decide("u")
        monkeypatch.setattr(Ledger, "state", slow)
        waits = pool.submit(router.decide, "u")
        try:
            assert asked.wait(60)
            assert pool.submit(router.decide, "u").result(timeout=20).side is Side.V2
            assert not waits.done()
        finally:
            answers.set()


def test_a_lost_ledger_is_asked_again_after_the_refresh_time_and_not_at_every_read(tmp_path: Path) -> None:
    file, away = tmp_path / "ledger.db", tmp_path / "ledger.away"
    url = f"sqlite:///{file}"
    move(url, PPM, "live")
    now = [1_000.0]
    with Router(ledger=url, migration="orders", refresh=1.0, clock=lambda: now[0]) as router:
        router.decide("u")
        move(url, 0, "shadow")
        file.rename(away)
        now[0] += 1
        router.decide("u")
        assert isinstance(router.trouble, NoLedger)
        away.rename(file)
        now[0] += 0.5
        assert router.decide("u").share_ppm == PPM
        assert router.trouble is not None
        now[0] += 0.5
        assert router.decide("u").share_ppm == 0

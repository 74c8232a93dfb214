"""A v1 under four writers, compared again and again beside a tail: every difference is one that somebody made."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import psycopg
import pytest

import dualgauge
from dualgauge.model import Outcome
from support.live_shop import open_shop, plain, project, sell, selling, tailing

if TYPE_CHECKING:
    from pathlib import Path

DIFFS = int(os.environ.get("DUALGAUGE_LIVE_DIFFS", "50"))

pytestmark = pytest.mark.torture


def test_of_fifty_diffs_none_tells_of_a_row_on_its_way_and_each_of_one_that_is_wrong(
    postgres_url: str, tmp_path: Path
) -> None:
    reader = open_shop(postgres_url, "torture_reader")
    with psycopg.connect(plain(postgres_url), autocommit=True) as other:
        sell(other, "wrong", 500)
        migration = project(tmp_path / "shop", reader)
        with selling(postgres_url) as end, tailing(tmp_path / "shop") as tail:
            for number in range(DIFFS):
                if number == DIFFS // 10 * 5 + 2:
                    # In the diff right before nothing was planted.
                    assert migration.switch(100_000).after.share_ppm == 100_000
                planted = number % 5 == 4
                other.execute("UPDATE summary SET cents = %s WHERE customer = 'wrong'", [501 if planted else 500])
                [run] = migration.diff(settle=0)
                found = [one.key["customer"] for one in run.comparison.mismatches]
                assert (run.comparison.in_flight, found) == (0, ["wrong"] if planted else [])
            assert tail.poll() is None
            events = end()
            other.execute("UPDATE summary SET cents = 500 WHERE customer = 'wrong'")
            [last] = dualgauge.open(tmp_path / "shop").diff(settle=0)
        other.execute("DROP OWNED BY torture_reader")
        other.execute("DROP ROLE torture_reader")

    assert (last.position, last.comparison.verdict) == (events + 1, Outcome.PASS)

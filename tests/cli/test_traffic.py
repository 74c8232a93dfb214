"""`dualgauge demo --traffic`: reads of a project, while its share is moved by other commands."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING

import pytest

from dualgauge.cli.start.traffic import NothingToRead, skewed
from support.forked import python
from support.shop import build, call

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    folder = build(tmp_path / "shop")
    (folder / "comparators" / "customers.py").write_text(
        'from dualgauge import Comparator\n\ncustomers = Comparator(key="customer")\n'
    )
    (folder / "canary.yaml").write_text("shadow: {settle: 10ms}\nsteps: [{share: 10%}, {share: 100%}]\n")
    assert call("diff", folder=folder).exit_code == 0
    assert call("canary", "apply", folder=folder).exit_code == 0
    return folder


def test_a_ramp_is_watched_until_ctrl_c(shop: Path) -> None:
    child = python(
        ["-m", "dualgauge", "demo", "--traffic", "200", str(shop)], environment=os.environ | {"COLUMNS": "200"}
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline().startswith("reading customers 200 times a second, for 5,000 customers; Ctrl-C")
        assert child.stdout.readline().startswith("0 % on v2; v1 ")
        assert call("switch", "--percent", "100", folder=shop).exit_code == 0
        line, until = "", time.monotonic() + 60
        while not line.startswith("100 % on v2") and time.monotonic() < until:
            line = child.stdout.readline()
        child.stdout.readline()
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=30)
    finally:
        child.kill()
        child.communicate()
    assert (child.returncode, err or "") == (0, "")
    last = out.splitlines()[-1]
    assert last.startswith("in all: 100 % on v2; v1 ")
    served, shadows = last.partition("; v1 ")[2].split("; shadows: matched ")
    v1, v2 = (int(one.strip().removeprefix("v2 ").replace(",", "")) for one in served.split(", v2 "))
    assert v1 > 100
    assert v2 > 50
    assert 0 <= v1 + v2 - int(shadows.partition(",")[0].replace(",", "")) <= 20


def test_a_project_without_rows_on_both_sides_is_told(shop: Path) -> None:
    for file in (shop / ".dualgauge").glob("views_v2.db*"):
        file.unlink()
    said = call("demo", "--traffic", "10", str(shop), folder=shop)
    assert (said.exit_code, said.out) == (NothingToRead(shop).exit_code, "")
    assert "has no view with rows on both sides, so nothing was read" in said.err


def test_the_first_are_read_most_often() -> None:
    found = Counter(islice(skewed(100, random.Random(1)), 100_000))
    # The first of a hundred as often as 1 in the sum of 1/n, which is 5.187.
    assert abs(found[0] / 100_000 - 1 / 5.187) < 0.01
    assert 1.7 < found[0] / found[1] < 2.3
    assert set(found) == set(range(100))

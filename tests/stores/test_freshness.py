"""Reads that ask for a position: they wait for it, or say how far the view is."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

import dualgauge
from dualgauge.model import Side
from dualgauge.stores.errors import NotBuilt
from dualgauge_router.stores.freshness import NotFresh, PositionUnknown
from support.adopted import ADOPTS, ready
from support.forked import Process, python
from support.inside import handles_of
from support.tailed import VIEWS, events, laid_out

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROWS: list[dict[str, Any]] = [{"type": "in", "who": "ada", "n": 1, "price": "1.50"} for _ in range(60)]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    migration = laid_out(tmp_path, {"counts": VIEWS["counts"]})
    append(tmp_path, 0, 20)
    migration.replay()
    return tmp_path


@pytest.fixture
def follower(project: Path) -> Iterator[Process]:
    child = python(["-m", "dualgauge", "tail", "--project", str(project)], environment=dict(os.environ))
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def append(root: Path, first: int, last: int) -> int:
    with dualgauge.open(root).appender() as log:
        return int(log.append(events(ROWS)[first:last])[-1])


@pytest.mark.usefixtures("follower")
def test_a_read_sees_what_its_own_write_brought(project: Path) -> None:
    with dualgauge.open(project).traffic.reader(Side.V1) as reader:
        seen = [20]
        for last in (21, 30, 60):
            position = append(project, seen[-1], last)
            row = reader.get("counts", ["in"], at_least=position, timeout=60)
            assert row is not None
            seen.append(row["a"])

    assert seen == [20, 21, 30, 60]


def test_a_position_that_does_not_come_is_told_with_how_far_the_view_is(project: Path) -> None:
    append(project, 20, 30)
    begun = time.monotonic()
    with dualgauge.open(project).traffic.reader(Side.V1) as reader:
        with pytest.raises(NotFresh) as caught:
            reader.get("counts", ["in"], at_least=30, timeout=0.2)
        assert reader.get("counts", ["in"], at_least=20, timeout=0) == reader.get("counts", ["in"])

    assert time.monotonic() - begun >= 0.2
    assert str(caught.value) == (
        "view v1.counts is at position 20, and position 30 was waited for for 0.2 s; nothing was read: see with "
        "`dualgauge status` whether a tail keeps it, or wait longer"
    )
    fault = caught.value
    assert (fault.view, fault.position, fault.at_least, fault.timeout, fault.exit_code) == (
        "v1.counts", 20, 30, 0.2, 5,
    )  # fmt: skip
    assert [step.command for step in fault.next_steps] == ["dualgauge status"]


def test_who_waits_keeps_no_other_thread_from_reading(project: Path) -> None:
    with dualgauge.open(project).traffic.reader(Side.V1) as reader:
        found: list[object] = []

        def waits() -> None:
            try:
                reader.get("counts", ["in"], at_least=99, timeout=30)
            except Exception as fault:  # noqa: BLE001  (which one it is, is looked at)
                found.append(fault)

        thread = threading.Thread(target=waits)
        thread.start()
        assert reader.get("counts", ["in"]) is not None
        assert thread.is_alive()
        reader.close()
        thread.join(60)

    assert [type(one).__name__ for one in found] == ["ReaderClosed"]


def test_a_view_without_a_build_is_told_at_once(project: Path) -> None:
    with dualgauge.open(project).traffic.reader(Side.V1) as reader, pytest.raises(NotBuilt, match=r"v1\.count has no"):
        reader.get("count", ["in"], at_least=1, timeout=60)


def test_a_view_that_is_taken_from_readers_is_waited_for_no_longer(project: Path) -> None:
    migration = dualgauge.open(project)
    with migration.traffic.reader(Side.V1) as reader, handles_of(migration) as handles:
        assert reader.get("counts", ["in"], at_least=20) is not None
        handles.builds.retire(Side.V1, "counts")
        with pytest.raises(NotBuilt, match=r"view v1\.counts has no build yet"):
            reader.get("counts", ["in"], at_least=99, timeout=60)


def test_an_adopted_table_says_how_far_it_is_or_cannot_be_waited_for(tmp_path: Path) -> None:
    shop = ready(tmp_path / "shop")
    migration = dualgauge.open(shop)
    with (
        migration.traffic.reader(Side.V1) as reader,
        pytest.raises(
            PositionUnknown, match=r"view v1\.customers is a table of your own whose position is unknown, so"
        ),
    ):
        reader.get("customers", ["ada"], at_least=5)

    header = f"{ADOPTS}-- position_query: SELECT 5\n"
    (shop / "views_v1" / "customers.sql").write_text(header, encoding="utf-8")
    with dualgauge.open(shop).traffic.reader(Side.V1) as reader:
        assert reader.get("customers", ["ada"], at_least=5) == reader.get("customers", ["ada"])
        with pytest.raises(
            NotFresh, match=r"view v1\.customers is at position 5, and position 6 was waited for for 0 s"
        ):
            reader.get("customers", ["ada"], at_least=6, timeout=0)

"""Keys that many events go to: a tail says them of each view that it merges, and `status` shows them."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

import dualgauge
from dualgauge.model import Side
from dualgauge.replay.hot_keys import HEAVIEST, Tally
from dualgauge.stores.serving.tail_state import HotKey
from support.inside import handles_of
from support.shop import call
from support.tailed import events, following, laid_out

if TYPE_CHECKING:
    from pathlib import Path


VIEWS = {
    "by_who": ("merge", "-- key: who\nSELECT who, count(*) AS n FROM events WHERE who IS NOT NULL GROUP BY who\n"),
    "by_both": ("merge", "-- key: who, n\nSELECT who, n, 1 AS c FROM events WHERE who > '' AND n > 0 GROUP BY 1, 2\n"),
    "whole": ("merge", "-- key: k\nSELECT 1 AS k, count(*) AS n FROM events\n"),
    "each": ("append", "-- key: event_id\nSELECT event_id, who FROM events\n"),
}


def test_status_names_the_keys_that_a_tenth_of_the_events_went_to(tmp_path: Path) -> None:
    rows = [{"who": "ada" if at % 2 else "bob" if at % 8 == 0 else f"one {at}", "n": 7 + at % 2} for at in range(2_000)]
    migration = laid_out(tmp_path, VIEWS)
    with migration.appender() as log:
        log.append(events(rows)[:1])
    migration.replay()
    with dualgauge.open(tmp_path).appender() as log:
        log.append(events(rows)[1:])
    with following(tmp_path):
        for _ in range(300):
            now = dualgauge.open(tmp_path).status()
            if all(one.behind == 0 and one.rate for one in now.views):
                break
        said = " ".join(call("status", folder=tmp_path).out.split())

    assert {one.view: one.hot_keys for one in now.views} == {
        "by_both": (HotKey({"who": "ada", "n": "8"}, 0.5), HotKey({"who": "bob", "n": "7"}, 0.12)),
        "by_who": (HotKey({"who": "ada"}, 0.5), HotKey({"who": "bob"}, 0.12)),
        "each": (),
        "whole": (),
    }
    assert "v1.by_both: of its newest events many go to who ada and n 8 (50 %), who bob and n 7 (12 %)" in said


def test_what_an_older_version_wrote_down_is_passed_over(tmp_path: Path) -> None:
    migration = laid_out(tmp_path, {"by_who": VIEWS["by_who"]})
    with migration.appender() as log:
        log.append(events([{"who": "ada"}] * 20))
    migration.replay()
    (file,) = (tmp_path / ".dualgauge").glob("views_v1*.db")
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE _dualgauge_tail (view TEXT, build INTEGER, at TEXT, rate DOUBLE, error TEXT)")
        connection.execute("INSERT INTO _dualgauge_tail VALUES ('by_who', 1, '2026-01-01', 1.0, 'of old')")
        connection.commit()

    with handles_of(migration) as handles:
        assert handles.builds.tail_states(Side.V1) == []
    migration.tail(once=True)
    with handles_of(migration) as handles:
        assert [one.error for one in handles.builds.tail_states(Side.V1)] == [""]


@given(st.lists(st.lists(st.integers(0, 400), max_size=500), max_size=20), st.integers(0, 400), st.integers(1, 9))
def test_a_hot_key_is_never_missed_however_events_fall_into_batches(
    batches: list[list[int]], hot: int, every: int
) -> None:
    """A tenth and more, with a margin for what is forgotten of the others; and no share is more than it was."""
    tally, counts = Tally(["k"]), Counter[str]()
    for batch in [*batches, [hot] * 200]:
        mixed = Counter(
            map(str, [key for at, one in enumerate(batch) for key in ((one, hot) if at % every == 0 else (one,))])
        )
        counts.update(mixed)
        tally.add([((key,), count) for key, count in mixed.most_common(HEAVIEST)], mixed.total())
    found = {one.key["k"]: one.share for one in tally.hot()}

    if counts.total() >= 1_000 and counts[str(hot)] / counts.total() >= 0.2:
        assert str(hot) in found
    assert all(share <= counts[key] / counts.total() + 0.006 for key, share in found.items())

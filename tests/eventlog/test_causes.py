"""Within one import a cause comes before its effects, and nothing else is moved."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dualgauge.engines.duck import Engine, open_engine
from dualgauge.eventlog.errors import CircleOfCauses
from dualgauge.eventlog.imports import appending
from dualgauge.eventlog.imports.causal_order import put_in_order
from dualgauge.eventlog.table.event_log import EventLog
from dualgauge.project.errors import BadSettings
from support.log_project import LogProject, csv

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HEAD = "id,seen,why"
Rows = list[tuple[str, str | None]]
"""An id and the id of its cause, in the order in which they are due."""


@pytest.fixture
def project(tmp_path: Path) -> LogProject:
    found = LogProject(tmp_path, columns={"caused_by": "VARCHAR"})
    found.source("s", path="s.csv", caused_by="why")
    return found


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with open_engine() as opened:
        yield opened


def ordered(engine: Engine, rows: Rows) -> list[str]:
    """The ids of a staged file after it was put in order."""
    with tempfile.TemporaryDirectory() as folder:
        staged, spare = Path(folder) / "staged.parquet", Path(folder) / "spare.parquet"
        kept = pa.schema({"position": pa.int64(), "event_id": pa.string(), "caused_by": pa.string()})
        listed = [{"position": i, "event_id": one, "caused_by": why} for i, (one, why) in enumerate(rows, 1)]
        pq.write_table(pa.Table.from_pylist(listed, kept), staged)
        put_in_order(engine, staged, spare)
        found = pq.read_table(staged)
        assert found["position"].to_pylist() == list(range(1, len(rows) + 1))
        return [str(one) for one in found["event_id"].to_pylist()]


def naive(rows: Sequence[tuple[str, str | None]]) -> list[str]:
    """Each event behind the place of its chain's latest event; raises ValueError where a chain has no end."""
    place = {one: i for i, (one, _) in reversed(list(enumerate(rows)))}
    cause = dict(reversed(rows))

    def key(one: str, own: int) -> tuple[int, int, int]:
        chain, now = [], one
        while now is not None and now in place:
            if now in chain:
                raise ValueError(now)
            chain.append(now)
            now = cause[now]  # type: ignore[assignment]
        latest = max(place[event] for event in chain)
        moved = latest > place[one]
        return (latest, chain.index(next(e for e in chain if place[e] == latest)), own) if moved else (own, 0, own)

    keys = [(key(one, i), one) for i, (one, _) in enumerate(rows)]
    return [one for _, one in sorted(keys)]


@settings(max_examples=80)
@given(
    rows=st.lists(
        st.tuples(st.sampled_from("abcdefghij"), st.sampled_from([None, *"abcdefghijxyz"])),
        unique_by=lambda row: row[0],
    )
)
def test_effects_are_moved_right_behind_their_causes_as_a_walk_along_each_chain_says(
    engine: Engine, rows: Rows
) -> None:
    try:
        wanted = naive(rows)
    except ValueError:
        with pytest.raises(CircleOfCauses) as refused:
            ordered(engine, rows)
        named, why = refused.value.events, dict(rows)
        assert [why[one] for one in named] == [*named[1:], named[0]]
        return
    found = ordered(engine, rows)
    assert found == wanted
    assert all(found.index(why) < found.index(one) for one, why in rows if why in found)


def test_a_row_that_is_there_twice_is_ordered_as_the_event_that_it_is(engine: Engine) -> None:
    rows: Rows = [("e", "c"), ("a", None), ("e", "c"), ("c", None), ("c", None), ("b", None)]

    assert ordered(engine, rows) == naive(rows) == ["a", "c", "e", "e", "c", "b"]


def test_a_chain_as_long_as_the_import_is_ordered_in_a_few_rounds(engine: Engine) -> None:
    length = 20_000
    rows: Rows = [(str(i), str(i + 1)) for i in range(length)]

    assert ordered(engine, rows) == [str(i) for i in reversed(range(length))]


def test_a_long_circle_is_named_by_its_first_events(engine: Engine) -> None:
    rows: Rows = [(f"{i:03d}", f"{(i + 1) % 100:03d}") for i in range(100)]

    with pytest.raises(CircleOfCauses, match=r"'006' is caused by '007', and so on; nothing was imported"):
        ordered(engine, rows)


def test_an_effect_of_another_source_that_is_due_first_comes_behind_its_cause(project: LogProject) -> None:
    project.source("t", path="t.csv")
    project.write("s.csv", csv(HEAD, "s1,2020-01-01,t1", "s2,2020-01-02,", "s3,2020-01-03,s1"))
    project.write("t.csv", csv("id,seen,caused_by", "t0,2020-01-02,gone", "t1,2020-01-04,", "t2,2020-01-05,"))
    project.take(every=True)

    assert project.events("position", "event_id", "caused_by") == [
        (1, "s2", None), (2, "t0", "gone"), (3, "t1", None), (4, "s1", "t1"), (5, "s3", "s1"), (6, "t2", None),
    ]  # fmt: skip
    project.verify()


def test_a_cause_that_the_log_has_already_moves_nothing(project: LogProject) -> None:
    project.sources[0]["path"] = "d/*.csv"
    project.write("d/1.csv", csv(HEAD, "c,2020-01-09,"))
    project.take()
    project.write("d/2.csv", csv(HEAD, "e,2020-01-01,c", "f,2020-01-02,e"))
    project.take()

    assert project.events("event_id") == ["c", "e", "f"]


def test_an_import_that_stops_between_its_commits_is_completed_in_the_same_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [f"{one},2020-01-{i:02d},{why}" for i, (one, why) in enumerate(
        [("e2", "e1"), ("g", "c"), ("h", "g"), ("e1", "c"), ("a", ""), ("c", ""), ("z", "e2")], 1
    )]  # fmt: skip
    monkeypatch.setattr(appending, "ROWS_PER_COMMIT", 2)
    orders = []
    for stopped in (0, 1, 2, 3):
        project = LogProject(tmp_path / str(stopped), columns={"caused_by": "VARCHAR"})
        project.source("s", path="s.csv", caused_by="why")
        project.write("s.csv", csv(HEAD, *rows))
        real, left = EventLog.commit, [True] * stopped

        def commit(log: EventLog, *given: Any, real: Any = real, left: list[bool] = left) -> Any:
            if not left:
                raise KeyboardInterrupt
            left.pop()
            return real(log, *given)

        if stopped:
            with monkeypatch.context() as patch:
                patch.setattr(EventLog, "commit", commit)
                with pytest.raises(KeyboardInterrupt):
                    project.take()
            assert project.log().head().last == 2 * stopped
        project.take()
        orders.append(project.events("event_id"))

    assert orders == [["a", "c", "g", "e1", "e2", "h", "z"]] * 4


def test_a_query_gives_causes_as_a_column(project: LogProject) -> None:
    project.sources.clear()
    query = "SELECT id AS event_id, 't' AS type, seen AS occurred_at, why AS caused_by FROM source"
    project.source("s", path="s.csv", query=query)
    project.write("s.csv", csv(HEAD, "e,2020-01-01,c", "c,2020-01-02,"))
    project.take()

    assert project.events("event_id", "caused_by") == [("c", None), ("e", "c")]


def test_a_circle_of_causes_is_refused_and_its_events_are_named(project: LogProject) -> None:
    project.write("s.csv", csv(HEAD, "a,2020-01-01,c", "b,2020-01-02,a", "c,2020-01-03,b", "d,2020-01-04,c"))

    with pytest.raises(CircleOfCauses) as refused:
        project.take()

    assert str(refused.value) == (
        "causes go round in a circle: 'a' is caused by 'c' is caused by 'b' is caused by 'a'; nothing was imported: "
        "no event can come after itself, so mend `caused_by` of one of them"
    )
    assert refused.value.exit_code == 4
    assert project.log().head().last == 0
    assert project.unnamed() == []


def test_an_event_that_causes_itself_is_refused(project: LogProject) -> None:
    project.write("s.csv", csv(HEAD, "a,2020-01-01,", "b,2020-01-02,b"))

    with pytest.raises(CircleOfCauses, match=r"circle: 'b' is caused by 'b'; nothing"):
        project.take()


def test_an_expression_that_does_not_fit_is_told_by_its_key(project: LogProject) -> None:
    project.sources[0]["caused_by"] = "nothing"
    project.write("s.csv", csv(HEAD, "a,2020-01-01,"))

    with pytest.raises(Exception, match=r"^source 's': caused_by = 'nothing': Binder Error: "):
        project.take()


ID = 'it holds the id of an event, so write caused_by = "VARCHAR"'


@pytest.mark.parametrize(
    ("columns", "more", "told"),
    [
        ({}, {"caused_by": "why"},
         ("source 's' says caused_by = 'why', and the log has no such column; declare caused_by = \"VARCHAR\" in "
          "[tool.dualgauge.log.columns]")),
        ({"caused_by": "BIGINT"}, {}, f"caused_by = 'BIGINT': {ID}"),
        ({"Caused_By": "VARCHAR"}, {}, f"Caused_By = 'VARCHAR': {ID}"),
        ({"caused_by": "VARCHAR"}, {"caused_by": "why", "select": {"caused_by": "why"}},
         "source 's': caused_by stands in select too; keep one"),
        ({"caused_by": "VARCHAR"}, {"caused_by": "why", "query": "SELECT 1"},
         "source 's' has a query: caused_by belong into that query"),
    ],
)  # fmt: skip
def test_settings_of_causes_that_do_not_fit_are_refused(
    tmp_path: Path, columns: dict[str, str], more: dict[str, object], told: str
) -> None:
    project = LogProject(tmp_path, columns=columns)
    project.source("s", path="s.csv", **more)

    with pytest.raises(BadSettings) as refused:
        project.open()

    assert told in str(refused.value)

"""The tail: after every batch each view is what a plain query over the log gives, however the events were parted."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

import dualgauge
from dualgauge.replay.errors import BrokenBatch
from support.shop import call
from support.tailed import KEPT, VIEWS, events, judge_all_splits, judged, laid_out, opened
from support.thinned import thinned

if TYPE_CHECKING:
    from pathlib import Path

LOGS: dict[str, list[dict[str, Any]]] = {
    "ups and downs": [
        {"type": "in", "who": "ada", "n": 2, "price": "1.10", "flag": True, "note": "a", "at": 5},
        {"type": "in", "who": None, "n": 5, "price": "0.05", "note": None, "at": 30},
        {"type": "out", "who": "ada", "n": 2, "price": "-9.99", "flag": False, "at": 2},
        {"type": "in", "who": "", "price": "100.00", "n": None, "flag": None, "note": "é 😀 ' \"", "at": 2.5},
        {"type": "out", "who": "Ädä", "n": -7, "note": "z", "at": 30},
        {"type": "in", "who": "ada", "n": 1, "flag": False, "price": "3.33", "note": "b", "at": 1},
    ],
    "nothing known": [
        {"type": "in"}, {"type": "in", "n": 3}, {"type": "in"}, {"type": "in", "n": -3, "who": "x", "flag": True},
        {"type": " ", "note": ""}, {"type": "in", "n": 3_000_000_000_000_000_000, "price": "9999999999999999.99"},
    ],
}  # fmt: skip


def test_each_view_gets_the_strategy_that_it_must(tmp_path: Path) -> None:
    with opened(tmp_path, LOGS["ups and downs"]) as project:
        found = {one.view.name: one.strategy.value for one in project.handles.plans}

    assert found == {name: strategy for name, (strategy, _) in VIEWS.items()}


@pytest.mark.parametrize("rows", thinned(4, [log[:most] for most in (5, 9) for log in LOGS.values()]))
def test_however_a_log_is_parted_every_view_is_what_its_query_gives(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    with opened(tmp_path, rows) as project:
        assert judge_all_splits(project, len(rows)) == 2 ** (len(rows) - 1)


def random_rows(chance: random.Random, count: int) -> list[dict[str, Any]]:
    return [
        {
            "type": chance.choice(("in", "out", "é", "x y")), "who": chance.choice(("ada", "bob", None, "", "Ä")),
            "n": chance.choice((None, chance.randrange(-9, 9))),
            "price": chance.choice((None, f"{chance.random():.2f}")),
            "flag": chance.choice((None, True, False)), "note": chance.choice((None, "", "a", "'b'", "{c}")),
            "at": chance.randrange(100),
        }
        for _ in range(count)
    ]  # fmt: skip


def test_random_logs_in_random_parts_give_what_the_queries_give(tmp_path: Path) -> None:
    seed = random.randrange(10**9)
    chance = random.Random(seed)
    with opened(tmp_path, random_rows(chance, 200)) as project:
        project.replay(chance.randrange(1, 100))
        at = 0
        while at < 200:
            at = min(200, max(at, 100) + chance.randrange(1, 90))
            project.tail(at, size=chance.choice((7, 40, 1000)))
            assert project.wrong(at, KEPT) == [], (seed, at)


def test_a_view_that_fails_stops_at_its_position_and_the_others_go_on(tmp_path: Path) -> None:
    views = {
        "whole": ("merge", "-- key: type\nSELECT type, sum(CAST(note AS BIGINT)) AS a FROM events GROUP BY type\n"),
        "counts": VIEWS["counts"],
        "once": ("append", "-- key: n\nSELECT coalesce(n, 0) AS n, note FROM events\n"),
    }
    migration = laid_out(tmp_path, views)
    rows = [{"n": 1, "note": "1"}, {"n": 2, "note": "2"}, {"n": 3, "note": "x"}, {"n": 1, "note": "4"}]
    for at, _ in enumerate(rows):
        with migration.appender() as log:
            log.append(events(rows)[at : at + 1])
        if at == 1:
            migration.replay()
    done = call("tail", "--once", "--format", "json", folder=tmp_path)

    assert done.exit_code == 1
    found = {one["view"]: (one["position"], one["error"]) for one in done.json["result"]["views"]}
    assert found["counts"] == (4, None)
    assert found["whole"][0] == found["once"][0] == 2
    assert "its SELECT cannot be computed over these events" in found["whole"][1]
    assert "a key is NULL or there already" in found["once"][1]
    assert judged(tmp_path) == {}
    assert call("tail", "--once", folder=tmp_path).exit_code == 1


def test_a_view_that_the_engine_cannot_compute_stops_alone_and_is_failing(tmp_path: Path) -> None:
    views = {
        "away": ("append", "-- key: position\nSELECT position, occurred_at AT TIME ZONE note AS local FROM events\n"),
        "counts": VIEWS["counts"],
    }
    migration = laid_out(tmp_path, views)
    rows = [{"n": 1, "note": "UTC"}, {"n": 2, "note": "Nowhere/X"}, {"n": 3, "note": "UTC"}]
    for at, _ in enumerate(rows):
        with migration.appender() as log:
            log.append(events(rows)[at : at + 1])
        if not at:
            migration.replay()
    done = call("tail", "--once", "--format", "json", folder=tmp_path)

    assert done.exit_code == 1
    found = {one["view"]: (one["position"], one["error"]) for one in done.json["result"]["views"]}
    assert found["counts"] == (3, None)
    assert found["away"][0] == 1
    assert "Nowhere/X" in found["away"][1]
    assert "away stopped behind position 1" in call("status", folder=tmp_path).out


def test_a_stale_view_goes_on_with_the_text_that_its_build_was_made_from(tmp_path: Path) -> None:
    migration, rows = laid_out(tmp_path, {"counts": VIEWS["counts"]}), random_rows(random.Random(3), 40)
    with migration.appender() as log:
        log.append(events(rows)[:20])
    migration.replay()
    file = tmp_path / "views_v1" / "counts.sql"
    before = file.read_text()
    file.write_text("-- key: who\nSELECT coalesce(who, '') AS who, max(n) AS most FROM events GROUP BY ALL\n")
    with migration.appender() as log:
        log.append(events(rows)[20:])
    (one,) = dualgauge.open(tmp_path).tail(once=True).views
    assert (one.position, one.error, one.left) == (40, "", "")
    file.write_text(before)
    assert judged(tmp_path) == {}


def test_what_it_reads_must_hold_each_position_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(tmp_path, random_rows(random.Random(1), 30), {"counts": VIEWS["counts"]}) as project:
        project.replay(10)
        relation = project.handles.log.relation
        monkeypatch.setattr(project.handles.log, "relation", lambda *given: f"{relation(*given)} LIMIT 19")
        with pytest.raises(BrokenBatch, match="the log gives 19 events from position 11 to 30, where 20 are due"):
            project.tail(30)
        monkeypatch.undo()
        assert project.wrong(10, ["counts"]) == []


def test_sources_are_imported_and_followed(tmp_path: Path) -> None:
    migration = laid_out(tmp_path, {"counts": VIEWS["counts"]})
    project = (tmp_path / "pyproject.toml").read_text()
    (tmp_path / "pyproject.toml").write_text(
        project
        + '[[tool.dualgauge.sources]]\nname = "s"\npath = "s.csv"\nevent_id = "id"\ntype = "kind"\noccurred_at = "at"\n'
    )
    (tmp_path / "s.csv").write_text("id,kind,at,n\n1,in,2026-01-01,1\n")
    assert call("log", "import", "s", folder=tmp_path).exit_code == 0
    assert call("replay", folder=tmp_path).exit_code == 0
    with (tmp_path / "s.csv").open("a") as file:
        file.write("2,in,2026-01-02,2\n3,out,2026-01-03,3\n")
    said = call("tail", "--once", "--import", folder=tmp_path)

    assert (said.exit_code, said.err) == (0, "")
    assert "v1.counts" in said.out
    assert migration.status().head == 3
    assert judged(tmp_path) == {}


def test_without_a_build_it_says_what_to_do(tmp_path: Path) -> None:
    laid_out(tmp_path, {"counts": VIEWS["counts"]})
    said = call("tail", "--once", folder=tmp_path)

    assert said.exit_code == 0
    assert "no view has a build yet: run `dualgauge replay` first" in said.out


def test_late_events_are_counted_by_the_old_windows_that_they_change(tmp_path: Path) -> None:
    seed = random.randrange(10**9)
    chance = random.Random(seed)
    rows = [{"type": chance.choice(("in", "out")), "n": 1, "at": chance.randrange(90)} for _ in range(120)]
    names = {"hours": 1, "days": 24}
    with opened(tmp_path, rows, {name: VIEWS[name] for name in names}) as project:
        project.replay(10)
        at = 10
        while at < len(rows):
            end = min(len(rows), at + chance.randrange(1, 20))
            found = {one.view: one.old_windows for one in project.tail(end)}
            for name, hours in names.items():
                newest = max(row["at"] // hours for row in rows[:at])
                old = {row["at"] // hours for row in rows[at:end]} - set(range(newest, 100))
                assert found[name] == len(old), (seed, name, at, end)
            at = end


def test_several_batches_add_up_and_the_command_says_so(tmp_path: Path) -> None:
    migration = laid_out(tmp_path, {"hours": VIEWS["hours"], "days": VIEWS["days"]})
    rows = [{"at": 5}, {"at": 60}, {"at": 7}, {"at": 8}, {"at": 61}, {"at": 60}]
    with migration.appender() as log:
        log.append(events(rows)[:2])
    migration.replay()
    with migration.appender() as log:
        log.append(events(rows)[2:])
    said = call("tail", "--once", folder=tmp_path)

    assert "late events changed 2 old windows" in said.out
    assert "late events changed 1 old window " in said.out

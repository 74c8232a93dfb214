"""`log forget` takes a source's cursor away, and nothing else."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest

import dualgauge
from dualgauge.eventlog.imports.forget import forget
from dualgauge.eventlog.table.event_log import Behind
from support.log_project import NOW, LogProject, csv
from support.shop import build, call, lay_out

if TYPE_CHECKING:
    from pathlib import Path

STAY = "its events stay; the next import reads it from its beginning and skips ids that are known"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return build(tmp_path / "shop")


def heads(folder: Path) -> dict[str, object]:
    found: dict[str, object] = call("log", "show", "--head", "--format", "json", folder=folder).json["result"]["head"]
    return found


def test_a_forgotten_source_is_read_from_its_beginning_and_its_events_stay(shop: Path) -> None:
    before = heads(shop)
    said = call("log", "forget", "orders", folder=shop)

    assert said.exit_code == 0
    assert said.out.splitlines()[:2] == ["forgot how far orders was taken in (1 file)", STAY]
    assert "next: dualgauge log import orders" in said.out + said.err
    after = heads(shop)
    assert after["sources"] == {}
    assert (after["last"], after["chain"]) == (before["last"], before["chain"])
    assert after["last_commit"] == {"first": 6, "rows": 0}
    assert "5 events known already" in call("log", "import", folder=shop).out
    assert heads(shop)["sources"] == before["sources"]


def test_a_dry_run_says_so_and_forgets_nothing(shop: Path) -> None:
    before = heads(shop)
    said = call("log", "forget", "orders", "--dry-run", folder=shop)

    assert said.out.splitlines() == ["would forget how far orders was taken in (1 file)", STAY]
    assert heads(shop) == before


def test_it_answers_in_json(shop: Path) -> None:
    found = {"source": "orders", "files": ["data/orders.csv"], "head": 5, "configured": True}
    planned = call("log", "forget", "orders", "--dry-run", "--format", "json", folder=shop).json
    done = call("log", "forget", "orders", "--format", "json", folder=shop).json
    again = call("log", "forget", "orders", "--format", "json", folder=shop).json

    assert planned["result"] == {**found, "changed": False, "dry_run": True}
    assert done["result"] == {**found, "changed": True, "dry_run": False}
    assert again["result"] == {**found, "files": [], "changed": False, "dry_run": False}
    assert [one["next_steps"] != [] for one in (planned, done, again)] == [False, True, False]


def test_a_source_that_nothing_was_taken_in_from_is_no_error(tmp_path: Path) -> None:
    project = LogProject(tmp_path)
    project.write("s.csv", csv("id,seen", "a,2020-01-01"))
    project.source("s", path="s.csv")
    project.source("other", path="s.csv")
    project.take("s")
    before = project.commits()

    said = call("log", "forget", "other", folder=tmp_path)

    assert (said.exit_code, said.out) == (0, "nothing was taken in from other yet: there is nothing to forget\n")
    assert project.commits() == before


def test_a_source_that_left_the_settings_can_be_forgotten(tmp_path: Path) -> None:
    project = LogProject(tmp_path)
    project.write("s.csv", csv("id,seen", "a,2020-01-01"))
    project.source("s", path="s.csv")
    project.take()
    project.sources.clear()
    project.open()
    said = call("log", "forget", "s", folder=tmp_path)

    assert said.exit_code == 0
    assert said.out.splitlines()[-1] == "s is not in the settings any more, so nothing reads it"
    assert project.log().head().cursors == {}


def test_an_unknown_name_is_refused_with_the_nearest(shop: Path) -> None:
    said = call("log", "forget", "ordres", folder=shop)

    assert (said.exit_code, said.err) == (
        2,
        (
            "error: no source is called 'ordres' (did you mean 'orders'?); the log knows of orders; nothing was "
            "forgotten: see `dualgauge log show --head`\n"
        ),
    )


def test_without_a_log_there_is_nothing_to_forget(tmp_path: Path) -> None:
    said = call("log", "forget", "orders", folder=lay_out(tmp_path / "shop"))

    assert said.exit_code == 2
    assert "there is no event log at" in said.err


def test_what_another_process_appends_meanwhile_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = LogProject(tmp_path)
    project.write("1.csv", csv("id,seen", "a,2020-01-01"))
    project.write("2.csv", csv("id,seen", "b,2020-01-01"))
    project.source("one", path="1.csv")
    project.source("two", path="2.csv")
    project.take("one")
    log = project.log()
    real, behind = log.note, []

    def note(*given: object) -> object:
        if not behind:
            # It goes on without its turn, which this one has; by default it would wait half a minute for it.
            dualgauge.open(tmp_path, clock=lambda: NOW, patience=0.05).import_("two")
        try:
            return real(*given)
        except Behind:
            behind.append(True)
            raise

    monkeypatch.setattr(log, "note", note)
    assert forget(log, "one", ["one", "two"], sleep=lambda _: None, chance=Random(1)).known
    assert behind == [True]
    assert project.log().head().cursors.keys() == {"two"}
    assert project.verify() == 2

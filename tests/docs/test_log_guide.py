"""docs/guides/log.md, played: verify, compact, back up, and read the log without dualgauge."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import dualgauge
from support.snippets import ROOT, blocks, commands, play, prepare, section, wrong

if TYPE_CHECKING:
    from pathlib import Path

PAGE = (ROOT / "docs" / "guides" / "log.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """The shop after the page was played, and what was other than the page says."""
    with pytest.MonkeyPatch.context() as patch:
        folder = commands(tmp_path_factory.mktemp("guide"), patch)
        prepare("shop", folder)
        return folder, wrong(play(PAGE, folder))


def test_what_the_guide_shows_is_what_happens(played: tuple[Path, list[str]]) -> None:
    assert played[1] == []


def test_the_backup_of_the_guide_can_be_worked_with(played: tuple[Path, list[str]]) -> None:
    restored = dualgauge.open(played[0].parent / "restored")
    assert restored.log.verify().sound
    assert [one["position"] for one in restored.log.show(1).events] == [1, 2, 3, 4, 5, 6]


def test_the_log_opens_in_deltalake_and_in_duckdb_by_the_snippets_alone(played: tuple[Path, list[str]]) -> None:
    snippets = [one.body for one in blocks(section(PAGE, "Open it without dualgauge")) if one.language == "python"]

    assert len(snippets) == 2
    assert [line for one in snippets for line in one.splitlines() if "import" in line and "dualgauge" in line] == []
    assert all("assert " in one for one in snippets)


def test_every_finding_has_its_row() -> None:
    from dualgauge.eventlog.integrity.history import Fault

    told = [
        line.split("`")[1] for line in section(PAGE, "What it finds, and what to do").splitlines() if "| `" in line[:3]
    ]
    assert sorted(told) == sorted(one.value for one in Fault)

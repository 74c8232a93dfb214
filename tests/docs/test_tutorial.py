"""docs/tutorial.md is followed from an empty folder, with nothing but what stands in it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

import dualgauge
from dualgauge.model import Side
from support.inside import log_of, store_of
from support.snippets import ROOT, blocks, calls, commands, play, prepare, wrong

if TYPE_CHECKING:
    from pathlib import Path

PAGE = ROOT / "docs" / "tutorial.md"


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data_folder: Path) -> Path:
    folder = commands(tmp_path, monkeypatch)
    prepare("retail", folder, data_folder)
    return folder


def typed(text: str) -> list[str]:
    """The commands of dualgauge that a page asks for."""
    found = [command for one in blocks(text) if one.language == "console" for command, _ in calls(one.body)]
    return [command for command in found if command.startswith("dualgauge ")]


def test_the_first_verdict_on_ones_own_data_takes_fewer_than_ten_commands(shop: Path) -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert list(shop.iterdir()) == []

    played = play(text, shop)

    assert wrong(played) == []
    assert len(typed(text)) < 10
    assert [" ".join(re.findall(r"^dualgauge (log \w+|\w+)", one)) for one in typed(text)] == [
        "init", "log add", "log import", "replay", "diff", "diff", "report", "switch",
    ]  # fmt: skip
    assert [one.exit_code for one in played if one.command.startswith("dualgauge diff")] == [4, 0]
    # What the reader has at the end is what the page says: the shop's own figures, and a share of 1 %.
    migration = dualgauge.open(shop)
    assert migration.cutover.state().share_ppm == 10_000
    assert log_of(migration).head().last == 42_481
    ireland = store_of(migration).point(Side.V2, "countries", ["EIRE"])
    assert ireland is not None
    whole = store_of(migration).point(Side.V1, "countries", ["EIRE"])
    assert whole is not None
    assert ireland["revenue"] - ireland["refunds"] == whole["revenue"]

    (told,) = (one.now for one in played if one.command == "dualgauge report")
    (report,) = (line.removeprefix("wrote ") for line in told.splitlines() if line.endswith(".html"))
    html = (shop / report).read_text(encoding="utf-8")
    assert "countries" in html
    assert not re.findall(r"(?:src|href)=[\"']?https?:", html)

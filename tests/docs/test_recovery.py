"""docs/guides/recovery.md, played: each command is killed before its decisive write, and behind it."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from support.snippets import ROOT, commands, play, prepare, wrong

if TYPE_CHECKING:
    from pathlib import Path

PAGE = ROOT / "docs" / "guides" / "recovery.md"


@pytest.mark.parametrize("moment", ["before", "after"])
def test_what_the_page_says_of_a_killed_command_holds_at_its_worst_moments(
    moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = commands(tmp_path, monkeypatch)
    timeout = tmp_path / "bin" / "timeout"
    timeout.write_text(f'#!/bin/sh\nexec {sys.executable} {ROOT}/tests/support/dies.py "$@"\n')
    timeout.chmod(0o755)
    monkeypatch.setenv("DIES", moment)
    prepare("shop", folder)

    played = play(PAGE.read_text(encoding="utf-8"), folder)

    assert wrong(played) == []
    killed = [one for one in played if one.command.startswith("timeout")]
    assert [one.exit_code for one in killed] == [137] * 5
    results = {
        name: json.loads((folder / f"{name}.json").read_text())["result"]
        for name in ("import", "replay", "compact", "switch")
    }
    loaded = {one["view"]: one["resumed_at"] for one in results["replay"]["views"] if one["side"] == "v1"}
    if moment == "before":
        assert results["import"]["added"] == 20_000
        assert loaded == {"customers": 20_003}
        assert (results["compact"]["before"], results["compact"]["after"]) == (2, 1)
        assert results["switch"]["changed"]
    else:
        assert results["import"]["added"] == 0
        assert loaded == {"customers": 0}
        assert (results["compact"]["before"], results["compact"]["after"]) == (1, 1)
        assert not results["switch"]["changed"]

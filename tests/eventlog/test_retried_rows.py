"""Rows that were set aside become the events that they would have been, and what lies beside them is found quickly."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path, PosixPath
from typing import TYPE_CHECKING, Any

from dualgauge.eventlog.settings import SourceSettings
from dualgauge.eventlog.sources.cursor import FileReading, Growth, SourceReading, Taken, source_of
from dualgauge.eventlog.sources.fingerprints import Fingerprint
from dualgauge.eventlog.sources.source import Source

if TYPE_CHECKING:
    pass

DAY = "2026-01-01"
MENDED = "coalesce(TRY_CAST(seen AS TIMESTAMP), TIMESTAMP '2026-01-05')"


class Root(PosixPath):
    """A folder that counts how many paths are made in it."""

    joined = 0

    def __truediv__(self, name: Any) -> Path:
        Root.joined += 1
        return Path(str(self), name)


def test_a_part_is_due_behind_the_files_before_it_which_are_looked_at_once() -> None:
    chance = random.Random(5)
    labels = [f"d/{at:04d}.jsonl" for at in range(400)]
    kept = {one: Taken("", 1, due=_due(chance), again=chance.random() < 0.2) for one in chance.sample(labels, 200)}
    grown, new = Taken("", 1, due=None), None
    print_ = Fingerprint(1, "", "", "", "", more=False, torn=False, state=())
    files = tuple(
        FileReading(Path("/p", one), one, Growth.LINES, print_, taken, tail=taken is not None and chance.random() < 0.7)
        for one in labels
        if one not in kept
        for taken in [chance.choice([new, replace(grown, due=_due(chance))])]
    )
    settings = SourceSettings(name="s", path="d/*", event_id="id", type="'s'", occurred_at="seen", order_by="file")
    reading = SourceReading(Source(settings, Root("/p")), None, files, kept)
    Root.joined = 0
    parts = source_of(reading, {}).parts

    assert Root.joined <= len(kept)
    for part in parts or ():
        before = [one.due for label, one in kept.items() if Path("/p", label) < part.file and not one.again]
        before += [one.taken.due for one in files if one.tail and one.taken and one.file <= part.file]
        assert part.floor == max((one for one in before if one is not None), default=None)


def _due(chance: random.Random) -> int | None:
    return chance.choice([None, chance.randrange(99)])

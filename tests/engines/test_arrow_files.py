"""Arrow files that an engine reads as memory is."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pyarrow as pa

from dualgauge.engines.duck import open_engine

ROWS = 400_000


def resident() -> int:
    """Bytes of files that stand in this process's memory, be they of a disk or of memory themselves."""
    found = re.findall(r"Rss(?:File|Shmem):\s+([0-9]+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    assert len(found) == 2
    return sum(map(int, found)) << 10


def test_files_are_read_whole_and_leave_their_memory_to_others_meanwhile(tmp_path: Path) -> None:
    pa.schema([("n", pa.int64()), ("text", pa.string())])
    tables = (
        pa.table({"n": pa.array(range(ROWS))}),
        pa.table({"n": pa.array(range(ROWS, 2 * ROWS)), "text": [f"{number:099}" for number in range(ROWS)]}),
    )
    for at, table in enumerate(tables):
        # The first one was written before anybody knew of the second column.
        with pa.ipc.new_file(tmp_path / f"{at}.arrow", table.schema) as writer:
            writer.write_table(table)
    with open_engine() as engine:
        engine.register_files("rows", [tmp_path / "0.arrow", tmp_path / "1.arrow"], tables[1].schema)
        asked = "SELECT count(*), sum(n), count(text), bit_xor(hash(text)) FROM rows"
        found = engine.row(asked)
        assert found[:3] == (2 * ROWS, sum(range(2 * ROWS)), ROWS)
        full = resident()
        with engine.resting():
            assert engine.row(asked) == found
            time.sleep(0.5)
            assert resident() < full - (ROWS * 50)
            assert engine.row(asked) == found
        assert engine.row(asked) == found

"""
Text files: the processor's time of an import of CSV and of JSON lines, and of a diff of two CSV files.

The floor is the least work: the engine's own reader, told every type, writes the same columns into Parquet. It guesses
and bends where dualgauge does not; `--before` measures an older dualgauge beside this one. Every measurement runs in a
process of its own, in turn with the others. Exits with 1 where a bar is missed.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from pathlib import Path
from typing import Final

from _child import run
from _figures import Figure, middle, publish, releases

ROOT: Final = Path(__file__).resolve().parents[1]
ROWS: Final = 1_000_000
KINDS: Final = ("csv", "jsonl", "escapes")
TYPES: Final = {
    "id": "VARCHAR", "type": "VARCHAR", "at": "TIMESTAMPTZ", "customer": "BIGINT", "amount": "DECIMAL(18,2)",
    "ok": "BOOLEAN", "note": "VARCHAR", "q": "BIGINT",
}  # fmt: skip

SETTINGS: Final = """[tool.dualgauge]
migration = "text"
[tool.dualgauge.log.columns]
customer = "BIGINT"
amount = "DECIMAL(18,2)"
ok = "BOOLEAN"
note = "VARCHAR"
total = "DECIMAL(18,2)"
[[tool.dualgauge.sources]]
name = "s"
path = "{file}"
event_id = "id"
type = "type"
occurred_at = "at"
select = {{total = "amount * q"}}
"""

IMPORT: Final = """
import dualgauge
before = used()
told(dualgauge.open(FOLDER).import_("s").added, before)
"""

DIFF: Final = """
import dualgauge
from dualgauge import Comparator
before = used()
told(dualgauge.compare(FILE, FILE, Comparator(key="id")).matched, before)
"""

READ: Final = """
import duckdb
before = used()
con = duckdb.connect()
con.execute("SET enable_progress_bar = false; SET TimeZone = 'UTC'")
con.execute(f"COPY (SELECT * FROM {READER}) TO '{TO}' (FORMAT parquet, COMPRESSION zstd)")
told(con.execute(f"SELECT count(*) FROM '{TO}'").fetchone()[0], before)
"""


def write(folder: Path, rows: int) -> dict[str, Path]:
    """Write the files, of one and the same rows."""
    chance = random.Random(1)
    files = {"csv": folder / "s.csv", "jsonl": folder / "s.jsonl", "escapes": folder / "escapes.jsonl"}
    with files["csv"].open("w") as csv, files["jsonl"].open("w") as plain, files["escapes"].open("w") as escaped:
        csv.write(",".join(TYPES) + "\n")
        for at in range(rows):
            day, hour = 1 + at // 40_000 % 28, at // 3600 % 24
            row = {
                "id": f"e{at}", "type": "placed", "at": f"2026-01-{day:02d}T{hour:02d}:00:00Z",
                "customer": chance.randrange(10**6), "amount": chance.randrange(10**5) / 100,
                "ok": chance.random() < 0.5, "note": f"word {chance.randrange(1000)}", "q": chance.randrange(9),
            }  # fmt: skip
            csv.write(",".join(str(one).lower() if one in (True, False) else str(one) for one in row.values()) + "\n")
            plain.write(json.dumps(row) + "\n")
            escaped.write(json.dumps(row | {"note": row["note"] + ' "é" \\'}) + "\n")
    return files


def used(script: str, source: Path, rows: int, **names: object) -> dict[str, float]:
    """What a script took. Raises RuntimeError where it found other rows."""
    said = run(script, source, names)
    if said["found"] != rows:
        message = f"{said['found']} rows were found, and {rows} written"
        raise RuntimeError(message)
    return {"cpu": said["cpu"], "peak": said["peak"]}


def measure(folder: Path, rows: int, rounds: int, before: Path | None) -> dict[str, float]:
    """Medians over interleaved rounds."""
    files = write(folder, rows)
    sources = {"": ROOT / "src"} | ({", before": before.resolve() / "src"} if before else {})
    columns = "{" + ", ".join(f"'{name}': '{kind}'" for name, kind in TYPES.items()) + "}"
    kept = []
    for turn in range(rounds):
        one: dict[str, float] = {}
        for kind in KINDS:
            reader = "read_csv" if kind == "csv" else "read_json"
            floor = used(
                READ,
                ROOT / "src",
                rows,
                READER=f"{reader}('{files[kind]}', columns = {columns})",
                TO=str(folder / "floor.parquet"),
            )
            one[f"{kind}, floor"] = floor["cpu"]
            for name, source in sources.items():
                project = folder / f"{kind}{turn}{name.strip(', ')}"
                project.mkdir()
                (project / "pyproject.toml").write_text(SETTINGS.format(file=files[kind]))
                said = used(IMPORT, source, rows, FOLDER=str(project))
                one |= {f"{kind}{name}": said["cpu"], f"{kind}{name}, peak": said["peak"]}
        for name, source in sources.items():
            one[f"diff{name}"] = used(DIFF, source, rows, FILE=str(files["csv"]))["cpu"]
        kept.append(one)
    return {name: middle(kept, name) for name in kept[0]}


def figures(found: dict[str, float]) -> list[Figure]:
    """The table: imports by their floors, and everything by what it took before."""
    lines = [Figure(kind, "s", found[kind], found[f"{kind}, floor"]) for kind in KINDS]
    if "csv, before" in found:
        bars = {"csv": 1.5, "jsonl": 2.0, "escapes": 2.0, "diff": 1.3}
        lines += [Figure(f"{one}, before", "s", found[one], found[f"{one}, before"], bar) for one, bar in bars.items()]
        lines += [
            Figure(f"peak {kind}", "MB", found[f"{kind}, peak"], found[f"{kind}, before, peak"]) for kind in KINDS
        ]
    else:
        lines += [Figure("diff", "s", found["diff"])]
        lines += [Figure(f"peak {kind}", "MB", found[f"{kind}, peak"]) for kind in KINDS]
    return lines


def main() -> int:
    """Measure everything; 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description="What text files cost.")
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--before", type=Path, metavar="CHECKOUT", help="an older dualgauge, measured beside this one")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to keep the JSON line too")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="text-") as folder:
        found = measure(Path(folder), given.rows, given.rounds, given.before)
    return publish(
        "text",
        f"text files of {given.rows:,} rows of {len(TYPES)} fields; CPU time\nmedians of {given.rounds} rounds",
        figures(found),
        sizes={"rows": given.rows, "rounds": given.rounds},
        versions=releases(("duckdb", "pyarrow", "msgspec")),
        to=given.json,
    )


if __name__ == "__main__":
    sys.exit(main())

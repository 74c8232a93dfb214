"""
The diff of two files: processor time by plan, against a full join, an older dualgauge, datacompy and reladiff.

Every measurement runs in a process of its own, in turn with the others, and says what it found: a figure of a wrong
answer is none. Exits with 1 where a bar is missed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from _child import run
from _figures import Figure, middle, publish, releases
from _pair import CHANGED, COLUMNS, EXTRA, MISSING, write_pair

ROOT: Final = Path(__file__).resolve().parents[1]
ROWS: Final = 5_000_000
LIBRARIES: Final = ("duckdb", "pyarrow")

DUALGAUGE: Final = """
import dualgauge
from dualgauge import Comparator
dualgauge.compare
before = used()
got = dualgauge.compare(V1, V2, Comparator(key="id"), memory_limit=MEMORY, **OPTIONS)
told(sorted([got.changed, got.only_in_v1, got.only_in_v2]), before)
"""

FULL_JOIN: Final = """
import duckdb
before = used()
con = duckdb.connect()
con.execute("SET enable_progress_bar = false; SET preserve_insertion_order = false")
con.execute(f"SET memory_limit = '{MEMORY}'")
differs = " OR ".join(f"a.{c} IS DISTINCT FROM b.{c}" for c in COLUMNS)
rows = con.execute(f'''SELECT coalesce(a.id, b.id),
    CASE WHEN b.id IS NULL THEN 'missing' WHEN a.id IS NULL THEN 'extra' ELSE 'changed' END
    FROM '{V1}' a FULL JOIN '{V2}' b ON a.id = b.id WHERE a.id IS NULL OR b.id IS NULL OR {differs}''').fetchall()
kinds = [kind for _, kind in rows]
told(sorted(kinds.count(kind) for kind in ("changed", "missing", "extra")), before)
"""

DATACOMPY: Final = """
import datacompy, polars
before = used()
got = datacompy.PolarsCompare(polars.read_parquet(V1), polars.read_parquet(V2), join_columns=["id"])
told(sorted([len(got.all_mismatch()), len(got.df1_unq_rows), len(got.df2_unq_rows)]), before)
"""

# It reads tables and no files; they are there before the clock runs. Its other algorithm is for two databases.
RELADIFF: Final = """
import pathlib, tempfile
import duckdb
import reladiff
folder = tempfile.TemporaryDirectory()
file = str(pathlib.Path(folder.name, "pair.duckdb"))
with duckdb.connect(file) as con:
    con.execute(f"CREATE TABLE v1 AS FROM '{V1}'; CREATE TABLE v2 AS FROM '{V2}'")
before = used()
sides = [
    reladiff.connect_to_table({"driver": "duckdb", "filepath": file}, name, "id", extra_columns=COLUMNS)
    for name in ("v1", "v2")
]
found = {}
for sign, row in reladiff.diff_tables(*sides, algorithm=reladiff.Algorithm.JOINDIFF, extra_columns=COLUMNS):
    found.setdefault(row[0], []).append(sign)
told(sorted([sum(signs == one for signs in map(sorted, found.values())) for one in (["+", "-"], ["+"], ["-"])]), before)
"""


@dataclass(frozen=True, slots=True)
class Way:
    """One way to compare two files: a script, the interpreter and the source folder that it runs with."""

    script: str
    python: str = sys.executable
    source: Path = ROOT / "src"
    plan: str | None = None

    def run(self, v1: Path, v2: Path, memory: str) -> dict[str, float]:
        """
        Compare in a new process; seconds of processor time and megabytes at the peak.

        Raises:
            RuntimeError: it failed, or found what was not planted.
        """
        options = {} if self.plan is None else {"plan": self.plan}
        names = {"V1": str(v1), "V2": str(v2), "MEMORY": memory, "COLUMNS": COLUMNS, "OPTIONS": options}
        said = run(self.script, self.source, names, python=self.python)
        planted = [0, 0, 0] if v1 == v2 else sorted((CHANGED, MISSING, EXTRA))
        if said["found"] != planted:
            message = f"{said['found']} were found and {planted} planted"
            raise RuntimeError(message)
        return {"cpu": said["cpu"], "peak": said["peak"]}


def ways(before: Path | None, datacompy: str | None, reladiff: str | None) -> dict[str, Way]:
    """All ways by name, those of other tools where they are there."""
    found = {
        "default": Way(DUALGAUGE),
        "wide": Way(DUALGAUGE, plan="wide"),
        "buckets": Way(DUALGAUGE, plan="buckets"),
        "full join": Way(FULL_JOIN),
    }
    if before is not None:
        found["before"] = Way(DUALGAUGE, source=before.resolve() / "src")
    if datacompy is not None:
        found["datacompy"] = Way(DATACOMPY, python=datacompy)
    if reladiff is not None:
        found["reladiff"] = Way(RELADIFF, python=reladiff)
    return found


def measure(every: dict[str, Way], v1: Path, v2: Path, memory: str, rounds: int) -> dict[str, float]:
    """Medians by way, and of its peak, over interleaved rounds: the pair, and `v1` with itself as `NAME, equal`."""
    kept: list[dict[str, float]] = []
    for _ in range(rounds):
        one: dict[str, float] = {}
        for name, way in every.items():
            said = way.run(v1, v2, memory)
            one |= {name: said["cpu"], f"{name}, peak": said["peak"]}
            if name in ("default", "buckets", "before"):
                one[f"{name}, equal"] = way.run(v1, v1, memory)["cpu"]
        kept.append(one)
    return {name: middle(kept, name) for name in kept[0]}


def figures(found: dict[str, float]) -> list[Figure]:
    """The table: what dualgauge takes, by a full join and by what it took before."""
    lines = [
        Figure(name, "s", found[name], found["full join"], bar=2.2 if name == "default" else None)
        for name in ("default", "wide", "buckets")
    ]
    if "before" in found:
        lines += [Figure(f"{name}, before", "s", found[name], found["before"], 1.15) for name in ("default", "buckets")]
        lines += [
            Figure(f"{name}, equal", "s", found[f"{name}, equal"], found["before, equal"], 1.25)
            for name in ("default", "buckets")
        ]
    others = [name for name in ("datacompy", "reladiff") if name in found]
    lines += [Figure(name, "s", found[name], found["full join"]) for name in others]
    ours = ("default", "wide", "buckets")
    lines += [Figure(f"peak {name}", "MB", found[f"{name}, peak"]) for name in (*ours, *others)]
    return lines


def main() -> int:
    """Measure everything; 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description="What a diff of two files costs.")
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory-limit", default="1GB", help="of each engine")
    parser.add_argument("--before", type=Path, metavar="CHECKOUT", help="an older dualgauge, measured beside this one")
    parser.add_argument("--datacompy", metavar="PYTHON", help="an interpreter that has datacompy and polars")
    parser.add_argument("--reladiff", metavar="PYTHON", help="an interpreter that has reladiff[duckdb]")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to keep the JSON line too")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="diff-") as folder:
        v1, v2 = write_pair(Path(folder), given.rows)
        found = measure(ways(given.before, given.datacompy, given.reladiff), v1, v2, given.memory_limit, given.rounds)
    return publish(
        "diff",
        f"the diff of two files of {given.rows:,} rows, {given.memory_limit} of memory; CPU time\n"
        f"medians of {given.rounds} rounds",
        figures(found),
        sizes={"rows": given.rows, "rounds": given.rounds, "memory_limit": given.memory_limit},
        versions=releases(LIBRARIES),
        to=given.json,
    )


if __name__ == "__main__":
    sys.exit(main())

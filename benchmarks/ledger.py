"""
What a look at the gates costs where the ledger is long: the whole journal and all seals are verified at every look.

What is measured, in CPU time of this process, each figure the least of its rounds: other processes only add to it.

few             `switch --dry-run` on a project with `--few` finished runs in its ledger: a whole command.
look            what the same costs more with `--runs` of them.
evidence        `Ledger.evidence` by itself, with `--runs`: the chain walked, every run held to its seal; floor: sqlite3
                gives the same rows, and each is digested once as it comes.

The runs are copies of one that a real diff made, each with its own id and seal. Prints a table and, as the last line,
one JSON object. Exits with 1 where a bar is missed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sqlite3
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from _figures import Figure, publish, releases

import dualgauge
from dualgauge.ledger import journal
from dualgauge.ledger.ledger import Ledger
from dualgauge.ledger.seal import seal
from dualgauge.scaffold.demo import content

if TYPE_CHECKING:
    from collections.abc import Callable

SETTINGS = """[tool.dualgauge]
migration = "benchmark"
[tool.dualgauge.log.columns]
customer = "VARCHAR"
cents = "BIGINT"
[[tool.dualgauge.sources]]
name = "orders"
path = "orders.csv"
event_id = "id"
type = "'placed'"
occurred_at = "time"
"""

FILES = {
    "pyproject.toml": SETTINGS,
    "orders.csv": "id,time,customer,cents\n1,2026-01-01T09:00:00Z,ada,2500\n2,2026-01-01T09:30:00Z,bob,1200\n",
    "views_v1/customers.sql": "-- key: customer\nSELECT customer, sum(cents) AS cents FROM events GROUP BY customer\n",
    "views_v2/customers.sql": "-- key: customer\nSELECT customer, sum(cents) AS cents FROM events GROUP BY customer\n",
}

BAR_MS = 80.0
LIBRARIES = ("duckdb", "sqlalchemy")


def new_project(root: Path) -> Path:
    """A project that passed its diff: the gates are open."""
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    shutil.copytree(
        content() / "migrations", root / "migrations", ignore=shutil.ignore_patterns("versions", "__pycache__")
    )
    (root / "migrations" / "versions").mkdir()
    migration = dualgauge.open(root)
    migration.import_(every=True)
    migration.replay()
    migration.diff()
    return root


def ledger_of(root: Path) -> Path:
    """Where the project's ledger is."""
    return root / ".dualgauge" / "ledger.db"


def fill(root: Path, runs: int) -> None:
    """Have so many finished runs: put in behind the newest, each sealed, as dualgauge would have left them."""
    with closing(sqlite3.connect(ledger_of(root))) as hand, hand:
        rows = hand.execute("SELECT * FROM evidence ORDER BY started_at").fetchall()
        at, digest, text = hand.execute("SELECT seq, digest, row FROM journal ORDER BY seq DESC LIMIT 1").fetchone()
        entry = journal.evidence_of(json.loads(text))
        for seq in range(at + 1, at + 1 + runs - len(rows)):
            row = (f"{entry.run}-{seq}", *rows[-1][1:])
            new = journal.evidence_row(entry._replace(run=row[0], seal=seal(row)), seq=seq, previous=digest)
            digest = new.digest
            hand.execute(
                "INSERT INTO journal (seq, operation_id, previous, digest, row) VALUES (?, ?, ?, ?, ?)",
                (new.seq, new.operation_id, new.previous, new.digest, new.row),
            )
            hand.execute(f"INSERT INTO evidence VALUES ({', '.join('?' * len(row))})", row)


def cpu(what: Callable[[], Any]) -> float:
    """Milliseconds of CPU time that a call takes."""
    start = time.process_time()
    what()
    return 1000 * (time.process_time() - start)


def look(root: Path) -> None:
    """One whole command that asks the gates."""
    assert dualgauge.open(root).switch(10_000, dry_run=True).changed


def evidence(root: Path) -> None:
    """The chain and the seals, by themselves."""
    with Ledger.look(f"sqlite:///{ledger_of(root)}") as ledger:
        assert ledger.evidence().first_bad is None


def floor(root: Path) -> None:
    """Every row of both tables, digested once as it comes."""
    with closing(sqlite3.connect(ledger_of(root))) as hand:
        for name in ("journal", "evidence"):
            for row in hand.execute(f"SELECT * FROM {name}").fetchall():
                hashlib.sha256("".join(map(str, row)).encode()).hexdigest()


def measured(few: Path, many: Path, rounds: int) -> list[Figure]:
    """All figures, as the least of rounds that take turns."""
    turns = {
        "few": lambda: look(few), "many": lambda: look(many),
        "evidence": lambda: evidence(many), "floor": lambda: floor(many),
    }  # fmt: skip
    for turn in turns.values():
        turn()
    taken: dict[str, list[float]] = {name: [] for name in turns}
    for number in range(rounds):
        for name in turns if number % 2 else reversed(turns):
            taken[name].append(cpu(turns[name]))
    least = {name: min(one) for name, one in taken.items()}
    return [
        Figure("few", "ms", least["few"]),
        Figure("look", "ms", least["many"] - least["few"], bar=BAR_MS),
        Figure("evidence", "ms", least["evidence"], least["floor"]),
    ]


def main() -> int:
    """Measure everything; 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description="What a look at the gates costs where the ledger is long.")
    parser.add_argument("--runs", type=int, default=5_000, help="finished runs in the long ledger")
    parser.add_argument("--few", type=int, default=5, help="finished runs in the short one")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the JSON line to a file, too")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dualgauge-bench-") as folder:
        few, many = new_project(Path(folder, "few")), new_project(Path(folder, "many"))
        fill(few, given.few)
        fill(many, given.runs)
        figures = measured(few, many, given.rounds)
    return publish(
        "ledger",
        f"a look at the gates with {given.few:,} and with {given.runs:,} finished runs; CPU time\n"
        f"the least of {given.rounds} rounds",
        figures,
        sizes={
            "runs": given.runs,
            "few": given.few,
            "rounds": given.rounds,
        },
        versions=releases(LIBRARIES),
        to=given.json,
    )


if __name__ == "__main__":
    sys.exit(main())

"""
The sample report of `reports/sample`, and what it is made from.

    python tests/support/report_sample.py                  write the sample again from its kept evidence
    python tests/support/report_sample.py FOLDER NAME      take the evidence of a project's comparator first

The kept evidence is what a real run left: its files, and the ledger's rows of its comparator.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dualgauge.comparison.runs.run_files import file_hashes
from dualgauge.cutover.gates.evidence_list import lines
from dualgauge.cutover.gates.validity import Present, RequiredEvidence
from dualgauge.cutover.values import GateLimits, Readiness
from dualgauge.ledger.ledger import Ledger
from dualgauge.ledger.values import EvidenceKind, MigrationState
from dualgauge.model import Outcome, Position
from dualgauge.reporting.report import ReportRequest as Asked
from dualgauge.reporting.report import make_report, write
from dualgauge.reporting.stored_runs import StoredRuns
from support.inside import log_of

if TYPE_CHECKING:
    from dualgauge.reporting.values import Report

SAMPLE = Path(__file__).resolve().parents[2] / "reports" / "sample"
EVIDENCE = SAMPLE / "evidence"
ROWS = "ledger.json"


def take(project: Path, name: str) -> None:
    """Keep the evidence of one comparator: its newest files, and the rows of all its runs."""
    import dualgauge

    migration = dualgauge.open(project)
    found = [one for one in migration.evidence.list(name) if one.run is not None]
    newest = {one.kind: one for one in reversed(found)}
    state = migration.cutover.state()
    shutil.rmtree(EVIDENCE, ignore_errors=True)
    for one in newest.values():
        assert one.run is not None
        assert one.run.folder is not None
        (EVIDENCE / one.run_id).mkdir(parents=True)
        for file in (project / one.run.folder).glob("*.json"):
            shutil.copyfile(file, EVIDENCE / one.run_id / file.name)
    rows = {
        "migration": state.name, "stage": state.stage, "share_ppm": state.share_ppm,
        "head": log_of(migration).head().last,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "runs": [_row(one.run) for one in reversed(found)],
    }  # fmt: skip
    (EVIDENCE / ROWS).write_text(json.dumps(rows, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _row(run: Any) -> dict[str, object]:
    return {
        "run_id": run.run_id, "kind": run.kind.value, "name": run.name, "bound": dict(run.bound),
        "position": run.position, "folder": run.folder, "started_at": run.started_at.isoformat(),
        "finished_at": run.finished_at.isoformat(), "verdict": run.verdict.value,
        "summary": {key: value for key, value in run.summary.items() if key != "files"},
    }  # fmt: skip


def restore(root: Path) -> Report:
    """The report of the kept evidence, laid out below a folder and sealed in a ledger of its own."""
    kept = json.loads((EVIDENCE / ROWS).read_text(encoding="utf-8"))
    with Ledger.open(f"sqlite:///{root / 'ledger.db'}") as ledger:
        for row in kept["runs"]:
            folder = root / row["folder"]
            if (EVIDENCE / row["run_id"]).is_dir():
                shutil.copytree(EVIDENCE / row["run_id"], folder)
            files = {"files": file_hashes(folder)} if folder.is_dir() else {}
            ledger.start_evidence(
                row["run_id"], kind=EvidenceKind(row["kind"]), name=row["name"], bound=row["bound"],
                started_at=datetime.fromisoformat(row["started_at"]), position=row["position"], folder=row["folder"],
            )  # fmt: skip
            ledger.finish_evidence(
                row["run_id"], verdict=Outcome(row["verdict"]), summary={**row["summary"], **files},
                finished_at=datetime.fromisoformat(row["finished_at"]), migration=kept["migration"], who="somebody",
            )  # fmt: skip
        evidence = ledger.evidence()
    now, head = datetime.fromisoformat(kept["made_at"]), Position(kept["head"])
    newest = {(row["kind"], row["name"]): row for row in kept["runs"]}.values()
    wanted = tuple(RequiredEvidence(EvidenceKind(row["kind"]), row["name"], row["bound"]) for row in newest)
    present = Present(
        at=now, head=head, readiness=Readiness(unbuilt=(), v1_position=head, v2_position=head), views=(),
        wanted=wanted, evidence=evidence,
    )  # fmt: skip
    state = MigrationState(kept["migration"], stage=kept["stage"], share_ppm=kept["share_ppm"])
    found = StoredRuns(tuple(lines(evidence, present, GateLimits())), head, GateLimits(), present)
    return make_report(found, state, Asked(), root=root, now=now)


def main() -> None:
    """Write the sample."""
    if len(sys.argv) > 1:
        take(Path(sys.argv[1]).resolve(), sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        write(restore(Path(folder)), SAMPLE)
    print(f"wrote {SAMPLE}")


if __name__ == "__main__":
    main()

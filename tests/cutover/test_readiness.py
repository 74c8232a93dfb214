"""When v2 can answer: all of it is at the log's head, no run speaks against it, and v1 keeps what its readers have."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

import dualgauge
from dualgauge.cutover.gates.decide import decide
from dualgauge.cutover.gates.validity import Present, RequiredEvidence, ViewNow
from dualgauge.cutover.values import GateLimits, Readiness
from dualgauge.ledger.journal import EvidenceEntry
from dualgauge.ledger.seal import Evidence, Sealed, Stray
from dualgauge.ledger.values import EvidenceKind, EvidenceRun, RunState, evidence_key
from dualgauge.model import Outcome, Position, Side
from support.shop import VIEW, add_order, build, call

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "replayed",
    [[(["customers"], Side.V1)], [([], Side.V1), (["customers"], Side.V2)]],
    ids=["one view of v1 is further than v2", "one view of v2 is not as far as v1"],
)
def test_v2_is_ready_where_all_of_it_has_what_only_a_replay_brings(
    replayed: list[tuple[list[str], Side]], tmp_path: Path
) -> None:
    shop = build(tmp_path / "shop")
    for side in ("views_v1", "views_v2"):
        (shop / side / "buyers.sql").write_text(VIEW, encoding="utf-8")
    migration = dualgauge.open(shop)
    migration.replay()
    add_order(shop)
    migration.import_(every=True)
    for names, side in replayed:
        migration.replay(names, side=side)

    (gate,) = [one for one in migration.cutover.gates(500_000) if one.name == "lag"]
    assert gate.outcome is Outcome.FAIL
    late = gate.value.partition(" is 1 event and ")[0]
    assert late in ("v2.buyers", "v2.customers")
    assert gate.why == f"{late} lacks the newest events, which only a replay brings it"


@pytest.mark.parametrize(("later", "open_"), [(-1, True), (0, False), (1, False)])
def test_a_run_without_a_seal_closes_the_gate_unless_it_says_to_be_older_than_the_pass(later: int, open_: bool) -> None:
    at, head = datetime(2026, 3, 1, 12, tzinfo=UTC), Position(900)
    views = (ViewNow(Side.V1, "orders", "h1", 2, "h1", head), ViewNow(Side.V2, "orders", "h2", 4, "h2", head))
    bound: dict[str, object] = {
        one.side.value: {one.name: {"build": one.build, "definition_hash": one.file_hash}} for one in views
    }
    key = evidence_key(bound)

    def finished(run_id: str, verdict: Outcome, when: datetime) -> EvidenceRun:
        return EvidenceRun(
            run_id, EvidenceKind.DIFF, "orders", key, bound, head, RunState.FINISHED,
            verdict=verdict, started_at=when, finished_at=when,
        )  # fmt: skip

    passed = at - timedelta(hours=1)
    entry = EvidenceEntry("orders", "ana", passed, "r1", EvidenceKind.DIFF, "orders", Outcome.PASS, key, "seal")
    sealed = Sealed(1, entry, finished("r1", Outcome.PASS, passed))
    run = finished("r9", Outcome.FAIL, passed + timedelta(seconds=later))
    stray = Stray("r9", "diff", "orders", key, "finished", run)
    found = Present(
        at=at,
        head=head,
        readiness=Readiness((), head, head),
        views=views,
        wanted=(RequiredEvidence(EvidenceKind.DIFF, "orders", bound),),
        evidence=Evidence((sealed,), (stray,)),
    )

    (gate,) = [one for one in decide(found, GateLimits()) if one.name == "diff:orders"]
    assert gate.passed == open_


def test_a_prune_of_one_side_leaves_readers_of_the_other_what_they_have(tmp_path: Path) -> None:
    shop = build(tmp_path / "shop")
    for side in ("views_v1", "views_v2"):
        (shop / side / "buyers.sql").write_text(VIEW, encoding="utf-8")
        (shop / side / "customers.sql").unlink()
    assert call("replay", folder=shop).exit_code == 0

    said = call("replay", "--prune", "--side", "v2", "--format", "json", folder=shop)
    assert said.json["result"]["pruned"] == ["v2.customers"]
    assert call("read", "customers", "ada", folder=shop).exit_code == 0

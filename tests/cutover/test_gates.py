"""The gates' decision: it opens only to fresh, sealed, passing evidence of exactly what readers get now."""

from __future__ import annotations

import ast
import inspect
import random
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from dualgauge.cutover.errors import GateRefused
from dualgauge.cutover.gates import decide as decide_module
from dualgauge.cutover.gates import validity
from dualgauge.cutover.gates.decide import decide
from dualgauge.cutover.gates.validity import Present, RequiredEvidence, ViewNow, lasting
from dualgauge.cutover.settings import GateSettings
from dualgauge.cutover.values import EvidenceLimits, GateLimits, GateResult, LagLimits, Readiness
from dualgauge.ledger.journal import EvidenceEntry, TamperedRow
from dualgauge.ledger.seal import Evidence, Sealed, Stray
from dualgauge.ledger.values import LAG, EvidenceKind, EvidenceRun, RunState, evidence_key
from dualgauge.model import Outcome, Position, Side

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
HEAD = Position(900)


def bound(build: int = 4, **other: Any) -> dict[str, object]:
    v1 = {"orders": {"build": 2, "definition_hash": "h1"}}
    v2 = {"orders": {"build": build, "definition_hash": "h2"}}
    return {"v1": v1, "v2": v2, "comparator": "orders", "comparator_hash": "c", "configuration_hash": "s"} | other


def sealed(seq: int = 1, verdict: Outcome = Outcome.PASS, **other: Any) -> Sealed:
    """A finished run, an hour old, of what is there now."""
    about = other.pop("bound", bound())
    name, kind = other.pop("name", "orders"), other.pop("kind", EvidenceKind.DIFF)
    at = other.pop("at", AT - timedelta(hours=1))
    fields = {"position": HEAD, "folder": None, "verdict": verdict, "finished_at": at, "summary": {}} | other
    run = EvidenceRun(
        run_id=f"r{seq}", kind=kind, name=name, evidence_key=evidence_key(about), bound=about,
        state=RunState.FINISHED, started_at=fields.pop("started_at", at), **fields,
    )  # fmt: skip
    entry = EvidenceEntry("orders", "ana", at, run.run_id, kind, name, verdict, run.evidence_key, "seal")
    return Sealed(seq, entry, run)


def running(run_id: str, at: datetime) -> Stray:
    run = EvidenceRun(
        run_id, EvidenceKind.DIFF, "orders", evidence_key(bound()), bound(), HEAD, RunState.RUNNING, started_at=at
    )
    return Stray(run_id, "diff", "orders", run.evidence_key, "running", run)


VIEWS = (
    ViewNow(Side.V1, "orders", "h1", 2, "h1", HEAD),
    ViewNow(Side.V2, "orders", "h2", 4, "h2", HEAD),
)


def late(view: ViewNow = VIEWS[1], events: int = -2, **other: Any) -> ViewNow:
    """The view two events behind the head, of which the first came a second ago; or so many ahead."""
    return replace(view, **{"position": Position(HEAD + events), "lag": timedelta(seconds=1), **other})


WANTED = RequiredEvidence(EvidenceKind.DIFF, "orders", bound())


def present(*runs: Sealed, **other: Any) -> Present:
    evidence = Evidence(runs, other.pop("strays", ()), other.pop("problem", None))
    fields: dict[str, Any] = {
        "at": AT, "head": HEAD, "readiness": Readiness((), HEAD, HEAD), "views": VIEWS, "wanted": (WANTED,),
    }  # fmt: skip
    return Present(**fields | other, evidence=evidence)


def asked(found: Present, name: str, limits: GateLimits | None = None) -> GateResult:
    """What one gate says."""
    (one,) = (one for one in decide(found, limits or GateLimits()) if one.name == name)
    return one


def opened(found: Present, limits: GateLimits | None = None) -> bool:
    return all(one.passed for one in decide(found, limits or GateLimits()))


def test_fresh_passing_evidence_of_what_is_there_opens_every_gate() -> None:
    results = decide(present(sealed()), GateLimits())

    assert [(one.name, one.outcome) for one in results] == [
        ("journal", Outcome.PASS), ("builds", Outcome.PASS), ("definitions", Outcome.PASS), ("lag", Outcome.PASS),
        ("quarantine", Outcome.PASS), ("diff:orders", Outcome.PASS),
    ]  # fmt: skip
    assert (results[-1].run, results[-1].value) == ("r1", "run r1: pass, 1 h old, 0 events behind")
    assert all(one.limit for one in results)


@pytest.mark.parametrize(("waiting", "value"), [(0, "0 rows wait"), (1, "1 row waits"), (1_234, "1,234 rows wait")])
def test_the_quarantine_opens_only_where_no_row_waits(waiting: int, value: str) -> None:
    gate = asked(present(sealed(), waiting=waiting), "quarantine")

    assert (gate.value, gate.limit, gate.passed) == (value, "no row waits in the quarantine", waiting == 0)
    assert [step.command for step in gate.next_steps] == (["dualgauge quarantine list"] if waiting else [])


@pytest.mark.parametrize(
    ("found", "gate", "outcome", "why"),
    [
        (present(), "diff:orders", Outcome.INCONCLUSIVE, "there is no diff of orders"),
        (
            present(sealed(bound=bound(3))), "diff:orders", Outcome.INCONCLUSIVE,
            "the evidence is of build 3 of v2.orders, readers get build 4",
        ),
        (
            present(sealed(bound=bound(v1={"orders": {"build": 1, "definition_hash": "h0"}}))), "diff:orders",
            Outcome.INCONCLUSIVE, "the evidence is of another definition of v1.orders (build 1, readers get build 2)",
        ),
        (
            present(sealed(bound=bound(v1={}))), "diff:orders", Outcome.INCONCLUSIVE,
            "the evidence does not cover v1.orders",
        ),
        (
            present(sealed(bound=bound(comparator_hash="d"))), "diff:orders", Outcome.INCONCLUSIVE,
            "the comparator was edited since the evidence was made",
        ),
        (
            present(sealed(bound=bound(configuration_hash="t"))), "diff:orders", Outcome.INCONCLUSIVE,
            "settings that evidence depends on, or variables in the store's URLs, were changed since it was made",
        ),
        (
            present(sealed(verdict=Outcome.FAIL)), "diff:orders", Outcome.FAIL,
            "run r1, the newest of what is there now, failed",
        ),
        (
            present(sealed(), sealed(2, Outcome.INCONCLUSIVE)), "diff:orders", Outcome.INCONCLUSIVE,
            "run r2, the newest of what is there now, could not tell",
        ),
        (
            present(sealed(at=AT - timedelta(hours=25))), "diff:orders", Outcome.FAIL,
            "run r1 finished 25 h ago, and may be 24h old",
        ),
        (
            present(sealed(at=AT + timedelta(hours=2))), "diff:orders", Outcome.FAIL,
            "run r1 finished 2 h from now: one of two clocks is wrong",
        ),
        (
            present(sealed(position=Position(901))), "diff:orders", Outcome.FAIL,
            "run r1 is of position 901, and the log ends at 900",
        ),
        (
            present(sealed(position=None)), "diff:orders", Outcome.FAIL,
            "run r1 does not say which position of the log it is of",
        ),
        (
            present(strays=(running("r9", AT - timedelta(minutes=5)),)), "diff:orders", Outcome.INCONCLUSIVE,
            "run r9 began at 2026-03-01 11:55:00Z and did not finish",
        ),
        (
            present(strays=(Stray("r9", "diff", "orders", evidence_key(bound()), "finished", None),)), "diff:orders",
            Outcome.INCONCLUSIVE, "run r9 has no seal in the journal: it was put in, or its seal was removed, by hand",
        ),
        (
            present(sealed(), strays=(Stray("r9", "diff", "orders", "k", "finished", None),)), "diff:orders",
            Outcome.FAIL, "run r9 has no seal in the journal: it was put in, or its seal was removed, by hand",
        ),
        (
            present(strays=(Stray("r9", "diff", "orders", "k", "unsealed", None),)), "diff:orders",
            Outcome.INCONCLUSIVE, "the last diff of orders was made before evidence was sealed",
        ),
        (
            present(sealed()._replace(kept=None, broken="evidence run r1 is not what was sealed")), "diff:orders",
            Outcome.FAIL, "evidence run r1 is not what was sealed",
        ),
        (
            present(wanted=(replace(WANTED, bound=None, missing="view v2.orders has no build yet"),)), "diff:orders",
            Outcome.INCONCLUSIVE, "view v2.orders has no build yet",
        ),
        (
            present(wanted=()), "diff", Outcome.INCONCLUSIVE,
            "no comparator is there and no view is on both sides, so nothing can say that v2 answers as v1 does",
        ),
        (
            present(sealed(), wanted=(WANTED, replace(WANTED, kind=EvidenceKind.CHECK))), "check:orders",
            Outcome.INCONCLUSIVE, "there is no check of orders",
        ),
        (
            present(problem=TamperedRow(4, "row 4 was changed")), "journal", Outcome.FAIL,
            "the journal is not what was written, so nothing that it says of evidence can be trusted",
        ),
        (
            present(readiness=Readiness(("v2.orders",), HEAD, None)), "builds", Outcome.FAIL, "v2 cannot answer yet",
        ),
        (
            present(sealed(), views=(VIEWS[0], replace(VIEWS[1], file_hash="h3"))), "definitions", Outcome.FAIL,
            "the file of v2.orders was edited since the build that readers get",
        ),
        (
            present(sealed(), views=(VIEWS[0], late(lag=timedelta(seconds=6)))), "lag", Outcome.FAIL,
            "v2.orders lacks the newest events",
        ),
        (
            present(sealed(), views=(late(VIEWS[0], lag=timedelta(hours=2)), VIEWS[1])), "lag", Outcome.FAIL,
            "v1.orders lacks the newest events",
        ),
        (
            present(sealed(), views=(VIEWS[0], late(kept=False))), "lag", Outcome.FAIL,
            "v2.orders lacks the newest events, which only a replay brings it",
        ),
        (
            present(sealed(), views=(VIEWS[0], late(lag=None))), "lag", Outcome.INCONCLUSIVE,
            "nobody knows for how long v2.orders has lacked an event",
        ),
        (
            present(sealed(), views=(late(VIEWS[0], 4, adopted=True), VIEWS[1]), head=HEAD), "lag", Outcome.FAIL,
            "v1.orders has events that the log lacks",
        ),
        (
            present(sealed(), head=Position(899)), "lag", Outcome.FAIL,
            "v1.orders is ahead of the log, so it was built from another one",
        ),
        (
            present(sealed(), waiting=2), "quarantine", Outcome.FAIL,
            "what does not fit into the log, or into a view, is missing from what readers get",
        ),
        (present(sealed(), views=VIEWS[:1]), "lag", Outcome.INCONCLUSIVE, "no view of v2 has a build"),
    ],
)  # fmt: skip
def test_a_closed_gate_says_why_and_what_to_run(found: Present, gate: str, outcome: Outcome, why: str) -> None:
    said = asked(found, gate)

    assert (said.outcome, said.why) == (outcome, why)
    assert said.value
    assert said.limit
    assert [step.command.split()[0] for step in said.next_steps][:1] == ["dualgauge"]
    with pytest.raises(GateRefused, match="Nothing was changed: run `dualgauge "):
        raise GateRefused("orders", 50_000, decide(found, GateLimits()))


def test_an_adopted_v1_that_cannot_tell_its_position_holds_nothing_up() -> None:
    assert opened(present(sealed(), readiness=Readiness((), None, HEAD)))


def test_an_unfinished_run_closes_no_gate_and_is_mentioned() -> None:
    found = present(sealed(), strays=(running("r9", AT), running("r0", AT - timedelta(hours=9))))

    assert opened(found)
    assert asked(found, "diff:orders").why == "run r9 began at 2026-03-01 12:00:00Z and did not finish"


@pytest.mark.parametrize(("seconds", "passes"), [(0.0, True), (5.0, True), (5.000001, False), (7_200.0, False)])
def test_evidence_of_builds_that_lagged_then_opens_nothing_now(seconds: float, *, passes: bool) -> None:
    found = present(sealed(summary={LAG: seconds}))

    gate = asked(found, "diff:orders")
    assert (gate.passed, opened(found)) == (passes, passes)
    lacked = "5.0 s" if seconds < 6 else "2 h"
    assert gate.why == ("" if passes else f"when run r1 began, its builds had lacked an event of the log for {lacked}")
    assert opened(found, GateSettings(max_lag="2h").limits)


def test_evidence_from_before_an_expected_difference_ended_does_not_outlive_it() -> None:
    wanted = replace(WANTED, ends=((date(2026, 2, 28), "the rounding is mended in March"),))
    before = present(sealed(at=AT - timedelta(hours=13)), wanted=(wanted,))
    after = present(sealed(at=AT - timedelta(hours=11)), wanted=(wanted,))

    assert asked(before, "diff:orders").why == (
        "the expected difference 'the rounding is mended in March' ended on 2026-02-28, and run r1 is from before"
    )
    assert opened(after)


def test_the_limits_are_the_settings_own() -> None:
    found = present(sealed(at=AT - timedelta(hours=30), position=Position(895)))

    assert not opened(found)
    assert opened(found, GateSettings(max_age="2d").limits)
    assert opened(found, GateSettings(max_age="2d", max_evidence_events=5).limits)
    assert not opened(found, GateSettings(max_age="2d", max_evidence_events=4).limits)
    strict = GateSettings(max_age="90m", max_evidence_events=1).limits
    assert asked(found, "diff:orders", strict).limit.endswith("at most 90m old and 1 event behind")
    assert asked(found, "diff:orders", GateSettings(max_age="2d", max_evidence_events=4).limits).why == (
        "5 events came after position 895, which run r1 is of"
    )


def test_the_limit_of_lag_and_that_of_evidence_are_apart() -> None:
    live = present(sealed(position=Position(500)), views=(late(VIEWS[0], -20), late(events=-30)))

    assert opened(live)
    assert opened(live, GateSettings(max_lag="1s", max_lag_events=30).limits)
    closed = asked(live, "lag", GateSettings(max_lag_events=29).limits)
    assert (closed.outcome, closed.value, closed.limit, closed.why) == (
        Outcome.FAIL, "v2.orders is 30 events and 1.0 s behind", "at most 5s and 29 events behind the log's head",
        "v2.orders lacks the newest events",
    )  # fmt: skip
    assert not asked(live, "diff:orders", GateSettings(max_evidence_events=399).limits).passed
    assert opened(live, GateSettings(max_evidence_events=400).limits)


def test_the_old_limit_is_refused_with_the_names_of_the_new_ones() -> None:
    with pytest.raises(ValidationError, match=r"write max_lag_events for .* and max_evidence_events for"):
        GateSettings.model_validate({"max_events_behind": 5})


@pytest.mark.parametrize("text", ["24", "1.5h", "-1h", "0h", "1w", "", "1h30m", "9999999d"])
def test_an_age_that_is_none_is_refused_with_how_to_write_one(text: str) -> None:
    with pytest.raises(
        ValidationError, match="write a whole number of seconds, minutes, hours or days, such as 5s, 90m, 24h or 2d"
    ):
        GateSettings(max_age=text)


@pytest.mark.parametrize(("text", "seconds"), [("7s", 7), ("90m", 5_400), ("24h", 86_400), ("2d", 172_800)])
def test_an_age_is_seconds_minutes_hours_or_days(text: str, seconds: int) -> None:
    assert GateSettings(max_age=text).limits.evidence.max_age == timedelta(seconds=seconds)
    assert GateSettings(max_lag=text).limits.lag.max_lag == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("minutes", "told"),
    [(0, "0 minutes"), (59, "59 minutes"), (60, "1 h"), (95, "1 h 35 min"), (2_880, "2 d"), (3_000, "2 d 2 h")],
)
def test_a_duration_is_told_in_its_largest_units(minutes: int, told: str) -> None:
    assert lasting(timedelta(minutes=minutes)) == told


# What holds for all evidence.

RUNS = st.lists(
    st.builds(
        lambda seq, verdict, build, age, position, broken: sealed(
            seq, verdict, bound=bound(build), at=AT - timedelta(minutes=age), position=Position(position)
        )._replace(**({"kept": None, "broken": "changed by hand"} if broken else {})),
        st.integers(1, 99), st.sampled_from(Outcome), st.sampled_from([3, 4]), st.integers(0, 3_000),
        st.sampled_from([880, 899, 900]), st.booleans(),
    ),
    max_size=6,
    unique_by=lambda one: one.seq,
)  # fmt: skip
LIMITS = st.builds(
    GateLimits,
    lag=st.builds(
        LagLimits, max_lag=st.integers(0, 60).map(lambda seconds: timedelta(seconds=seconds)),
        max_events=st.none() | st.integers(0, 30),
    ),
    evidence=st.builds(
        EvidenceLimits, max_age=st.integers(1, 3_000).map(lambda minutes: timedelta(minutes=minutes)),
        max_events=st.none() | st.integers(0, 30),
    ),
)  # fmt: skip


@given(runs=RUNS, limits=LIMITS)
def test_a_diff_gate_passes_only_on_the_newest_run_of_what_is_there_and_only_if_all_of_it_holds(
    runs: list[Sealed], limits: GateLimits
) -> None:
    said = asked(present(*runs), "diff:orders", limits)
    mine = [one for one in runs if one.entry.evidence_key == evidence_key(bound())]
    newest = max(mine, key=lambda one: one.seq, default=None)

    assert said.passed == (
        newest is not None
        and newest.run is not None
        and newest.entry.verdict is Outcome.PASS
        and AT - newest.entry.at <= limits.evidence.max_age
        and newest.run.position is not None
        and (limits.evidence.max_events is None or HEAD - newest.run.position <= limits.evidence.max_events)
    )
    assert said.run == "" or (newest is not None and said.run == newest.entry.run)


@given(runs=RUNS, limits=LIMITS, seed=st.integers())
def test_the_order_in_which_runs_are_found_does_not_matter(runs: list[Sealed], limits: GateLimits, seed: int) -> None:
    shuffled = runs.copy()
    random.Random(seed).shuffle(shuffled)

    assert decide(present(*shuffled), limits) == decide(present(*runs), limits)


@given(runs=RUNS, limits=LIMITS, minutes=st.integers(0, 5_000))
def test_evidence_that_does_not_count_now_does_not_count_later(
    runs: list[Sealed], limits: GateLimits, minutes: int
) -> None:
    now, later = present(*runs), present(*runs, at=AT + timedelta(minutes=minutes))

    assert opened(now, limits) or not opened(later, limits)


@given(runs=RUNS, limits=LIMITS, events=st.integers(0, 50))
def test_new_events_open_no_gate(runs: list[Sealed], limits: GateLimits, events: int) -> None:
    assert opened(present(*runs), limits) or not opened(present(*runs, head=Position(HEAD + events)), limits)


@given(
    runs=RUNS,
    wrong=st.sampled_from(
        [
            {"readiness": Readiness(("v2.orders",), HEAD, None)},
            {"views": (VIEWS[0], replace(VIEWS[1], file_hash="h3"))},
            {"wanted": ()},
            {"wanted": (WANTED, replace(WANTED, name="planes"))},
            {"problem": TamperedRow(1, "row 1 was changed")},
        ]
    ),
)
def test_one_closed_gate_is_enough_to_refuse(runs: list[Sealed], wrong: dict[str, Any]) -> None:
    assert not opened(present(sealed(100), *runs, **wrong), GateLimits())


@pytest.mark.parametrize("module", [decide_module, validity])
def test_the_decision_sees_no_clock_no_file_and_no_database(module: Any) -> None:
    allowed = {
        "__future__", "collections.abc", "dataclasses", "datetime", "shlex", "typing",
        "dualgauge.cutover.gates.validity",
        "dualgauge.cutover.values", "dualgauge.ledger.seal", "dualgauge.ledger.values", "dualgauge.model",
    }  # fmt: skip
    tree = ast.parse(inspect.getsource(module))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    called = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}

    assert imported <= allowed
    assert called & {"now", "utcnow", "today", "open", "read_text"} == set()

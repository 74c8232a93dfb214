"""
The gates: may more reads go to v2? A pure decision over values; who found them, and when, is not seen here.

Every gate is asked, in this order, and every one must pass: `journal`, `builds`, `definitions`, `lag`, `quarantine`,
`coverage` where something is left out of the comparisons, then `diff:` and `check:` for each comparator. What was not
looked at is inconclusive, and inconclusive closes a gate as a fail does.
Going back asks no gate: it does not come here.
"""

from __future__ import annotations

import shlex
from datetime import timedelta
from typing import TYPE_CHECKING

from dualgauge.cutover.gates.validity import (
    age_of,
    behind_of,
    brief,
    differences,
    given_up,
    lasting,
    latest,
    newest,
    oldest_of,
    staleness,
    strays,
    unsealed_since,
)
from dualgauge.cutover.values import GateResult
from dualgauge.ledger.values import EvidenceKind, RunState, time_text
from dualgauge.model import NextStep, Outcome, Side, listed, plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from dualgauge.cutover.gates.validity import Present, RequiredEvidence, ViewNow
    from dualgauge.cutover.values import GateLimits, LagLimits
    from dualgauge.ledger.seal import Stray
    from dualgauge.ledger.values import EvidenceRun
    from dualgauge.model import Position

VERIFY = NextStep("dualgauge journal --verify", "see what was changed by hand")
COVERAGE = "coverage"
MOST = 2
"""How many differences between evidence and what is there now are told."""

QUARANTINE = NextStep("dualgauge quarantine list", "see which rows wait, and why")

REPLAY = NextStep("dualgauge replay", "build what is missing and bring both sides to the log's head")
COMPARE = NextStep("dualgauge diff", "compare what the new builds answer")
TAIL = NextStep("dualgauge tail --once", "bring the views to the log's head; without --once, keep them there")
IMPORT = NextStep("dualgauge log import --all", "bring the log to what the adopted tables have")


def decide(present: Present, limits: GateLimits) -> tuple[GateResult, ...]:
    """Ask every gate. The answer depends on nothing but the arguments, and not on the order of the runs in them."""
    evidence = tuple(_evidence(present, one, limits) for one in present.wanted)
    if not any(one.kind is EvidenceKind.DIFF for one in present.wanted):
        evidence = (_nothing_compared(), *evidence)
    lag = lag_gate(present.views, present.head, limits.lag)
    state = (_journal(present), _builds(present), _definitions(present), lag, _quarantine(present))
    return (*state, *_coverage(present), *evidence)


def _journal(present: Present) -> GateResult:
    bad, needed = present.evidence.problem, "what was written, and nothing else"
    if bad is None:
        return GateResult("journal", Outcome.PASS, "the chain is whole, and the ledger agrees with it", needed)
    why = "the journal is not what was written, so nothing that it says of evidence can be trusted"
    return GateResult("journal", Outcome.FAIL, bad.problem, needed, why, (VERIFY,))


def _builds(present: Present) -> GateResult:
    missing, needed = present.readiness.missing, "a build of every view"
    if not missing:
        found = f"every view is built, v2 is at position {present.readiness.v2_position:,}"
        return GateResult("builds", Outcome.PASS, found, needed)
    return GateResult("builds", Outcome.FAIL, "; ".join(missing), needed, "v2 cannot answer yet", (REPLAY,))


def _definitions(present: Present) -> GateResult:
    needed = "each build that readers get has its file, and is made from it"
    if present.unfiled:
        gone = listed(one.label for one in present.unfiled)
        why = f"readers get {gone}, whose file is gone, so nothing compares it"
        steps = (NextStep("dualgauge replay --prune", "retire what has no file any more, or put the file back first"),)
        found = f"{plural(len(present.unfiled), 'build')} without a file"
        return GateResult("definitions", Outcome.FAIL, found, needed, why, steps)
    edited = [one.label for one in present.views if one.built_hash not in (None, one.file_hash)]
    if not edited:
        return GateResult("definitions", Outcome.PASS, f"{plural(len(present.views), 'view')} as built", needed)
    why = f"the file of {listed(edited)} was edited since the build that readers get"
    steps = (NextStep("dualgauge replay", "build what the files say now"),)
    return GateResult("definitions", Outcome.FAIL, f"{plural(len(edited), 'edited view')}", needed, why, steps)


def lag_gate(views: Sequence[ViewNow], head: Position, limits: LagLimits) -> GateResult:
    """
    Ask whether every build that readers get lacks few events of the log, and none for long.

    What no tail keeps must be at the head: nothing but a replay brings it there.
    """
    events = "" if limits.max_events is None else f" and {plural(limits.max_events, 'event')}"
    needed = f"at most {limits.shown}{events} behind the log's head"
    behind = {one: head - one.position for one in views if one.position is not None}
    if not any(one.side is Side.V2 for one in behind):
        return GateResult("lag", Outcome.INCONCLUSIVE, "nothing", needed, "no view of v2 has a build", (REPLAY,))
    outcome, found, why, steps = _other_log(views, behind) or _lagging(behind, limits)
    return GateResult("lag", outcome, found, needed, why, steps)


_Answer = tuple[Outcome, str, str, tuple[NextStep, ...]]
"""What a gate says, what it found, why, and what to do."""


def _other_log(views: Sequence[ViewNow], behind: Mapping[ViewNow, int]) -> _Answer | None:
    """What is not of this log at all; None where everything is."""
    ahead = min(behind, key=lambda one: (behind[one], one.label))
    if behind[ahead] < 0:
        found = f"{plural(-behind[ahead], 'event')} ahead"
        if ahead.adopted:
            return Outcome.FAIL, found, f"{ahead.label} has events that the log lacks", (IMPORT,)
        return Outcome.FAIL, found, f"{ahead.label} is ahead of the log, so it was built from another one", (REPLAY,)
    if strange := [one.label for one in views if not one.ours]:
        why = f"of {listed(strange)} the build is not of what is in the log now, which was put back or made anew since"
        return Outcome.FAIL, f"{plural(len(strange), 'build')} of another log", why, (REPLAY,)
    return None


def _lagging(behind: Mapping[ViewNow, int], limits: LagLimits) -> _Answer:
    """What the builds lack of this log. An adopted table is brought forward by nobody here."""
    lagging = [one for one in behind if behind[one] and not one.adopted]
    if not lagging:
        return Outcome.PASS, "0 events behind", "", ()
    last = max(lagging, key=lambda one: (not one.kept, one.lag or timedelta(), behind[one], one.label))
    most = max(lagging, key=lambda one: (behind[one], one.label))
    if not last.kept:
        why = f"{last.label} lacks the newest events, which only a replay brings it"
        return Outcome.FAIL, _far(last, behind), why, (REPLAY, COMPARE)
    if unknown := [one for one in lagging if one.lag is None]:
        why = f"nobody knows for how long {unknown[0].label} has lacked an event"
        return Outcome.INCONCLUSIVE, _far(unknown[0], behind), why, (TAIL,)
    over = last if (last.lag or timedelta()) > limits.max_lag else None
    if over is None and limits.max_events is not None and behind[most] > limits.max_events:
        over = most
    if over is not None:
        return Outcome.FAIL, _far(over, behind), f"{over.label} lacks the newest events", (TAIL,)
    return Outcome.PASS, _far(last, behind), "", ()


def _far(view: ViewNow, behind: Mapping[ViewNow, int]) -> str:
    since = "" if view.lag is None else f" and {brief(view.lag)}"
    return f"{view.label} is {plural(behind[view], 'event')}{since} behind"


def _quarantine(present: Present) -> GateResult:
    needed = "no row waits in the quarantine"
    if bad := present.evidence.quarantine:
        why = "the quarantine is not what was written, so nobody knows which rows wait"
        return GateResult("quarantine", Outcome.FAIL, bad.problem, needed, why, (VERIFY,))
    if not present.waiting:
        return GateResult("quarantine", Outcome.PASS, "0 rows wait", needed)
    found = f"{plural(present.waiting, 'row')} {'waits' if present.waiting == 1 else 'wait'}"
    why = "what does not fit into the log, or into a view, is missing from what readers get"
    return GateResult("quarantine", Outcome.FAIL, found, needed, why, (QUARANTINE,))


def _coverage(present: Present) -> Iterator[GateResult]:
    """
    What is left out of the comparisons, where anything is. A view without a partner is legal, and closes nothing.

    A comparator that was taken away because it failed proved nothing: it closes until it is back, or v2 built anew.
    """
    left = [one for one in present.views if not one.compared]
    # On both sides, and left out on one: its name was given to a comparator of something else.
    shared = {one.name for one in present.views if one.side is Side.V1} & {
        one.name for one in present.views if one.side is Side.V2
    }
    hidden = sorted({one.name for one in left} & shared)
    gone = [one.entry for one in given_up(present)]
    if not left and not gone:
        return
    remarks = [f"not compared: {listed((one.label for one in left), most=len(left))}"] if left else []
    remarks += [
        f"the last {one.kind.value} of {one.name} failed on what readers get now, and nothing asks for it any more"
        for one in gone
    ]
    steps = [NextStep("dualgauge diff", f"compare, once a comparator reads {listed(hidden)}")] if hidden else []
    steps += [
        NextStep(f"dualgauge evidence show {one.run}", f"see what {one.name} found, and bring it back") for one in gone
    ]
    yield GateResult(
        COVERAGE,
        Outcome.INCONCLUSIVE if steps else Outcome.PASS,
        f"{len(present.views) - len(left)} of {plural(len(present.views), 'view')} compared",
        "each view of both sides is read by a comparator, and none was taken away after it failed",
        "; ".join(remarks),
        tuple(steps),
    )


def _nothing_compared() -> GateResult:
    why = "no comparator is there and no view is on both sides, so nothing can say that v2 answers as v1 does"
    needed, steps = "at least one comparison", (NextStep("dualgauge diff", "compare, once there is a comparator"),)
    return GateResult("diff", Outcome.INCONCLUSIVE, "no comparison", needed, why, steps)


def _evidence(present: Present, wanted: RequiredEvidence, limits: GateLimits) -> GateResult:
    what = wanted.kind.value
    name = f"{what}:{wanted.name}"
    fresh = limits.evidence
    events = "" if fresh.max_events is None else f" and {plural(fresh.max_events, 'event')} behind"
    needed = f"a passing {what} of what readers get now, at most {fresh.shown} old{events}"
    again = NextStep(f"dualgauge {what} {shlex.quote(wanted.name)}", f"make the evidence that {name} asks for")
    deciding = newest(present, wanted)
    if deciding is None:
        before = () if wanted.bound is not None else (REPLAY,)
        why = wanted.missing if wanted.bound is None else _no_evidence(present, wanted)
        return GateResult(name, Outcome.INCONCLUSIVE, "no such evidence", needed, why, (*before, again))
    run = deciding.run
    if run is None:
        found = f"run {deciding.entry.run}, which cannot be trusted any more"
        return GateResult(name, Outcome.FAIL, found, needed, deciding.broken, (VERIFY, again))
    outcome, why, steps = _judged(present, wanted, run, limits)
    # What opens the gate is a new run; of one that failed, somebody looks at what it found first.
    return GateResult(
        name,
        outcome,
        _told(present, run),
        needed,
        why,
        (*steps, again) if outcome is not Outcome.PASS else (),
        run.run_id,
    )


def _judged(
    present: Present, wanted: RequiredEvidence, run: EvidenceRun, limits: GateLimits
) -> tuple[Outcome, str, tuple[NextStep, ...]]:
    """What the newest run of what is there now says, why, and what to look at first."""
    if run.verdict is not Outcome.PASS:
        said = "failed" if run.verdict is Outcome.FAIL else "could not tell"
        why = f"run {run.run_id}, the newest of what is there now, {said}"
        return run.verdict or Outcome.INCONCLUSIVE, why, (_look(run),)
    if unsealed := unsealed_since(present, wanted, run):
        return Outcome.FAIL, "; ".join(_no_seal(one) for one in unsealed), (VERIFY,)
    if stale := "; ".join(long for _, long in staleness(present, wanted, run, limits)):
        return Outcome.FAIL, stale, ()
    return Outcome.PASS, _unfinished(present, wanted, run), ()


def _told(present: Present, run: EvidenceRun) -> str:
    age, behind = age_of(present, run), behind_of(present, run)
    old = f"{lasting(max(age, age * 0))} old"
    far = "of no position" if behind is None else f"{plural(behind, 'event')} behind"
    if (oldest := oldest_of(present, run)) > age:
        old += f", some of its keys {lasting(oldest)}"
    return f"run {run.run_id}: {run.verdict.value if run.verdict else '?'}, {old}, {far}"


def _look(run: EvidenceRun) -> NextStep:
    return NextStep(f"dualgauge evidence show {run.run_id}", "see what it found")


def _no_evidence(present: Present, wanted: RequiredEvidence) -> str:
    """Say why nothing counts, by what comes nearest to evidence."""
    what = f"{wanted.kind.value} of {wanted.name}"
    near = strays(present, wanted)
    tells = [_no_seal(one) for one in near if one.forged]
    last = latest(present, wanted)
    if last is not None and last.run is None:
        tells.append(last.broken)
    elif last is not None and last.run is not None and wanted.bound is not None:
        longs = [long for _, long in differences(last.run.bound, wanted.bound)]
        tells += [*longs[:MOST], *([f"and {len(longs) - MOST} more"] if len(longs) > MOST else [])]
    elif any(one.state == RunState.UNSEALED.value for one in near):
        tells.append(f"the last {what} was made before evidence was sealed")
    if remark := _unfinished(present, wanted, None):
        tells.append(remark)
    return "; ".join(tells) or f"there is no {what}"


def _no_seal(one: Stray) -> str:
    return f"run {one.run_id} has no seal in the journal: it was put in, or its seal was removed, by hand"


def _unfinished(present: Present, wanted: RequiredEvidence, since: EvidenceRun | None) -> str:
    """Say that a run began (after another) and did not finish; empty where none did."""

    def began(one: Stray) -> str:
        return time_text(one.run.started_at) if one.run else ""

    found = [
        one
        for one in strays(present, wanted)
        if one.state == RunState.RUNNING.value
        and one.run is not None
        and (since is None or one.run.started_at > since.started_at)
    ]
    last = max(found, key=lambda one: (began(one), one.run_id), default=None)
    if last is None or last.run is None:
        return ""
    return f"run {last.run_id} began at {last.run.started_at:%Y-%m-%d %H:%M:%SZ} and did not finish"

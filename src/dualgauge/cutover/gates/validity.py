"""
Whether one finished run still counts: that it is of what is there now, is what was sealed, and is fresh.

Everything here is a function of values. The journal's order says which of two runs is newer: a clock may be wrong,
and the row of a newer run may have been removed by hand, but its seal is still in the chain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Final

from dualgauge.ledger.seal import Evidence, Sealed, Stray
from dualgauge.ledger.values import LAG, TOUCHED, EvidenceKind, evidence_key
from dualgauge.model import Outcome, Position, Side, plural

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dualgauge.cutover.values import EvidenceLimits, GateLimits, Readiness
    from dualgauge.ledger.values import EvidenceRun

CLOCKS_DIFFER: Final = timedelta(minutes=5)
"""How far in the future a run may have finished: the clocks of two machines are never quite alike."""


@dataclass(frozen=True, slots=True)
class RequiredEvidence:
    """
    Evidence that a gate asks for: of a comparator, bound to exactly this.

    `bound` is None where nothing can be bound to, because of `missing`. `ends` are the last days of the comparator's
    expected differences, with their reasons.
    """

    kind: EvidenceKind
    name: str
    bound: Mapping[str, object] | None = field(hash=False)
    missing: str = ""
    ends: tuple[tuple[date, str], ...] = ()

    @property
    def key(self) -> str | None:
        """The evidence key of a run that would count; None where there can be none."""
        return None if self.bound is None else evidence_key(self.bound)


@dataclass(frozen=True, slots=True)
class ViewNow:
    """
    A view's file, and the build that readers get; None where there is none.

    `compared`: a comparator reads it. `ours`: the build was made from what is in the log now. `kept`: a tail can bring
    it forward. `lag`: for how long the log has had the first event that it lacks; None where nobody looked.
    `adopted`: a table of the user's own.
    """

    side: Side
    name: str
    file_hash: str
    build: int | None = None
    built_hash: str | None = None
    position: Position | None = None
    compared: bool = True
    token: str | None = None
    ours: bool = True
    kept: bool = True
    lag: timedelta | None = None
    adopted: bool = False

    @property
    def label(self) -> str:
        """Its name with its side: `v2.orders`."""
        return f"{self.side.value}.{self.name}"


@dataclass(frozen=True, slots=True)
class Present:
    """
    All that a decision on a move forward is made from, as it was found `at` a time.

    `waiting` counts the rows of the quarantine that are neither taken nor skipped. `unfiled` are builds that readers
    get of views whose file is gone. `altered` says, by run, what became of the files of a run that decides a gate.
    """

    at: datetime
    head: Position
    readiness: Readiness
    views: tuple[ViewNow, ...]
    wanted: tuple[RequiredEvidence, ...]
    evidence: Evidence = field(default_factory=Evidence)
    waiting: int = 0
    unfiled: tuple[ViewNow, ...] = ()
    altered: Mapping[str, str] = field(default_factory=dict, hash=False)


def newest(present: Present, wanted: RequiredEvidence) -> Sealed | None:
    """The run that decides a gate: the last that was sealed with the wanted key, whatever its verdict."""
    key = wanted.key
    return next((one for one in _of(present, wanted) if one.entry.evidence_key == key), None)


def latest(present: Present, wanted: RequiredEvidence) -> Sealed | None:
    """The last run of the wanted kind and comparator, whatever it is bound to."""
    return next(_of(present, wanted), None)


def given_up(present: Present) -> list[Sealed]:
    """
    The runs that failed on what readers get now, and that nothing asks for any more; none of the same passed since.

    Of a comparator that was edited until it passed, the run that failed counts: it asked for more. So does one whose
    row was changed or removed by hand, for nobody knows any more what it was of: it counts until that is put back.
    """
    asked = {(one.kind, one.name) for one in present.wanted}
    # Of another migration, too: its name is a setting, and the builds may be the same ones.
    last = {one.entry.evidence_key: one for one in (*present.evidence.others, *present.evidence.sealed)}
    now = {one.label: one.token for one in (*present.views, *present.unfiled)}
    return [
        one
        for one in last.values()
        if (one.entry.kind, one.entry.name) not in asked
        and one.entry.verdict is Outcome.FAIL
        and (
            one.run is None
            or all(label in now and token in (None, now[label]) for label, token in _tokens(one.run.bound))
        )
    ]


def unsealed_since(present: Present, wanted: RequiredEvidence, since: EvidenceRun) -> list[Stray]:
    """
    Runs that claim to be newer than a sealed one, and have no seal.

    Whoever cuts off the journal's end takes the seal of a run that failed: what is left of it is its row.
    """

    def newer(one: Stray) -> bool:
        if one.run is None or one.run.finished_at is None or since.finished_at is None:
            return True
        return one.run.finished_at >= since.finished_at

    return [one for one in strays(present, wanted) if one.forged and newer(one)]


def strays(present: Present, wanted: RequiredEvidence) -> list[Stray]:
    """The runs without a seal that say to be of the wanted kind and comparator."""
    return [one for one in present.evidence.strays if (one.kind, one.name) == (wanted.kind.value, wanted.name)]


def why_not(present: Present, wanted: RequiredEvidence | None, one: Sealed, limits: GateLimits) -> str:
    """Say in a phrase why a gate does not go by this run; empty where it does, with a pass as with a fail."""
    if one.broken:
        return "gone from the ledger" if "is gone" in one.broken else "not what was sealed"
    if wanted is None:
        return f"no comparator {one.entry.name} asks for it"
    if one.run is None or wanted.bound is None:
        return wanted.missing
    if one.entry.evidence_key != wanted.key:
        return ", ".join(short for short, _ in differences(one.run.bound, wanted.bound)) or "of something else"
    deciding = newest(present, wanted)
    if deciding is not None and deciding.seq != one.seq:
        return "a newer run decides"
    unsealed = one.entry.verdict is Outcome.PASS and unsealed_since(present, wanted, one.run)
    stale = (short for short, _ in staleness(present, wanted, one.run, limits))
    return next(stale, "a newer run has no seal" if unsealed else "")


def staleness(
    present: Present, wanted: RequiredEvidence, run: EvidenceRun, limits: GateLimits
) -> Iterator[tuple[str, str]]:
    """What makes a run of exactly what is there too old, each in short and as a phrase; nothing where it is fresh."""
    if run.run_id in present.altered:
        phrase = present.altered[run.run_id]
        yield phrase, f"of run {run.run_id} {phrase}, so nobody can see any more what it found"
    age = age_of(present, run)
    if age < -CLOCKS_DIFFER:
        yield "from the future", f"run {run.run_id} finished {lasting(-age)} from now: one of two clocks is wrong"
    for until, reason in wanted.ends:
        if run.started_at.date() <= until < present.at.date():
            short = f"an expected difference ended on {until}"
            yield short, f"the expected difference {reason!r} ended on {until}, and run {run.run_id} is from before"
    fresh = limits.evidence
    yield from _too_old(present, run, fresh)
    if (lag := lag_when_made(run)) > limits.lag.max_lag:
        # Else builds could be held back to where they agree, and be brought on once they have passed.
        short = f"{brief(lag)} behind the log when it was made"
        yield short, f"when run {run.run_id} began, its builds had lacked an event of the log for {brief(lag)}"
    behind = behind_of(present, run)
    if behind is None:
        yield "of no position", f"run {run.run_id} does not say which position of the log it is of"
    elif fresh.max_events is not None and behind > fresh.max_events:
        short = f"{plural(behind, 'event')} behind"
        yield short, f"{plural(behind, 'event')} came after position {run.position:,}, which run {run.run_id} is of"
    elif behind < 0:
        yield (
            "ahead of the log",
            f"run {run.run_id} is of position {run.position:,}, and the log ends at {present.head:,}",
        )


def differences(then: Mapping[str, object], now: Mapping[str, object]) -> list[tuple[str, str]]:
    """What two bounds differ in, each in short and as a phrase; views first."""
    found: list[tuple[str, str]] = []
    for side in Side:
        was, present = _views(then, side), _views(now, side)
        for name in sorted(was.keys() | present.keys()):
            label = f"{side.value}.{name}"
            if name not in was:
                found.append((f"without {label}", f"the evidence does not cover {label}"))
            elif name not in present:
                found.append((f"with {label}", f"the evidence is of {label} too, which is no longer compared"))
            elif was[name] != present[name]:
                found.append(_changed(label, was[name], present[name]))
    others = sorted((then.keys() | now.keys()) - {side.value for side in Side})
    edited = [key for key in others if then.get(key) != now.get(key)]
    return found + [_OTHERS.get(key, (f"another {key}", f"its {key} was another")) for key in edited]


def age_of(present: Present, run: EvidenceRun) -> timedelta:
    """How long ago a finished run finished."""
    return present.at - (run.finished_at or run.started_at)


def _too_old(present: Present, run: EvidenceRun, fresh: EvidenceLimits) -> Iterator[tuple[str, str]]:
    age, oldest = age_of(present, run), oldest_of(present, run)
    if age > fresh.max_age:
        yield (
            f"older than {fresh.shown}",
            f"run {run.run_id} finished {lasting(age)} ago, and may be {fresh.shown} old",
        )
    elif oldest > fresh.max_age:
        # Else a row that no event changed would never be looked at again.
        long = f"some keys of run {run.run_id} were last compared {lasting(oldest)} ago, and {fresh.shown} is the most"
        yield f"of keys compared {lasting(oldest)} ago", f"{long}: a diff without --touched compares all of them"


def oldest_of(present: Present, run: EvidenceRun) -> timedelta:
    """How long ago the key was compared that a run vouches for longest; for its own age see `age_of`."""
    touched = (run.summary or {}).get(TOUCHED)
    if not isinstance(touched, Mapping):
        return age_of(present, run)
    return present.at - datetime.fromisoformat(str(touched["oldest"]))


def lag_when_made(run: EvidenceRun) -> timedelta:
    """For how long, when a run began, the log had had the first event that its builds lacked; zero where none."""
    found = (run.summary or {}).get(LAG)
    return timedelta(seconds=found if isinstance(found, int | float) else 0)


def behind_of(present: Present, run: EvidenceRun) -> int | None:
    """How many events came after a run's position; None where it has none."""
    return None if run.position is None else present.head - run.position


def brief(span: timedelta) -> str:
    """Write a duration of zero or more, of which seconds matter: `0.4 s`, `12.0 s`, `3 minutes`, `25 h`."""
    seconds = span.total_seconds()
    return f"{seconds:.1f} s" if seconds < 60 else lasting(span)  # noqa: PLR2004  (seconds of a minute)


def lasting(span: timedelta) -> str:
    """Write a duration of zero or more in its largest whole units: `3 minutes`, `25 h`, `4 d 2 h`."""
    minutes = int(span.total_seconds() // 60)
    if minutes < 60:  # noqa: PLR2004  (minutes of an hour)
        return plural(minutes, "minute")
    hours, left = divmod(minutes, 60)
    if hours < 48:  # noqa: PLR2004  (hours are read more easily than days and hours)
        return f"{hours} h {left} min" if left else f"{hours} h"
    days, left = divmod(hours, 24)
    return f"{days} d {left} h" if left else f"{days} d"


_OTHERS: Final = {
    "comparator_hash": ("another comparator", "the comparator was edited since the evidence was made"),
    "checks_hash": ("other checks", "the comparator's checks were edited since the evidence was made"),
    "configuration_hash": (
        "another configuration",
        "settings that evidence depends on, or variables in the store's URLs, were changed since it was made",
    ),
    "log": ("another log", "the evidence is of another event log"),
}


def _of(present: Present, wanted: RequiredEvidence) -> Iterator[Sealed]:
    """The newest first."""
    mine = (wanted.kind, wanted.name)
    return (one for one in reversed(present.evidence.sealed) if (one.entry.kind, one.entry.name) == mine)


def _tokens(bound: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    for side in Side:
        for name, one in _views(bound, side).items():
            yield f"{side.value}.{name}", one.get("token") if isinstance(one, Mapping) else None


def _views(bound: Mapping[str, object], side: Side) -> Mapping[str, object]:
    found = bound.get(side.value)
    return found if isinstance(found, Mapping) else {}


def _changed(label: str, was: object, now: object) -> tuple[str, str]:
    if not isinstance(was, Mapping) or not isinstance(now, Mapping):
        return f"another {label}", f"{label} is not what it was when the evidence was made"
    if was.get("definition_hash") != now.get("definition_hash"):
        built = f" (build {was.get('build')}, readers get build {now.get('build')})"
        return f"another definition of {label}", f"the evidence is of another definition of {label}{built}"
    if was.get("build") != now.get("build"):
        long = f"the evidence is of build {was.get('build')} of {label}, readers get build {now.get('build')}"
        return f"another build of {label}", long
    if was.get("token") != now.get("token"):
        long = f"the evidence is of another build {was.get('build')} of {label}: the store was made anew since"
        return f"another build of {label}", long
    return f"another {label}", f"{label} is not what it was when the evidence was made"

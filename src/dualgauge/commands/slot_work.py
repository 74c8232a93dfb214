"""What a slot of a schedule asks for, done step by step by the commands that a person would call."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from dualgauge.errors import DualgaugeError, SystemRefused, redact
from dualgauge.model import listed, plural

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dualgauge.commands.tailing import Tailing
    from dualgauge.model import Outcome
    from dualgauge.schedules.settings import Step
    from dualgauge.workspace import Workspace

NEEDED: frozenset[Step] = frozenset({"import", "tail"})
"""Steps without which those after them would judge what is not there."""

HELD_FOR: Final = 300.0
"""Seconds for which a slot waits for a side that another process brings forward."""

_LOOK: Final = 0.5


@dataclass(frozen=True, slots=True)
class StepDone:
    """
    What a step came to: the exit code that its command ends with, and what it found in a line.

    `numbers` is what may be told of it: what an error says may hold values of rows. `bad` says what went wrong, the
    same for as long as nothing else does.
    """

    step: Step
    exit_code: int
    found: str
    numbers: str = ""
    bad: str = ""


def work(
    workspace: Workspace, steps: Sequence[Step], comparators: Sequence[str], *, touched: bool = False
) -> Iterator[StepDone]:  # fmt: skip
    """Do steps in their order, up to one that has to end well and does not; a diff of what changed where `touched`."""
    for step in steps:
        done = _done(workspace, step, comparators, touched=touched)
        yield done
        if done.exit_code and step in NEEDED:
            return


def _done(workspace: Workspace, step: Step, comparators: Sequence[str], *, touched: bool) -> StepDone:
    do: dict[Step, Callable[[Workspace, Sequence[str]], tuple[int, str, str, str]]] = {
        "import": _import, "tail": _tail, "diff": partial(_diff, touched=touched), "check": _check, "report": _report,
    }  # fmt: skip
    try:
        return StepDone(step, *do[step](workspace, comparators))
    except DualgaugeError as fault:
        return StepDone(step, fault.exit_code, str(fault), type(fault).__name__, type(fault).__name__)
    except Exception as fault:  # noqa: BLE001  (a slot ends in an outcome, whatever went wrong)
        refused = SystemRefused.of(fault)
        found = str(refused) if refused else redact(f"unexpected {type(fault).__name__}: {fault}")
        return StepDone(step, 1, found, type(fault).__name__, type(fault).__name__)


def _import(workspace: Workspace, _: Sequence[str]) -> tuple[int, str, str, str]:
    from dualgauge.commands.log import LogCommands

    done = LogCommands(workspace).import_(every=True)
    return 0, f"{plural(done.added, 'event')} added; the log's head is position {done.last:,}", "", ""


def _tail(workspace: Workspace, _: Sequence[str]) -> tuple[int, str, str, str]:
    """
    Bring the views to the head that the log has now.

    A side that another process holds, as the slot of another schedule or a tail that never ends, is waited for: until
    that one lets it go, or has brought it there itself.
    """
    from dualgauge.commands.views import ViewCommands
    from dualgauge.stores.errors import SideHeld

    views, head, until = ViewCommands(workspace), _head(workspace), time.monotonic() + HELD_FOR
    while True:
        try:
            return _tailed(views.tail(once=True))
        except SideHeld as held:
            if _are_at(workspace, head):
                return 0, f"{held.side} is held by {held.holder}, which brought all views to position {head:,}", "", ""
            if time.monotonic() > until:
                raise
        time.sleep(_LOOK)


def _tailed(done: Tailing) -> tuple[int, str, str, str]:
    if done.failing:
        found = "; ".join(f"{one.label}: {one.error}" for one in done.failing)
        failing = f"failing: {listed([one.label for one in done.failing])}"
        return 1, found, failing, failing
    for side, reason in done.held_up.items():
        held_up = f"{side.value} is held up"
        return reason.exit_code, f"{side.value} was brought no further: {reason}", held_up, held_up
    left = [one for one in done.views if one.left]
    stayed = "".join(
        f"; {one.label} was left at position {one.position:,}: {'see `dualgauge plan`' if one.by_plan else one.left}"
        for one in left
    )
    return 0, f"{plural(len(done.views) - len(left), 'view')} brought to position {done.head:,}{stayed}", "", ""


def _head(workspace: Workspace) -> int:
    with workspace.open() as handles:
        return handles.log.head().last


def _are_at(workspace: Workspace, head: int) -> bool:
    """Whether all builds that a tail brings forward are at a position of the log, or behind it."""
    from dualgauge.replay.advance import KEPT

    with workspace.open() as handles:
        kept = [one for one in handles.views if one.allows_full or handles.strategy(one) in KEPT]
        builds = [found for one in kept if (found := handles.served[one.side].get(one.name)) and found.build]
    return all(one.position is not None and one.position >= head for one in builds)


def _diff(workspace: Workspace, comparators: Sequence[str], *, touched: bool) -> tuple[int, str, str, str]:
    from dualgauge.commands.compare import CompareCommands
    from dualgauge.comparison.runs.run import worst

    runs = CompareCommands(workspace).diff(comparators, touched=touched)
    said = _said([(run.name, run.comparison.verdict, f"{run.comparison.mismatched:,} mismatched") for run in runs])
    bad = sorted(f"{run.name} {run.comparison.verdict.value}" for run in runs if run.comparison.verdict.exit_code)
    return worst(runs).exit_code, said, said, ", ".join(bad)


def _check(workspace: Workspace, comparators: Sequence[str]) -> tuple[int, str, str, str]:
    from dualgauge.commands.compare import CompareCommands
    from dualgauge.comparison.checking.check_run import worst

    runs = CompareCommands(workspace).check(comparators)
    verdict = worst(runs)
    said = _said([(run.name, run.verdict, plural(len(run.results), "check")) for run in runs])
    results = [(run.name, one) for run in runs for one in run.results if not one.success]
    bad = sorted(
        f"{name} {one.view} {one.expectation} {one.arguments.get('column', '')} {one.success}" for name, one in results
    )
    return verdict.exit_code if verdict else 0, said, said, ", ".join(bad)


def _report(workspace: Workspace, comparators: Sequence[str]) -> tuple[int, str, str, str]:
    from dualgauge.commands.evidence import EvidenceCommands

    return 0, f"wrote {EvidenceCommands(workspace).report(comparators).html}", "", ""


def _said(found: Sequence[tuple[str, Outcome | None, str]]) -> str:
    return "; ".join(f"{name}: {verdict.value if verdict else 'no checks'}, {count}" for name, verdict, count in found)

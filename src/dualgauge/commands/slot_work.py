"""What a slot of a schedule asks for, done step by step by the commands that a person would call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dualgauge.errors import DualgaugeError, SystemRefused, redact
from dualgauge.model import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dualgauge.model import Outcome
    from dualgauge.schedules.settings import Step
    from dualgauge.workspace import Workspace

NEEDED: frozenset[Step] = frozenset({"import", "tail"})
"""Steps without which those after them would judge what is not there."""


@dataclass(frozen=True, slots=True)
class StepDone:
    """What a step came to: the exit code that its command ends with, and what it found in a line."""

    step: Step
    exit_code: int
    found: str


def work(workspace: Workspace, steps: Sequence[Step], comparators: Sequence[str]) -> Iterator[StepDone]:
    """Do steps in their order, up to one that has to end well and does not."""
    for step in steps:
        done = _done(workspace, step, comparators)
        yield done
        if done.exit_code and step in NEEDED:
            return


def _done(workspace: Workspace, step: Step, comparators: Sequence[str]) -> StepDone:
    do: Callable[[Workspace, Sequence[str]], tuple[int, str]] = {
        "import": _import, "tail": _tail, "diff": _diff, "check": _check, "report": _report,
    }[step]  # fmt: skip
    try:
        return StepDone(step, *do(workspace, comparators))
    except DualgaugeError as fault:
        return StepDone(step, fault.exit_code, str(fault))
    except Exception as fault:  # noqa: BLE001  (a slot ends in an outcome, whatever went wrong)
        refused = SystemRefused.of(fault)
        return StepDone(step, 1, str(refused) if refused else redact(f"unexpected {type(fault).__name__}: {fault}"))


def _import(workspace: Workspace, _: Sequence[str]) -> tuple[int, str]:
    from dualgauge.commands.log import LogCommands

    done = LogCommands(workspace).import_(every=True)
    return 0, f"{plural(done.added, 'event')} added; the log's head is position {done.last:,}"


def _tail(workspace: Workspace, _: Sequence[str]) -> tuple[int, str]:
    from dualgauge.commands.views import ViewCommands

    done = ViewCommands(workspace).tail(once=True)
    if done.failing:
        return 1, "; ".join(f"{one.label}: {one.error}" for one in done.failing)
    for side, reason in done.held_up.items():
        return reason.exit_code, f"{side.value} was brought no further: {reason}"
    return 0, f"{plural(len(done.views), 'view')} brought to position {done.head:,}"


def _diff(workspace: Workspace, comparators: Sequence[str]) -> tuple[int, str]:
    from dualgauge.commands.compare import CompareCommands
    from dualgauge.comparison.runs.run import worst

    runs = CompareCommands(workspace).diff(comparators)
    found = [(run.name, run.comparison.verdict, f"{run.comparison.mismatched:,} mismatched") for run in runs]
    return worst(runs).exit_code, _said(found)


def _check(workspace: Workspace, comparators: Sequence[str]) -> tuple[int, str]:
    from dualgauge.commands.compare import CompareCommands
    from dualgauge.comparison.checking.check_run import worst

    runs = CompareCommands(workspace).check(comparators)
    verdict = worst(runs)
    found = [(run.name, run.verdict, plural(len(run.results), "check")) for run in runs]
    return verdict.exit_code if verdict else 0, _said(found)


def _report(workspace: Workspace, comparators: Sequence[str]) -> tuple[int, str]:
    from dualgauge.commands.evidence import EvidenceCommands

    return 0, f"wrote {EvidenceCommands(workspace).report(comparators).html}"


def _said(found: Sequence[tuple[str, Outcome | None, str]]) -> str:
    return "; ".join(f"{name}: {verdict.value if verdict else 'no checks'}, {count}" for name, verdict, count in found)

"""The commands of canary.yaml: `migration.canary`."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dualgauge.commands.looks import Looks
from dualgauge.commands.reads import by_row, count_for, judge, reads, shared
from dualgauge.ledger.routing import CHANGED
from dualgauge.model import AsJson, canonical_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from dualgauge.commands.reads import PairsJudged, ViewReads
    from dualgauge.cutover.canary.model import CanaryFile
    from dualgauge.cutover.canary.needs import StepNeeds
    from dualgauge.cutover.moves.routing import Routed, RoutingOrder
    from dualgauge.ledger.values import MigrationState
    from dualgauge.workspace import Handles, Workspace
    from dualgauge_router.decision import Decision
    from dualgauge_router.hashing import Unit

FILE = "canary.yaml"
"""Where it stands in a project, unless another file is named."""


@dataclass(frozen=True, slots=True)
class CanaryChecked:
    """A canary.yaml that can work: its path for messages, and what each of its steps needs."""

    file: str
    steps: tuple[StepNeeds, ...]


@dataclass(frozen=True, slots=True)
class Change(AsJson):
    """A part of the configuration, as its path, that is another one then; None where it is not there."""

    path: str
    before: object
    after: object


@dataclass(frozen=True, slots=True)
class CanaryShown:
    """What is in force: the state, the configuration (None without any), and the step that the share stands on."""

    state: MigrationState
    configuration: dict[str, Any] | None
    step: str | None


@dataclass(frozen=True, slots=True)
class Who:
    """Which side a unit read, and why, by the state at a time; `bucket` is None where no hash decided."""

    unit: Unit | Sequence[Unit | None]
    state: MigrationState
    decision: Decision
    bucket: float | None


@dataclass(frozen=True, slots=True)
class CanaryCommands:
    """The ramp as a file: what it needs, what is in force, and the way out in haste."""

    _workspace: Workspace

    def validate(self, file: Path | None = None, *, rate: float | None = None) -> CanaryChecked:
        """
        Look at a canary.yaml, and say what each of its steps needs. Nothing is written, and no ledger looked at.

        Args:
            file: another one than the project's.
            rate: reads a second that are judged, for how long the proof of a gate takes.

        Raises:
            NoCanary, BadCanary: it cannot be read, or cannot work; with every mistake.
        """
        from dualgauge.cutover.canary.needs import needs

        found, shown = self._read(file)
        return CanaryChecked(shown, needs(found, rate))

    def apply(
        self, file: Path | None = None, *, reason: str | None = None, dry_run: bool = False
    ) -> tuple[Routed, tuple[Change, ...]]:
        """
        Put a canary.yaml in force, by one compare-and-set of the ledger; and what of the configuration changes.

        Where it may send more reads to v2 at once, the gates are asked as for a larger share.

        Raises:
            NoCanary, BadCanary, NotActedOn: it cannot be read, cannot work, or asks for what this version does not do.
        """
        from dualgauge.cutover.errors import NotActedOn
        from dualgauge.cutover.moves.routing import apply

        found, shown = self._read(file)
        for step in found.steps:
            if step.gates:
                what = f"its step {step.label} asks the gate {step.gates[0]!r}"
                what += ", and no gate of this version goes by reads yet"
                raise NotActedOn(shown, f"{what}: leave `gates` out of its steps; diffs and checks are asked anyway")
        with Looks(self._workspace) as looks, self._workspace.open() as handles:
            ledger, order = handles.ledger_for(dry_run=dry_run), self._order(reason, dry_run=dry_run)
            routed = apply(
                ledger, self._workspace.settings.migration, order, rollout=found.rollout,
                text=found.text_with(_compared(handles)) if found.shadow else found.text,
                gates=lambda: looks.gates(None), still=looks.still,
            )  # fmt: skip
            if not dry_run:
                count_for(handles, ledger, routed.after, self._workspace.clock())
        # A file that names none leaves the rollout as it is.
        told = [one for one in changes(routed.before.canary, routed.after.canary) if one.path != "rollout"]
        if routed.before.rollout != routed.after.rollout:
            told.append(Change("rollout", routed.before.rollout, routed.after.rollout))
        return routed, tuple(told)

    def show(self) -> CanaryShown:
        """What reads are routed by now."""
        from dualgauge.cutover.gates.ramp import step_of

        with self._workspace.open() as handles:
            state = handles.state
            step = step_of(state)
            said = None if state.canary in ("", CHANGED) else json.loads(state.canary)
            return CanaryShown(state, said, step.name if step else None)

    def reads(self) -> list[ViewReads]:
        """What the reads of applications came to, by view, for what they are evidence for now."""
        with self._workspace.open() as handles:
            return reads(handles, self._workspace.settings.migration)

    def judge(self) -> list[PairsJudged]:
        """Judge the pairs of answers that differ where differences are expected, as a diff would."""
        with self._workspace.open() as handles:
            return judge(handles, self._workspace.settings.migration, self._workspace.clock())

    def kill(self, *, reason: str | None = None, dry_run: bool = False) -> Routed:
        """Send all reads to v1 until `unkill`, whatever the share is. Nothing is asked for."""
        from dualgauge.cutover.moves.routing import kill

        with self._workspace.open() as handles:
            order = self._order(reason, dry_run=dry_run)
            return kill(handles.ledger_for(dry_run=dry_run), self._workspace.settings.migration, order)

    def unkill(self, *, reason: str | None = None, dry_run: bool = False) -> Routed:
        """Let the share count again; where that sends reads to v2, the gates are asked."""
        from dualgauge.cutover.moves.routing import unkill

        with Looks(self._workspace, killed=False) as looks, self._workspace.open() as handles:
            order = self._order(reason, dry_run=dry_run)
            return unkill(
                handles.ledger_for(dry_run=dry_run), self._workspace.settings.migration, order,
                gates=lambda: looks.gates(None), still=looks.still,
            )  # fmt: skip

    def who(
        self,
        unit: Unit | Sequence[Unit | None],
        *,
        at: datetime | None = None,
        attrs: Mapping[str, object] | None = None,
    ) -> Who:
        """
        Which side a unit reads, and why; `at` a time, by what the journal says was in force then.

        Raises:
            BadUnit: the unit cannot be hashed.
            LostCanary: the configuration in force is not the one that was applied, so nobody can tell.
        """
        from dualgauge.cutover.errors import LostCanary
        from dualgauge_router.decision import Reason, Routing
        from dualgauge_router.hashing import bucket, unit_text

        unit_text(unit)
        with self._workspace.open() as handles:
            if at is None:
                state = handles.state
            else:
                from dualgauge.ledger.past import state_at

                ledger, name = handles.known_ledger, self._workspace.settings.migration
                state = state_at(ledger, name, at) if ledger else handles.state
            if state.canary == CHANGED:
                raise LostCanary(state.name)
            decision = Routing(state).decide(unit, attrs)
            hashed = decision.reason is Reason.HASH
            return Who(unit, state, decision, bucket(state, unit) if hashed else None)

    def _read(self, file: Path | None) -> tuple[CanaryFile, str]:
        from dualgauge.cutover.canary.check import read
        from dualgauge.cutover.errors import NoCanary

        path, shown = file or self._workspace.project.path(FILE), str(file or FILE)
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as fault:
            raise NoCanary(shown, f"it is not UTF-8, from byte {fault.start} on") from fault
        except OSError as fault:
            raise NoCanary(shown, fault.strerror or type(fault).__name__) from fault
        return read(text, shown), shown

    def _order(self, reason: str | None, *, dry_run: bool) -> RoutingOrder:
        from dualgauge.cutover.moves.routing import RoutingOrder

        workspace = self._workspace
        return RoutingOrder(workspace.who, workspace.clock(), uuid.uuid4().hex, reason, dry_run)


def _compared(handles: Handles) -> dict[str, Any]:
    """By what the shadow reads of each view are compared; None for one without rules of its rows."""
    found: dict[str, Any] = {}
    for name in shared(handles):
        found[name] = None
        if (one := by_row(handles.comparators, name)) is not None:
            rules = {column: rule.as_json() for column, rule in one.rules.items()}
            found[name] = {"key": list(one.keys), "rules": rules, "expects": bool(one.expected)}
    return found


def changes(before: str, after: str) -> list[Change]:
    """What of a configuration, as the ledger keeps it, is another one in another, in the order of its paths."""
    had, has = ({} if text in ("", CHANGED) else _flat(json.loads(text)) for text in (before, after))
    paths = sorted(had.keys() | has.keys())
    # As JSON: to Python True is 1.
    differ = (path for path in paths if canonical_json(had.get(path)) != canonical_json(has.get(path)))
    return [Change(path, had.get(path), has.get(path)) for path in differ]


def _flat(value: object, path: str = "") -> dict[str, object]:
    if isinstance(value, dict) and value:
        return {key: one for name, part in value.items() for key, one in _flat(part, f"{path}.{name}").items()}
    if isinstance(value, list) and any(isinstance(one, dict) for one in value):
        return {key: one for at, part in enumerate(value) for key, one in _flat(part, f"{path}[{at}]").items()}
    return {path.removeprefix("."): value}

"""The commands of schedules: `migration.schedule`."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from dualgauge.errors import DualgaugeError
from dualgauge.ledger.slot_values import Pause, Slot, SlotsNow, SlotState, slot_text
from dualgauge.model import holder_name, meanwhile
from dualgauge.schedules.errors import NoSchedules, NoSuchSlot, UnknownSchedule

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from datetime import datetime

    from dualgauge.commands.slot_work import StepDone
    from dualgauge.ledger.slot_values import Claim
    from dualgauge.ledger.slots import Slots
    from dualgauge.schedules.runners import Runner, RunnerFile
    from dualgauge.schedules.settings import ScheduleSettings
    from dualgauge.workspace import Workspace

NOW: Final = "now"
"""As a slot: the newest one that is due and not done."""

NEXT, LAST = 5, 5
"""How many slots a list shows of what comes, and of what was."""

_RENEW: Final = 15.0
"""Seconds between two renewals of a claim."""

_LOOK: Final = 1.0
"""Seconds between two looks at what is due."""

_SEND: Final = 5.0
"""Seconds between two looks at the outbox."""


@dataclass(frozen=True, slots=True)
class ScheduleLine:
    """A schedule: its settings, its next times in UTC, its last slots from the newest on, and whether it is paused."""

    settings: ScheduleSettings
    following: tuple[datetime, ...]
    last: tuple[Slot, ...]
    paused: Pause | None


@dataclass(frozen=True, slots=True)
class SlotRun:
    """
    What `schedule run` came to.

    `slot` is None where nothing is due; `steps` are those that this call did: none where the slot was done before, and
    its exit code is answered.
    """

    schedule: str
    slot: Slot | None
    steps: tuple[StepDone, ...]
    exit_code: int
    following: datetime | None = None


@dataclass(frozen=True, slots=True)
class Followed:
    """A slot that `schedule follow` had run in a process of its own."""

    schedule: str
    due: datetime
    exit_code: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Shown:
    """Files for a scheduler, and the slots of the next year at which it will not call."""

    files: tuple[RunnerFile, ...]
    misses: tuple[datetime, ...]


@dataclass(frozen=True, slots=True)
class ScheduleCommands:
    """Work that is due by the clock: each slot is run once, by whoever claims it first."""

    _workspace: Workspace

    def list(self) -> list[ScheduleLine]:
        """Every schedule of the project."""
        now = self._workspace.clock()
        with self._workspace.open() as handles:
            ledger = handles.known_ledger
            slots = ledger.slots_of(self._workspace.settings.migration) if ledger is not None else None
            return [
                ScheduleLine(
                    one, tuple(one.timetable.following(now, NEXT)),
                    slots.newest(one.name, LAST) if slots else (), slots.paused(one.name) if slots else None,
                )
                for one in self._workspace.settings.schedules
            ]  # fmt: skip

    def run(self, name: str, *, slot: str = NOW, dry_run: bool = False) -> SlotRun:
        """
        Run one slot of a schedule, unless it was run before: then answer what it came to.

        Args:
            name: the schedule's.
            slot: a time as `schedule list` shows it, or `now`.
            dry_run: say which slot would be run, and run nothing.

        Raises:
            UnknownSchedule, NoSuchSlot: there is nothing of that name, or not at that time.
            SlotHeld: somebody runs it, or another slot of the schedule.
            ClaimLost: this process was stopped for longer than its lease.
        """
        settings = self._settings(name)
        due = None if slot == NOW else self._due(settings, slot)
        if dry_run:
            return self._run_due(settings, due, dry_run=True)
        try:
            done = self._run_due(settings, due, dry_run=False)
        except DualgaugeError:
            # Slots that were missed are told of, whoever has the one that is due.
            self._send()
            raise
        self._send()
        return done

    def _run_due(self, settings: ScheduleSettings, due: datetime | None, *, dry_run: bool) -> SlotRun:
        with self._workspace.open() as handles:
            ledger = handles.ledger_for(dry_run=dry_run)
            slots = ledger.slots_of(self._workspace.settings.migration)
            found = self._found(settings, slots, due, dry_run=dry_run)
            if found is None or dry_run or found.state in {SlotState.DONE, SlotState.FAILED}:
                code = found.exit_code or 0 if found else 0
                return SlotRun(settings.name, found, (), code, self._following(settings))
            claim = slots.claim(settings.name, found.due, holder_name(self._workspace.who))
        return self._run(settings, claim)

    def _send(self, stop: Callable[[], bool] = lambda: False) -> None:
        """Send what waits in the outbox; what cannot be sent waits there for whoever tries next."""
        from dualgauge.commands.notify import NotifyCommands

        if self._workspace.settings.channels:
            with suppress(DualgaugeError):
                NotifyCommands(self._workspace).send(stop=stop)

    def follow(self, *, stop: Callable[[], bool], ended: Callable[[Followed], None] = lambda _: None) -> None:
        """
        Run what is due, for as long as nobody says stop; what runs then is waited for.

        Each slot is run in a process of its own: one that dies takes nothing with it, and its slot is run again.

        Args:
            stop: whether to end.
            ended: is told each slot that was run.

        Raises:
            NoSchedules: there is none.
            LedgerError: the ledger cannot be written; later it is tried again, each second.
        """
        if not self._workspace.settings.schedules:
            raise NoSchedules
        with self._workspace.open() as handles:
            # One that cannot be had now is told; one that goes away later is waited for.
            _ = handles.ledger
        over = threading.Event()

        def send() -> None:
            while not over.wait(_SEND):
                self._send(over.is_set)

        # In a thread of its own: a receiver that hangs holds up no slot.
        with meanwhile(send, over.set):
            self._follow(stop, ended)

    def _follow(self, stop: Callable[[], bool], ended: Callable[[Followed], None]) -> None:
        children: dict[str, _Child] = {}
        try:
            while True:
                self._reap(children, ended)
                if stop():
                    if not children:
                        return
                else:
                    for settings in self._workspace.settings.schedules:
                        if settings.name not in children and (due := self._waiting(settings)) is not None:
                            children[settings.name] = self._start(settings.name, due)
                time.sleep(_LOOK)
        finally:
            for child in children.values():
                child.process.wait()

    def _reap(self, children: dict[str, _Child], ended: Callable[[Followed], None]) -> None:
        """Take out those that have ended, and tell of those that had their slots."""
        for name, child in list(children.items()):
            if (code := child.process.poll()) is not None:
                del children[name]
                if self._is_mine(child):
                    ended(Followed(name, child.due, code, time.monotonic() - child.began))

    def pause(self, name: str, *, reason: str) -> Pause:
        """Run nothing of a schedule until it is resumed."""
        self._settings(name)
        pause = Pause(self._workspace.who, self._workspace.clock(), reason)
        self._change(name, pause)
        return pause

    def resume(self, name: str) -> None:
        """Run a schedule again: from now on, whatever was due meanwhile."""
        self._settings(name)
        self._change(name, None)

    def show(self, name: str, runner: Runner) -> Shown:
        """What a scheduler is told to run a schedule, and when it will not call."""
        from dualgauge.schedules.runners import files, misses

        settings, now = self._settings(name), self._workspace.clock()
        made = files(settings, runner, project=self._workspace.project.root, program=_program())
        return Shown(made, tuple(misses(settings.timetable, runner, now)))

    def _change(self, name: str, pause: Pause | None) -> None:
        with self._workspace.open() as handles:
            handles.ledger.slots_of(self._workspace.settings.migration).pause(name, pause, self._workspace.clock())

    def _settings(self, name: str) -> ScheduleSettings:
        found = {one.name: one for one in self._workspace.settings.schedules}
        if name not in found:
            raise UnknownSchedule(name, sorted(found))
        return found[name]

    def _following(self, settings: ScheduleSettings) -> datetime | None:
        return next(iter(settings.timetable.following(self._workspace.clock(), 1)), None)

    def _due(self, settings: ScheduleSettings, text: str) -> datetime:
        """The time of a slot. Raises NoSuchSlot."""
        try:
            given = dt.datetime.fromisoformat(text)
        except ValueError as fault:
            raise NoSuchSlot(settings.name, repr(text), "that is no time; write 2026-12-03T02:30Z, or now") from fault
        due = (given if given.tzinfo else given.replace(tzinfo=settings.timetable.place)).astimezone(dt.UTC)
        if not settings.timetable.has(due):
            raise NoSuchSlot(settings.name, slot_text(due), f"it is due by {settings.timetable.text!r}")
        if due > self._workspace.clock():
            raise NoSuchSlot(settings.name, slot_text(due), "it is not due yet")
        return due

    def _lay(self, settings: ScheduleSettings, slots: Slots, *, called: bool) -> tuple[Slot, ...]:
        """The slots that wait. `called`: by a scheduler, perhaps for the first time, for what was due just now."""
        from dualgauge.schedules.laying import LATE, laid

        now = self._workspace.clock()
        since = now - LATE if called else now
        return slots.lay(settings.name, settings.timetable.text, since, partial(laid, settings, now=now))

    def _would_lay(self, settings: ScheduleSettings, slots: Slots) -> tuple[Slot, ...]:
        """The slots that would wait once they are laid."""
        from dualgauge.schedules.laying import LATE, laid

        if slots.paused(settings.name) is not None:
            return ()
        now = self._workspace.clock()
        before = slots.look(settings.name, settings.timetable.text) or SlotsNow(now - LATE, (), ())
        found = {one.due: one.state for one in laid(settings, before, now)}
        new = [Slot(settings.name, due, state, 0, 0) for due, state in found.items() if due > before.laid_until]
        left = [one for one in before.waiting if one.due not in found]
        return tuple(sorted((one for one in (*left, *new) if one.state is SlotState.DUE), key=lambda one: one.due))

    def _found(self, settings: ScheduleSettings, slots: Slots, due: datetime | None, *, dry_run: bool) -> Slot | None:
        """The slot that is meant; None where nothing is due. Raises NoSuchSlot."""
        waiting = self._would_lay(settings, slots) if dry_run else self._lay(settings, slots, called=True)
        if due is None:
            if waiting:
                return waiting[-1]
            newest = slots.newest(settings.name, 1)
            return newest[0] if newest and newest[0].state is SlotState.CLAIMED else None
        found = next((one for one in waiting if one.due == due), None) or slots.slot(settings.name, due)
        if found is None:
            raise NoSuchSlot(
                settings.name, slot_text(due), "it was due before the schedule was seen, changed or resumed"
            )
        return found

    def _waiting(self, settings: ScheduleSettings) -> datetime | None:
        """The first slot that waits, if none runs; None where the ledger cannot be had: the next look is soon."""
        with suppress(DualgaugeError), self._workspace.open() as handles:
            slots = handles.ledger.slots_of(self._workspace.settings.migration)
            waiting = self._lay(settings, slots, called=False)
            if waiting and not slots.is_running(settings.name):
                return waiting[0].due
        return None

    def _is_mine(self, child: _Child) -> bool:
        """Whether the process of a child had the slot: another runner may have been quicker."""
        with suppress(DualgaugeError), self._workspace.open() as handles:
            found = handles.ledger.slots_of(self._workspace.settings.migration).slot(child.schedule, child.due)
            return found is not None and f", process {child.process.pid} on " in found.holder
        return True

    def _start(self, name: str, due: datetime) -> _Child:
        call = [
            sys.executable, "-m", "dualgauge", "schedule", "run", name, "--slot", slot_text(due), "--project",
            str(self._workspace.project.root), "--memory-limit", self._workspace.memory_limit,
        ]  # fmt: skip
        # What it prints is in its slot and in the reports; what goes wrong is told on stderr too.
        process = subprocess.Popen(call, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)  # noqa: S603
        return _Child(name, due, process, time.monotonic())

    def _run(self, settings: ScheduleSettings, claim: Claim) -> SlotRun:
        from dualgauge.commands.slot_work import work
        from dualgauge.notifications.news import StepOutcome
        from dualgauge.notifications.ping import Ping

        mine, ping = replace(self._workspace, claim=claim), Ping(settings.ping, settings.name)
        ping.start()
        with self._workspace.open() as handles:
            slots = handles.ledger.slots_of(self._workspace.settings.migration)
            try:
                with _renewed(slots, claim):
                    steps = tuple(work(mine, settings.do, settings.comparators, touched=settings.is_touched(claim.due)))
                    progress, before = _progress(mine), slots.progress(settings.name)
                code = next((step.exit_code for step in steps if step.exit_code), 0)
                why = "\n".join(f"{step.step} ({step.exit_code}): {step.found}" for step in steps)
                telling = self._workspace.telling
                outcomes = [StepOutcome(step.step, step.exit_code, step.numbers, step.bad) for step in steps]
                news = [telling.of_outcome(settings.name, claim.due, outcomes)]
                if progress is not None:
                    news += telling.of_progress(settings.name, before, progress)
                slots.finish(claim, code, why, news=news, progress=progress)
            except KeyboardInterrupt:
                with suppress(DualgaugeError):
                    slots.give_back(claim)
                raise
            ping.end(code)
            return SlotRun(settings.name, slots.slot(settings.name, claim.due), steps, code, self._following(settings))


@dataclass(frozen=True, slots=True)
class _Child:
    schedule: str
    due: datetime
    process: subprocess.Popen[bytes]
    began: float


def _progress(workspace: Workspace) -> tuple[int, int] | None:
    """How far the views are that readers get, the one that is least, and the log; None where nobody can tell."""
    # Whatever is wrong with them, a slot ends in the outcome of its steps.
    with suppress(Exception), workspace.open() as handles:
        # The log last: what is appended meanwhile is in no view yet.
        found = [one.position for side in handles.served.values() for one in side.values() if one.position is not None]
        if found:
            return min(found), handles.log.head().last
    return None


def _renewed(slots: Slots, claim: Claim) -> AbstractContextManager[None]:
    """Hold a claim for as long as a block runs."""
    over = threading.Event()

    def renew() -> None:
        while not over.wait(_RENEW):
            # A ledger that cannot be written now is tried again; a claim that is lost is found by what writes next.
            with suppress(DualgaugeError):
                slots.renew(claim)

    return meanwhile(renew, over.set)


def _program() -> str:
    """How dualgauge is called by whoever has no path to look it up in."""
    from pathlib import Path

    beside = Path(sys.executable).with_name("dualgauge")
    return str(beside) if beside.exists() else "dualgauge"

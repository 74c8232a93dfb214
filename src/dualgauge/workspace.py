"""
The workspace: opens what a project's settings name, each thing once a command, and hands it out.

Heavy rooms are loaded where they are opened: a read loads no engine.
"""

from __future__ import annotations

import getpass
import os
import random
import socket
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, TypedDict

from dualgauge.errors import DualgaugeError
from dualgauge.ledger.settings import resolve_url
from dualgauge.model import Clock, Progress, Side, canonical_json, sha256, silent, utc_now
from dualgauge.project.settings import evidence_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from dualgauge.comparison.content.comparator import Comparator
    from dualgauge.comparison.runs.pairs import Pair
    from dualgauge.cutover.gates.validity import Present, ViewNow
    from dualgauge.cutover.values import GateResult
    from dualgauge.engines.duck import Engine
    from dualgauge.eventlog.settings import SourceSettings
    from dualgauge.eventlog.table.event_log import EventLog
    from dualgauge.ledger.ledger import Ledger
    from dualgauge.ledger.seal import Evidence
    from dualgauge.ledger.slot_values import Claim
    from dualgauge.ledger.values import MigrationState
    from dualgauge.notifications.news import Telling
    from dualgauge.project.project import Project
    from dualgauge.settings import Settings
    from dualgauge.stores.adopted.adopting import AdoptingStore
    from dualgauge.stores.external.sql_location import SqlLocation
    from dualgauge.stores.serving.checkpoints import Checkpoint
    from dualgauge.stores.serving.port import BuildStore, ServedStore
    from dualgauge.stores.serving.tail_state import TailState
    from dualgauge.views.definition import ViewDefinition
    from dualgauge.views.plan.plan import Plan, Strategy


def acting() -> str:
    """Who acts, for the journal: user and host."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        # A container may run under a number that has no name.
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


class Given(TypedDict, total=False):
    """What `dualgauge.open` hands on to `Workspace`, which says what each of them is."""

    clock: Clock
    who: str
    memory_limit: str
    progress: Progress
    sleep: Callable[[float], None]
    chance: random.Random
    patience: float


@dataclass(frozen=True)
class Workspace:
    """
    One project. Values come in here: the clock, who acts, the engine's memory limit, how to wait, and chance.

    `patience`: seconds that a writer of the log waits for its turn. `claim`: the slot of a schedule that it works for:
    the ledger takes nothing from it once another one has the slot. `strategies`: what was found of the views' texts.
    """

    project: Project
    settings: Settings
    clock: Clock = utc_now
    who: str = field(default_factory=acting)
    memory_limit: str = "1GB"
    progress: Progress = silent
    sleep: Callable[[float], None] = time.sleep
    chance: random.Random = field(default_factory=random.Random, compare=False)
    patience: float = 30.0
    claim: Claim | None = None
    strategies: dict[tuple[Side, str, str], Strategy] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def ledger_url(self) -> str:
        """The ledger's URL, as `Router` takes it."""
        return resolve_url(self.settings.ledger.url, self.project.root)

    @property
    def telling(self) -> Telling:
        """What makes news of slots and of moves, for the channels that the settings name."""
        from dualgauge.notifications.news import Route, Telling

        settings = self.settings
        routes = {one.name: Route(tuple(one.notify), one.reminder, one.owner) for one in settings.schedules}
        moves = tuple(one.name for one in settings.channels if one.moves)
        return Telling(settings.migration, routes, moves, self.clock)

    @property
    def migrations_folder(self) -> Path:
        """The folder of the Alembic environment."""
        return self.project.path(self.settings.paths.migrations)

    @property
    def reports(self) -> Path:
        """The folder of evidence."""
        return self.project.path(self.settings.paths.reports)

    @property
    def configuration_hash(self) -> str:
        """
        Fingerprint of the settings that evidence depends on, and of the stores that their variables name.

        Where events come from, where log, ledger and reports lie, and how fresh evidence must be change nothing that it
        says: see `project.settings.EVIDENCE`.

        Raises:
            NoVariable: a variable is not set.
        """
        return sha256(canonical_json([evidence_settings(self.settings), self.settings.store.named]))

    @property
    def log_place(self) -> Path | str:
        """Where the log is, for messages: a folder, or the address of an object store."""
        from dualgauge.eventlog.settings import is_address

        path = self.settings.log.path
        return path if is_address(path) else self.project.path(path)

    @contextmanager
    def open(self) -> Iterator[Handles]:
        """What one command works with: nothing is open yet, and all is closed at the end."""
        with ExitStack() as stack:
            yield Handles(self, stack)


class Handles:
    """
    What one command has open: each thing is opened where it is first asked for, and once.

    A command sees what it read first: views, builds and gate inputs do not change under it.
    """

    def __init__(self, workspace: Workspace, stack: ExitStack) -> None:
        self._workspace = workspace
        self._stack = stack

    @cached_property
    def engine(self) -> Engine:
        """An engine."""
        from dualgauge.engines.duck import open_engine

        return self._stack.enter_context(open_engine(memory_limit=self._workspace.memory_limit))

    @cached_property
    def ledger(self) -> Ledger:
        """The ledger, to write to: made where there is none, and upgraded where it is behind."""
        from dualgauge.ledger.ledger import Ledger

        opened = self._stack.enter_context(Ledger.open(self._workspace.ledger_url))
        ledger = opened.telling(self._workspace.telling)
        claim = self._workspace.claim
        return ledger if claim is None else ledger.fenced(claim)

    @cached_property
    def known_ledger(self) -> Ledger | None:
        """
        The ledger, to look at, or None where nothing has made one yet: looking makes nothing, and upgrades nothing.

        Raises:
            OlderLedger, NewerLedger: this dualgauge cannot read it as it is.
        """
        if "ledger" in self.__dict__:
            return self.ledger
        from dualgauge.ledger.errors import NoLedger
        from dualgauge.ledger.ledger import Ledger

        try:
            return self._stack.enter_context(Ledger.look(self._workspace.ledger_url))
        except NoLedger:
            return None

    def ledger_for(self, *, dry_run: bool) -> Ledger:
        """The ledger of a command that writes to it, but for a dry run: that looks, at an empty one if need be."""
        from dualgauge.ledger.ledger import Ledger

        if not dry_run:
            return self.ledger
        return self.known_ledger or self._stack.enter_context(Ledger.nothing())

    @cached_property
    def basis(self) -> Mapping[str, object]:
        """What all evidence of the project is bound to now: its settings, and the event log by its table's id."""
        return {"configuration_hash": self._workspace.configuration_hash, "log": self.log.id}

    @cached_property
    def log(self) -> EventLog:
        """The event log, to read from."""
        return self._open_log(None)

    def open_log_with(self, ledger: Ledger | None) -> EventLog:
        """The event log, to write to: with a ledger, commits are kept there too."""
        return self._open_log(ledger)

    def _open_log(self, ledger: Ledger | None) -> EventLog:
        from dualgauge.eventlog.table.open import open_log
        from dualgauge.eventlog.table.storage import place_of

        settings = self._workspace.settings.log
        place = place_of(settings.path, settings.storage_options, self._workspace.project.root)
        return open_log(place, settings, ledger, patience=self._workspace.patience)

    @cached_property
    def store(self) -> ServedStore:
        """What answers reads: builds, and v1's adopted tables. Raises ViewError where a file adopts a table wrongly."""
        return self.builds if self.adopting is None else self.adopting

    @cached_property
    def builds(self) -> BuildStore:
        """The serving store by itself: what dualgauge built, and no adopted table."""
        from dualgauge.stores.sqlite.store import open_store

        return open_store(self._workspace.settings.store, self._workspace.project.root)

    @cached_property
    def adopting(self) -> AdoptingStore | None:
        """The store where v1 has adopted tables; None where it has none. Loads no engine, and connects to nothing."""
        from dualgauge.views.header import adoptions

        settings, project = self._workspace.settings, self._workspace.project
        found = adoptions(project.views(Side.V1, settings.paths))
        if not found:
            return None
        from dualgauge.stores.adopted.adopting import AdoptingStore

        return AdoptingStore(self.builds, found, settings.store.adopted_url, project.root)

    @cached_property
    def feeds(self) -> Mapping[str, SourceSettings]:
        """The source that feeds each adopted table that names one, by the view's name. Raises ViewError."""
        from dualgauge.views.feeds import feeding

        if self.adopting is None:
            return {}
        settings, root = self._workspace.settings, self._workspace.project.root
        return feeding(self.adopting.adoptions, settings.sources, settings.store.adopted_url, root)

    @cached_property
    def served(self) -> Mapping[Side, Mapping[str, Checkpoint]]:
        """The build of each view that readers get, by side, as the command found them."""
        return {side: self.store.served_builds(side) for side in Side}

    @cached_property
    def views(self) -> Sequence[ViewDefinition]:
        """The view files of both sides, v1's first. Raises ViewError."""
        from dualgauge.views.definition import read_folder

        settings, project = self._workspace.settings, self._workspace.project
        declared = self.adopting.declared if self.adopting else None
        return [
            view
            for side in Side
            for view in read_folder(
                self.engine, project.views(side, settings.paths), side, settings.log.all_columns, declared
            )
        ]

    @cached_property
    def plans(self) -> Sequence[Plan]:
        """How each view of both sides is kept. Raises ViewError."""
        return [self._plan(view) for view in self.views]

    def kept(self, view: ViewDefinition) -> bool:
        """Whether a tail can bring the view forward, and has not stopped at an event. Raises ViewError."""
        from dualgauge.replay.advance import KEPT

        return (self.strategy(view) in KEPT or view.allows_full) and not self._stopped(view)

    def _stopped(self, view: ViewDefinition) -> bool:
        """Whether a tail stopped at an error where the build that readers get is."""
        build = self.served[view.side].get(view.name)
        return build is not None and any(
            (state.view, state.build, state.error_position) == (view.name, build.build, build.position)
            for state in self._tail_states[view.side]
        )

    @cached_property
    def _tail_states(self) -> Mapping[Side, Sequence[TailState]]:
        return {side: self.builds.tail_states(side) for side in Side}

    def strategy(self, view: ViewDefinition) -> Strategy:
        """By what a view is kept, whatever becomes of the others. Raises ViewError."""
        # Who looks again and again at a hundred views does not plan each of them anew.
        known = self._workspace.strategies
        if (view.side, view.name, view.hash) not in known:
            known[view.side, view.name, view.hash] = self._plan(view).strategy
        return known[view.side, view.name, view.hash]

    def _plan(self, view: ViewDefinition) -> Plan:
        from dualgauge.views.plan.plan import plan

        return plan(self.engine, view, self._workspace.settings.log.all_columns)

    @cached_property
    def comparators(self) -> Mapping[str, Comparator]:
        """The comparators of the project's files, by name. Raises what loading them raises."""
        from dualgauge.comparison.content.comparator import Comparator
        from dualgauge.project.content import collect

        return collect(self._workspace.project.path(self._workspace.settings.paths.comparators), Comparator)

    def pairs(self, names: Sequence[str] = ()) -> list[Pair]:
        """The comparators of some names, or all, resolved against the views; see `comparison.runs.pairs.pairs`."""
        from dualgauge.comparison.runs.pairs import pairs

        return pairs(self.engine, self.comparators, self.views, names)

    def sql_location(self, side: Side, name: str) -> SqlLocation:
        """Where a view of a side can be read by another library's SQL: what readers see, or the adopted table."""
        from dualgauge.stores.external.sql_location import in_database

        settings, root = self._workspace.settings.store, self._workspace.project.root
        view = next(one for one in self.views if (one.side, one.name) == (side, name))
        if view.adopted:
            return in_database(settings.adopted_url, view.adopted, view.key, root=root)
        return self.builds.sql_location(side, view.name, view.key)

    @cached_property
    def state(self) -> MigrationState:
        """The migration's state, as the command found it; one that has no ledger yet was never moved."""
        from dualgauge.ledger.values import MigrationState

        name = self._workspace.settings.migration
        return self.known_ledger.state(name) if self.known_ledger else MigrationState(name)

    @cached_property
    def evidence(self) -> Evidence:
        """All evidence of the migration; none where there is no ledger."""
        from dualgauge.ledger.seal import Evidence

        ledger = self.known_ledger
        return ledger.evidence(self._workspace.settings.migration) if ledger else Evidence()

    @cached_property
    def waiting(self) -> int:
        """How many rejected rows wait in the quarantine."""
        return self.known_ledger.quarantine.waiting() if self.known_ledger else 0

    @property
    def views_now(self) -> Sequence[ViewNow]:
        """Each view with the build that readers get, and how far behind it is. Raises ViewError, DamagedLog."""
        from dualgauge.cutover.gates.inputs import views_now

        return views_now(self.served, self.views, self.log, self.kept, self._workspace.clock())

    @cached_property
    def present(self) -> Present:
        """What a decision on a move forward is made from, as the command found it."""
        from dualgauge.cutover.gates.inputs import find

        # The builds first: of a log that was opened before, one that goes on meanwhile would be ahead.
        return find(
            self.served, self.views, self.pairs, self.evidence, root=self._workspace.project.root,
            log=self.log, kept=self.kept,
            basis=self.basis, at=self._workspace.clock(), waiting=self.waiting,
        )  # fmt: skip

    def ramp(self, share_ppm: int | None, *, killed: bool = True, soak: bool = True) -> tuple[GateResult, ...]:
        """The gates of the ramp itself, for a move to a share; see `cutover.gates.ramp.ramp_gates`."""
        from dualgauge.cutover.gates.ramp import ramp_gates

        ledger, state = self.known_ledger, self.state
        rows = ledger.journal(state.name) if ledger and state.canary else ()
        return ramp_gates(state, rows, share_ppm, self._workspace.clock(), killed=killed, soak=soak)

    @cached_property
    def present_if_readable(self) -> Present | None:
        """The same; None where a file of the project cannot be read: what does not need it can still be told."""
        try:
            return self.present
        except DualgaugeError:
            return None

"""
Access: opens what a project's settings name, each thing for as long as it is used.

Heavy rooms are loaded where they are opened: a read loads no engine.
"""

from __future__ import annotations

import getpass
import os
import random
import socket
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dualgauge.errors import DualgaugeError
from dualgauge.ledger.settings import resolve_url
from dualgauge.model import Clock, Progress, Side, canonical_json, sha256, silent, utc_now

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from dualgauge.comparison.runs.run import Pair
    from dualgauge.cutover.gates.evidence_list import EvidenceLine
    from dualgauge.cutover.gates.validity import Present
    from dualgauge.engines.duck import Engine
    from dualgauge.eventlog.table.event_log import EventLog
    from dualgauge.ledger.ledger import Ledger
    from dualgauge.model import Position
    from dualgauge.project.project import Project
    from dualgauge.settings import Settings
    from dualgauge.stores.adopted.adopting import AdoptingStore
    from dualgauge.stores.external.sql_location import Queried
    from dualgauge.stores.serving.port import Store
    from dualgauge.stores.sqlite.store import SqliteStore
    from dualgauge.views.definition import ViewDefinition
    from dualgauge.views.plan import Plan


def acting() -> str:
    """Who acts, for the journal: user and host."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        # A container may run under a number that has no name.
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


@dataclass(frozen=True)
class Access:
    """One project. Values come in here: the clock, who acts, the engine's memory limit, how to wait, and chance."""

    project: Project
    settings: Settings
    clock: Clock = utc_now
    who: str = field(default_factory=acting)
    memory_limit: str = "1GB"
    progress: Progress = silent
    sleep: Callable[[float], None] = time.sleep
    chance: random.Random = field(default_factory=random.Random, compare=False)

    @property
    def ledger_url(self) -> str:
        """The ledger's URL, as `Router` takes it."""
        return resolve_url(self.settings.ledger.url, self.project.root)

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
        Fingerprint of the project's settings, which evidence is bound to, and of the stores that their variables name.

        Raises:
            NoVariable: a variable is not set.
        """
        named = self.settings.store.named
        return sha256(canonical_json([self.project.raw, named] if named else self.project.raw))

    @contextmanager
    def engine(self) -> Iterator[Engine]:
        """An engine, closed at the end."""
        from dualgauge.engines.duck import open_engine

        with open_engine(memory_limit=self.memory_limit) as engine:
            yield engine

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """The ledger, made where there is none."""
        from dualgauge.ledger.ledger import Ledger

        with Ledger.open(self.ledger_url) as ledger:
            yield ledger

    @contextmanager
    def ledger_if_any(self) -> Iterator[Ledger | None]:
        """The ledger, or None where nothing has made one yet: looking at a migration makes nothing."""
        from dualgauge.ledger.errors import NoLedger
        from dualgauge.ledger.ledger import Ledger

        try:
            ledger = Ledger.open(self.ledger_url, create=False)
        except NoLedger:
            yield None
            return
        with ledger:
            yield ledger

    @property
    def log_place(self) -> Path | str:
        """Where the log is, for messages: a folder, or the address of an object store."""
        from dualgauge.eventlog.settings import is_address

        path = self.settings.log.path
        return path if is_address(path) else self.project.path(path)

    def log(self, ledger: Ledger | None = None) -> EventLog:
        """The event log; with a ledger, commits are kept there too."""
        from dualgauge.eventlog.table.open import open_log
        from dualgauge.eventlog.table.storage import place_of

        settings = self.settings.log
        return open_log(place_of(settings.path, settings.storage_options, self.project.root), settings, ledger)

    def store(self) -> Store:
        """What answers reads: builds, and v1's adopted tables. Raises ViewError where a file adopts a table wrongly."""
        adopting = self.adopting()
        return self.builds() if adopting is None else adopting

    def builds(self) -> SqliteStore:
        """The serving store by itself: what dualgauge built, and no adopted table."""
        from dualgauge.stores.sqlite.store import open_store

        return open_store(self.settings.store, self.project.root)

    def adopting(self) -> AdoptingStore | None:
        """The store where v1 has adopted tables; None where it has none. Loads no engine, and connects to nothing."""
        from dualgauge.views.header import adoptions

        found = adoptions(self.project.views(Side.V1, self.settings.paths))
        if not found:
            return None
        from dualgauge.stores.adopted.adopting import AdoptingStore

        return AdoptingStore(self.builds(), found, self.settings.store.adopted_url, self.project.root)

    def adopted_positions(self) -> dict[str, Position | None]:
        """
        How far each adopted view is; None where nobody can tell. A rollback asks: nothing raises, nothing heavy loads.

        Where the database does not answer, or cannot be opened, all of them are unknown.
        """
        from dualgauge.views.header import adoptions

        names: dict[str, Position | None] = {}
        try:
            names = dict.fromkeys(adoptions(self.project.views(Side.V1, self.settings.paths)))
            adopting = self.adopting()
            return adopting.positions() if adopting else {}
        except (DualgaugeError, OSError):
            return names

    def queried(self, plans: Sequence[Plan], side: Side, name: str) -> Queried:
        """Where a view of a side can be read by another library's SQL: what readers see, or the adopted table."""
        from dualgauge.stores.external.sql_location import in_database, in_file

        view = next(one.view for one in plans if (one.view.side, one.view.name) == (side, name))
        if view.adopted:
            return in_database(self.settings.store.adopted_url, view.adopted, view.key, root=self.project.root)
        return in_file(self.builds().databases.file(side), view.name, view.key)

    def views(self, engine: Engine) -> list[ViewDefinition]:
        """The view files of both sides, v1's first. Raises ViewError."""
        from dualgauge.views.definition import read_folder

        columns = self.settings.log.all_columns
        adopting = self.adopting()
        declared = adopting.declared if adopting else None
        return [
            one
            for side in Side
            for one in read_folder(engine, self.project.views(side, self.settings.paths), side, columns, declared)
        ]

    def plans_of(self, engine: Engine) -> list[Plan]:
        """How each view of both sides is kept. Raises ViewError."""
        from dualgauge.views.plan import plan

        return [plan(engine, one, self.settings.log.all_columns) for one in self.views(engine)]

    def pairs_of(self, plans: Sequence[Plan], names: Sequence[str] = ()) -> list[Pair]:
        """The comparators of some names, or all, resolved against the views; see `comparison.runs.run.pairs`."""
        from dualgauge.comparison.content.comparator import Comparator
        from dualgauge.comparison.runs.run import pairs
        from dualgauge.project.content import collect

        return pairs(collect(self.project.path(self.settings.paths.comparators), Comparator), plans, names)

    def present(self, ledger: Ledger | None, plans: Sequence[Plan] | None = None) -> Present:
        """What a decision on a move forward is made from, as it is now; `plans` where the views were read already."""
        from dualgauge.cutover.gates.inputs import find
        from dualgauge.ledger.seal import Evidence

        if plans is None:
            with self.engine() as engine:
                plans = self.plans_of(engine)
        return find(
            self.store(), [one.view for one in plans], lambda: self.pairs_of(plans),
            ledger.evidence(self.settings.migration) if ledger else Evidence(),
            head=self.log().head().last, configuration_hash=self.configuration_hash, at=self.clock(),
            waiting=ledger.quarantine.waiting() if ledger else 0,
        )  # fmt: skip

    def present_if_readable(self, ledger: Ledger | None, plans: Sequence[Plan] | None = None) -> Present | None:
        """The same; None where a file of the project cannot be read: what does not need it can still be told."""
        try:
            return self.present(ledger, plans)
        except DualgaugeError:
            return None

    def runs(self) -> list[EvidenceLine]:
        """All runs that make evidence, newest first. A project that cannot be read now still has them."""
        from dualgauge.cutover.gates.evidence_list import lines

        with self.ledger_if_any() as ledger:
            if ledger is None:
                return []
            present = self.present_if_readable(ledger)
            evidence = present.evidence if present else ledger.evidence(self.settings.migration)
            return lines(evidence, present, self.settings.gates.limits)

"""
Access: opens what a project's settings name, each thing for as long as it is used.

Heavy rooms are loaded where they are opened: a read loads no engine.
"""

from __future__ import annotations

import getpass
import os
import socket
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dualgauge.ledger.settings import resolve_url
from dualgauge.model import Clock, Progress, Side, canonical_json, sha256, silent, utc_now

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dualgauge.engines.duck import Engine
    from dualgauge.eventlog.table import EventLog
    from dualgauge.ledger.ledger import Ledger
    from dualgauge.project.project import Project
    from dualgauge.settings import Settings
    from dualgauge.stores.sqlite import SqliteStore
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
    """One project. Values come in here: the clock, who acts, and the engine's memory limit."""

    project: Project
    settings: Settings
    clock: Clock = utc_now
    who: str = field(default_factory=acting)
    memory_limit: str = "1GB"
    progress: Progress = silent

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
        """Fingerprint of the project's settings, which evidence is bound to."""
        return sha256(canonical_json(self.project.raw))

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

    def log(self, ledger: Ledger | None = None) -> EventLog:
        """The event log; with a ledger, commits are kept there too."""
        from dualgauge.eventlog.table import open_log

        return open_log(self.project.path(self.settings.log.path), self.settings.log, ledger)

    def store(self) -> SqliteStore:
        """The serving store, for point reads of an application that has the project at hand."""
        from dualgauge.stores.sqlite import open_store

        return open_store(self.settings.store, self.project.root)

    def views(self, engine: Engine) -> list[ViewDefinition]:
        """The view files of both sides, v1's first. Raises ViewError."""
        from dualgauge.views.definition import read_folder

        columns = self.settings.log.all_columns
        return [
            one
            for side in Side
            for one in read_folder(engine, self.project.views(side, self.settings.paths), side, columns)
        ]

    def plans_of(self, engine: Engine) -> list[Plan]:
        """How each view of both sides is kept. Raises ViewError."""
        from dualgauge.views.plan import plan

        return [plan(engine, one, self.settings.log.all_columns) for one in self.views(engine)]

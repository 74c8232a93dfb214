"""`[tool.dualgauge]` as a whole: each room's part of the settings, and the migration's name."""

from __future__ import annotations

from typing import Self

from pydantic import Field, field_validator, model_validator

from dualgauge.cutover.settings import GateSettings
from dualgauge.eventlog.columns import CAUSED_BY
from dualgauge.eventlog.settings import LogSettings, SourceSettings
from dualgauge.ledger.settings import LedgerSettings
from dualgauge.model import nearest
from dualgauge.notifications.settings import ChannelSettings
from dualgauge.project.settings import EVIDENCE, Paths, Section
from dualgauge.schedules.settings import ScheduleSettings
from dualgauge.stores.settings import StoreSettings


class Settings(Section):
    """Everything under `[tool.dualgauge]`."""

    migration: str = Field(
        description="the migration's name in the ledger; not empty, no colon", json_schema_extra=EVIDENCE
    )
    log: LogSettings = Field(default_factory=LogSettings)
    sources: list[SourceSettings] = Field(default_factory=list)
    store: StoreSettings = Field(default_factory=StoreSettings)
    ledger: LedgerSettings = Field(default_factory=LedgerSettings)
    gates: GateSettings = Field(default_factory=GateSettings)
    paths: Paths = Field(default_factory=Paths)
    schedules: list[ScheduleSettings] = Field(default_factory=list)
    channels: list[ChannelSettings] = Field(default_factory=list)

    @field_validator("migration")
    @classmethod
    def _named(cls, name: str) -> str:
        if not name.strip() or ":" in name:
            message = (
                "a migration's name is not empty and has no colon (it is half of the salt that units are hashed with)"
            )
            raise ValueError(message)
        return name

    @field_validator("sources")
    @classmethod
    def _apart(cls, sources: list[SourceSettings]) -> list[SourceSettings]:
        names = [one.name for one in sources]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            message = f"two sources are called {twice[0]!r}; give each a name of its own"
            raise ValueError(message)
        return sources

    @field_validator("schedules")
    @classmethod
    def _told_apart(cls, schedules: list[ScheduleSettings]) -> list[ScheduleSettings]:
        names = [one.name for one in schedules]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            message = f"two schedules are called {twice[0]!r}; give each a name of its own"
            raise ValueError(message)
        return schedules

    @field_validator("channels")
    @classmethod
    def _each_its_name(cls, channels: list[ChannelSettings]) -> list[ChannelSettings]:
        names = [one.name for one in channels]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            message = f"two channels are called {twice[0]!r}; give each a name of its own"
            raise ValueError(message)
        return channels

    @model_validator(mode="after")
    def _reached(self) -> Self:
        known = [one.name for one in self.channels]
        for schedule in self.schedules:
            for name in schedule.notify:
                if name not in known:
                    message = (
                        f"schedule {schedule.name!r} notifies {name!r}{nearest(name, known)}, and no "
                        "[[tool.dualgauge.channels]] is called so; write one, or leave it out"
                    )
                    raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _caused(self) -> Self:
        for one in self.sources:
            if one.caused_by and CAUSED_BY not in self.log.columns:
                message = (
                    f"source {one.name!r} says caused_by = {one.caused_by!r}, and the log has no such column; "
                    f'declare {CAUSED_BY} = "VARCHAR" in [tool.dualgauge.log.columns]'
                )
                raise ValueError(message)
        return self

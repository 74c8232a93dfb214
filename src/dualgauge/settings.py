"""`[tool.dualgauge]` as a whole: each room's part of the settings, and the migration's name."""

from __future__ import annotations

from typing import Self, TypeVar

from pydantic import Field, ValidationInfo, field_validator, model_validator

from dualgauge.cutover.settings import GateSettings
from dualgauge.eventlog.columns import CAUSED_BY
from dualgauge.eventlog.settings import LogSettings, SourceSettings
from dualgauge.ledger.settings import LedgerSettings
from dualgauge.model import nearest
from dualgauge.notifications.settings import ChannelSettings
from dualgauge.project.settings import EVIDENCE, Paths, Section
from dualgauge.schedules.settings import ScheduleSettings
from dualgauge.stores.settings import StoreSettings

Named = TypeVar("Named", SourceSettings, ScheduleSettings, ChannelSettings)


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

    @field_validator("sources", "schedules", "channels")
    @classmethod
    def _apart(cls, named: list[Named], info: ValidationInfo) -> list[Named]:
        names = [one.name for one in named]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            message = f"two {info.field_name} are called {twice[0]!r}; give each a name of its own"
            raise ValueError(message)
        return named

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

"""`[tool.dualgauge.store]`."""

from __future__ import annotations

from typing import Literal

from pydantic import field_validator

from dualgauge.project.settings import Section


class StoreSettings(Section):
    """The database that answers reads."""

    url: str = "sqlite:///.dualgauge/views_{side}.db"
    migrate: Literal["auto", "manual"] = "auto"

    @field_validator("url")
    @classmethod
    def _served_by_something(cls, url: str) -> str:
        if not url.startswith("sqlite:///"):
            message = (
                f"{url.partition(':')[0]!r} stores are not supported yet; this version serves from SQLite: "
                "sqlite:///PATH with {side} in it"
            )
            raise ValueError(message)
        if "{side}" not in url:
            message = "a SQLite store is one file a side: the url needs {side} in it, as in sqlite:///.dualgauge/views_{side}.db"
            raise ValueError(message)
        return url

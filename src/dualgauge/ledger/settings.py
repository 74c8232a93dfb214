"""The ledger's part of the project settings: `[tool.dualgauge.ledger]`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from dualgauge.ledger.errors import UNREADABLE, BadLedgerUrl
from dualgauge.project.environment import expand

if TYPE_CHECKING:
    from pathlib import Path


class LedgerSettings(BaseModel):
    """Where the ledger is. A relative SQLite path counts from the project's folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = Field(
        default="sqlite:///.dualgauge/ledger.db",
        description="the ledger: SQLite or PostgreSQL, as SQLAlchemy writes it; `${NAME}` is an environment variable",
    )


def resolve_url(url: str, root: Path) -> str:
    """
    Write a relative SQLite path as an absolute one below `root`; every other URL stays as it is.

    `${NAME}` becomes the value of the environment variable. The result holds its password: it is for opening, not for
    showing.

    Raises:
        BadLedgerUrl: this is no database URL.
        NoVariable: it names an environment variable that is not set.
    """
    url = expand(url, "tool.dualgauge.ledger.url")
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise BadLedgerUrl(UNREADABLE) from None
    path = parsed.database
    if parsed.get_backend_name() != "sqlite" or not path or path == ":memory:" or path.startswith("file:"):
        return url
    return parsed.set(database=str((root / path).absolute())).render_as_string(hide_password=False)

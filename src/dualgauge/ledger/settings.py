"""The ledger's part of the project settings: `[tool.dualgauge.ledger]`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from dualgauge.ledger.errors import BadLedgerUrl

if TYPE_CHECKING:
    from pathlib import Path


class LedgerSettings(BaseModel):
    """Where the ledger is. A relative SQLite path counts from the project's folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = "sqlite:///.dualgauge/ledger.db"


def resolve_url(url: str, root: Path) -> str:
    """
    Write a relative SQLite path as an absolute one below `root`; every other URL stays as it is.

    The result still holds its password: it is for opening, not for showing.

    Raises:
        BadLedgerUrl: this is no database URL.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as fault:
        raise BadLedgerUrl("it cannot be read as one") from fault
    path = parsed.database
    if parsed.get_backend_name() != "sqlite" or not path or path == ":memory:" or path.startswith("file:"):
        return url
    return parsed.set(database=str((root / path).absolute())).render_as_string(hide_password=False)

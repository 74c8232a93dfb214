"""What a ledger says of one migration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class MigrationState:
    """
    One migration as it is. A migration never seen is in stage `off` at revision 0.

    `share_ppm` is the share of reads on v2, 0 to 1,000,000. `revision` counts its moves: it is what a
    compare-and-set compares. `rollout` is half of the salt that units are hashed with. `killed`: all reads go to v1
    until that is taken back, whatever the share is. `canary` is the JSON of the canary.yaml in force; empty for none.
    `bases` are, by view, the keys under which what comes of reads is counted, where a router read the state.
    """

    name: str
    stage: str = "off"
    share_ppm: int = 0
    rollout: str = "v2"
    revision: int = 0
    changed_at: datetime | None = None
    killed: bool = False
    canary: str = ""
    bases: tuple[tuple[str, str], ...] = ()

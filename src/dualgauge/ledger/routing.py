"""
What routing goes by beside stage and share: whether a migration is killed, and the canary.yaml in force.

Each change is a move in the journal that leaves stage and share as they are. That of an applied file names its digest,
so that what routing was at any time can be told, and what other hands wrote is found.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import select

from dualgauge.ledger.errors import NotKept
from dualgauge.ledger.journal import TamperedRow
from dualgauge.ledger.tables import CANARY, ROUTING
from dualgauge.model import sha256
from dualgauge_router.decision import READING_V2

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy.engine import Connection

    from dualgauge.ledger.values import MigrationState

SINCE: Final = "0008"
"""The first revision that has the tables."""

_DIGEST: Final = "canary:"
_WAS: Final = "was:"

CHANGED: Final = "changed by other hands"
"""What stands for the text of a file in force that is gone, or not what was applied: no file has such a text."""


class RoutingVerb(StrEnum):
    """What the journal calls a change of routing."""

    KILL = "kill"
    UNKILL = "unkill"
    APPLY = "apply"


class RoutingNow(NamedTuple):
    """What a migration is routed by: `canary` is the digest of the file in force; empty for none."""

    killed: bool = False
    canary: str = ""

    def after(self, verb: object, evidence: object) -> RoutingNow:
        """What it is after a move of the journal: one of another kind changes nothing."""
        match verb:
            case RoutingVerb.KILL | RoutingVerb.UNKILL:
                return self._replace(killed=verb == RoutingVerb.KILL)
            case RoutingVerb.APPLY:
                named = evidence if isinstance(evidence, list | tuple) else ()
                digests = (str(each).removeprefix(_DIGEST) for each in named if str(each).startswith(_DIGEST))
                return self._replace(canary=next(digests, ""))
            case _:
                return self


def evidence_for(text: str) -> tuple[str, ...]:
    """What the journal's row of an applied file holds of it; nothing where a file is taken out of force."""
    return (_DIGEST + sha256(text),) if text else ()


def runs_in(evidence: Iterable[str]) -> tuple[str, ...]:
    """What of a row's evidence are runs."""
    return tuple(each for each in evidence if not each.startswith((_DIGEST, _WAS)))


def was(routing: RoutingNow) -> str:
    """What the journal's row of a change holds of what it found; a row that found something else was led to by none."""
    return f"{_WAS}{int(routing.killed)}:{routing.canary}"


def stored(connection: Connection, migration: str) -> RoutingNow:
    """What a migration is routed by, as it stands in the table."""
    row = connection.execute(select(ROUTING).where(ROUTING.c.migration == migration)).first()
    return RoutingNow(bool(row.killed), str(row.canary)) if row else RoutingNow()


def read(connection: Connection, revision: str, migration: str) -> tuple[bool, str]:
    """Whether a migration is killed, and the text of the file in force: "" for none, CHANGED where it is lost."""
    if revision < SINCE:
        return False, ""
    now = stored(connection, migration)
    return now.killed, (text_of(connection, now.canary) or CHANGED) if now.canary else ""


def write(connection: Connection, after: MigrationState, verb: str) -> None:
    """
    Keep what a migration is routed by after a change, and the text of a file that is applied.

    Raises:
        NotKept: it is not there then.
    """
    digest = stored(connection, after.name).canary
    if verb == RoutingVerb.APPLY:
        digest = sha256(after.canary) if after.canary else ""
        # What other hands made of the text is mended.
        connection.execute(CANARY.delete().where(CANARY.c.digest == digest))
        if digest:
            connection.execute(CANARY.insert().values(digest=digest, text=after.canary))
    connection.execute(ROUTING.delete().where(ROUTING.c.migration == after.name))
    connection.execute(ROUTING.insert().values(migration=after.name, killed=int(after.killed), canary=digest))
    if read(connection, SINCE, after.name) != (after.killed, after.canary):
        raise NotKept(f"the routing of {after.name!r}")


def text_of(connection: Connection, digest: str) -> str:
    """The text of a file that was applied once; empty where it is gone, or is not what was applied."""
    text = connection.scalar(select(CANARY.c.text).where(CANARY.c.digest == digest))
    return text if isinstance(text, str) and sha256(text) == digest else ""


@dataclass(frozen=True, slots=True)
class RoutingSaid:
    """
    What the journal says of routing: for each migration what it is since, and each file that was applied.

    Both with the number of the row that said so last. `loose` are the rows that found what none before them left: what
    other hands wrote is made good by no later change, but for one made while no read is on v2.
    """

    now: dict[str, tuple[int, RoutingNow]] = field(default_factory=dict)
    applied: dict[str, int] = field(default_factory=dict)
    loose: dict[str, int] = field(default_factory=dict)

    def add(self, seq: int, fields: Mapping[str, Any]) -> None:
        """Take in a move: one of another kind says nothing."""
        migration, verb, evidence = fields["migration"], fields["verb"], fields["evidence"]
        if verb not in tuple(RoutingVerb):
            return
        before = self.now.get(migration, (0, RoutingNow()))[1]
        if was(before) not in evidence:
            self.loose.setdefault(migration, seq)
        if fields["from_stage"] not in READING_V2:
            self.loose.pop(migration, None)
        routing = before.after(verb, evidence)
        self.now[migration] = (seq, routing)
        if routing.canary:
            self.applied[routing.canary] = seq


def verify(connection: Connection, revision: str, said: RoutingSaid) -> TamperedRow | None:
    """
    The first migration that is routed otherwise than the journal says, or file that is not what was applied.

    Args:
        connection: a snapshot.
        revision: the ledger's.
        said: what the journal says.
    """
    if revision < SINCE:
        return None
    for name, seq in said.loose.items():
        return TamperedRow(seq, f"row {seq} found {name!r} routed otherwise than the journal left it: by other hands")
    rows: dict[Any, tuple[Any, ...]] = {row[0]: tuple(row[1:]) for row in connection.execute(select(ROUTING))}
    for name in sorted(said.now.keys() | rows.keys(), key=str):
        seq, routing = said.now.get(name, (0, RoutingNow()))
        if rows.get(name) != (int(routing.killed), routing.canary):
            return TamperedRow(seq, f"the routing of {name!r} is not what the journal left: it was changed by hand")
    texts: dict[Any, Any] = dict(connection.execute(select(CANARY)).all())
    for digest in sorted(said.applied.keys() | texts.keys(), key=str):
        text = texts.get(digest)
        if digest not in said.applied or not isinstance(text, str) or sha256(text) != digest:
            named = f"the canary.yaml {str(digest)[:12]}"
            what = "is gone" if digest not in texts else "is not what was applied"
            return TamperedRow(said.applied.get(digest, 0), f"{named} {what}: it was changed by hand")
    return None

"""
What a touched diff compares: the keys that changed since a run before, those that differed then, and some of the rest.

A build that a tail brings forward changes by the events behind its position alone, and each event changes no row but
those of the keys that it touches. What a run compared is therefore still so, but for these. The rest is compared again
in turns, a stretch at each run, so that what changed without an event comes to light as well.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Self

from dualgauge.comparison.engine.relations import scratch
from dualgauge.comparison.runs.binding import bound
from dualgauge.comparison.runs.run_files import MISMATCHES, RESULT, FileState, file_states
from dualgauge.comparison.runs.trace import touched
from dualgauge.engines.parquet_files import whole_parquet
from dualgauge.ledger.values import TOUCHED, EvidenceKind, evidence_key, time_text
from dualgauge.model import AsJson, Outcome, Position, Side, plural, quote
from dualgauge.stores.serving.port import Only
from dualgauge.views.plan.tracing import Tracing, proven

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pyarrow as pa

    from dualgauge.comparison.runs.keys_kept import KeysKept
    from dualgauge.comparison.runs.pairs import Pair
    from dualgauge.engines.duck import Engine
    from dualgauge.eventlog.table.event_log import EventLog
    from dualgauge.ledger.seal import Evidence
    from dualgauge.ledger.values import EvidenceRun
    from dualgauge.stores.serving.checkpoints import Checkpoint
    from dualgauge.stores.serving.port import Snapshot

VERIFIED: Final = "verified.json"
"""The file of a touched run that says when each part of the keys was last compared."""

SWEEP: Final = 50_000
"""Rows of the rest that a run compares again, unless told otherwise: a fifth of a second's work."""

_KEYS: Final = frozenset({
    "BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "VARCHAR", "UUID",
    "DATE", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP WITH TIME ZONE",
})  # fmt: skip
"""The types of keys that both stores keep in one order, which is Python's too."""

_FEW: Final = 20_000
_MOST: Final = 10
"""More keys than one of so many rows, and than a few, are compared sooner where all rows are read."""

Key = tuple[Any, ...]


class InFull(Exception):
    """Why a diff has to look at every key. It never leaves this room."""


@dataclass(frozen=True, slots=True)
class Touched(AsJson):
    """
    What a touched diff looked at.

    The keys that `changed` since run `since`, which is of `position`, those that `differed` in it, and of all rows the
    next ones in turn, `sweep` at most. `full` is the last run that compared every key. `oldest` is since when each key
    was compared at least once, as ISO text in UTC.
    """

    since: str
    position: Position
    changed: int
    differed: int
    sweep: int
    full: str
    oldest: str

    @property
    def line(self) -> str:
        """What a run says of it beside its counts."""
        changed = f"{plural(self.changed, 'key')} changed since position {self.position:,}"
        return (
            f"{changed}, {self.differed:,} differed there; of all rows {self.sweep:,} a run come in turn; each key was "
            f"compared since {shown(self.oldest)}"
        )


def shown(time: str) -> str:
    """A time of the ledger's, to the minute."""
    return f"{time[:16].replace('T', ' ')}Z"


@dataclass(frozen=True, slots=True)
class Part:
    """The keys up to one, as the store keeps it, behind those of the part before. None: up to the last."""

    upto: Key | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Coverage:
    """
    When the keys of a pair were last compared, part by part in the order of the store.

    `rows` were there when all were. The next stretch begins behind `cursor`.
    """

    full: str
    rows: int
    parts: tuple[Part, ...]
    cursor: Key | None = None

    @property
    def oldest(self) -> datetime:
        """When the key was compared that was compared longest ago."""
        return min(one.at for one in self.parts)

    def swept(self, upto: Key | None, at: datetime) -> Self:
        """The same once the keys behind the cursor and up to another have been compared."""
        before = [one for one in self.parts if _ends_by(one, self.cursor)]
        behind = [] if upto is None else [one for one in self.parts if not _ends_by(one, upto)]
        return replace(self, parts=(*before, Part(upto, at), *behind), cursor=upto)

    def to_json(self) -> dict[str, object]:
        """All of it, as `from_json` takes it."""
        parts = [{"upto": one.upto, "at": one.at.isoformat()} for one in self.parts]
        return {"full": self.full, "rows": self.rows, "cursor": self.cursor, "parts": parts}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Self:
        """What `to_json` gave."""
        parts = tuple(Part(_key(one["upto"]), datetime.fromisoformat(one["at"])) for one in kept["parts"])
        return cls(str(kept["full"]), int(kept["rows"]), parts, _key(kept["cursor"]))


def _ends_by(part: Part, key: Key | None) -> bool:
    return part.upto is not None and key is not None and part.upto <= key


def _key(kept: list[Any] | None) -> Key | None:
    return None if kept is None else tuple(kept)


@dataclass(slots=True)
class Since:
    """
    Chooses what a diff of a pair compares, once both sides are known; see `pin`.

    Args:
        engine, log: where the events are.
        pair: what is compared.
        evidence: the runs there are, to go on from the newest of exactly this.
        root: what their folders lie below.
        basis: what all evidence is bound to.
        at: when the diff began.
        sweep: how many rows of the rest are compared again.

    Afterwards `found` is what was chosen, or `in_full` says why all of it is to be compared.
    """

    engine: Engine
    log: EventLog
    pair: Pair
    evidence: Evidence
    root: Path
    basis: Mapping[str, object]
    at: datetime
    sweep: int = SWEEP
    found: Touched | None = None
    coverage: Coverage | None = None
    in_full: str = ""

    def select(
        self,
        builds: Mapping[Side, Mapping[str, Checkpoint]],
        snapshots: Mapping[Side, Snapshot],
        columns: Mapping[Side, Mapping[str, Mapping[str, str]]],
    ) -> Mapping[Side, Only] | None:
        """The rows of each side's one view that are to be compared; None where all are."""
        try:
            return self._selected(builds, snapshots, columns)
        except InFull as reason:
            self.in_full = str(reason)
            return None

    def _selected(
        self,
        builds: Mapping[Side, Mapping[str, Checkpoint]],
        snapshots: Mapping[Side, Snapshot],
        columns: Mapping[Side, Mapping[str, Mapping[str, str]]],
    ) -> Mapping[Side, Only]:
        if adopted := [f"{side.value}.{name}" for side in Side for name in builds[side] if builds[side][name].adopted]:
            raise InFull(f"{adopted[0]} is a table of your own, and nobody knows what changed in it")
        kept = self.pair.keys_kept
        if isinstance(kept, str):
            raise InFull(kept)
        for one in kept.values():
            if builds[one.view.side][one.view.name].definition_hash != one.view.hash:
                raise InFull(f"the file of {one.view.label} was edited since the build that readers get")
        tracings = [_traced(one) for one in kept.values()]
        kinds = _kinds(kept, columns)
        (position,) = {one.position for views in builds.values() for one in views.values()}
        assert position is not None  # noqa: S101  (an adopted table alone has none)
        run = self._base(builds)
        if run.position is None or run.position > position:
            raise InFull(f"run {run.run_id}, the last one, is of a later position")
        coverage = self._coverage(run)
        with scratch(self.engine) as space:
            keys = space.table("touched", self._keys(tracings, kinds, run, position))
            total, changed, differed = self.engine.row(
                f"SELECT count(*), count(*) FILTER (changed), count(*) FILTER (differed) FROM {keys}"
            )
            if total > max(_FEW, coverage.rows // _MOST):
                raise InFull(f"{plural(total, 'key')} changed or differed: all rows are compared sooner")
            first = kept[Side.V1].view
            upto = snapshots[Side.V1].place(first.name, first.key, coverage.cursor, self.sweep)
            only = {
                side: Only(
                    one.view.key, self._stored(one, snapshots[side], kinds, keys), after=coverage.cursor, upto=upto
                )
                for side, one in kept.items()
            }
        self.coverage = coverage.swept(upto, self.at)
        oldest = time_text(self.coverage.oldest)
        self.found = Touched(run.run_id, run.position, changed, differed, self.sweep, coverage.full, oldest)
        return only

    def _base(self, builds: Mapping[Side, Mapping[str, Checkpoint]]) -> EvidenceRun:
        """The newest run of exactly this that could tell."""
        key = evidence_key(bound(self.pair, builds, self.basis))
        for one in reversed(self.evidence.sealed):
            told = one.entry
            if (told.kind, told.name, told.evidence_key) != (EvidenceKind.DIFF, self.pair.name, key):
                continue
            if told.verdict is not Outcome.INCONCLUSIVE:
                run: EvidenceRun | None = one.run
                if run is None:
                    raise InFull(f"run {told.run}, the last of exactly this, is not what was sealed")
                return run
        raise InFull("no diff of exactly what readers get now has told all of it before")

    def _coverage(self, run: EvidenceRun) -> Coverage:
        """When the keys were compared that a run vouches for; what it found is known by its files."""
        folder = self.root / str(run.folder)
        partly = bool(run.summary and run.summary.get(TOUCHED))
        states = file_states(folder, run.summary)
        for name in (RESULT, MISMATCHES, *([VERIFIED] if partly else [])):
            if (state := states.get(name, FileState.GONE)) is not FileState.UNCHANGED:
                raise InFull(f"the file {name} of run {run.run_id}, the last one, is {state.value}")
        told = json.loads((folder / RESULT).read_text(encoding="utf-8"))
        if told["key_problems"] or told["in_flight"] or any(one["lost"] for one in told["schema"]):
            raise InFull(f"run {run.run_id}, the last one, found what no key says: {told['why'][0]}")
        coverage = (
            Coverage.from_json(json.loads((folder / VERIFIED).read_text(encoding="utf-8")))
            if partly
            else Coverage(run.run_id, max(told["rows_v1"], told["rows_v2"]), (Part(None, run.started_at),))
        )
        for one in self.pair.comparator.expected:
            if coverage.oldest.date() <= one.until < self.at.date():
                raise InFull(f"the expected difference {one.reason!r} ended on {one.until}")
        return coverage

    def _keys(
        self, tracings: list[Tracing], kinds: Mapping[str, str], run: EvidenceRun, position: Position
    ) -> str:  # fmt: skip
        """A query of the keys that changed or differed, each once, and which of the two they did."""
        assert run.position is not None  # noqa: S101  (asked before)
        if position > self.log.head().last:
            # Imported and replayed since this command opened the log.
            self.log.refresh()
        names = {name: quote(f"k{at}") for at, name in enumerate(kinds)}
        typed = ", ".join(f"CAST({quote(name)} AS {kind}) AS {names[name]}" for name, kind in kinds.items())
        events = self.log.relation(position, run.position)
        mismatches = whole_parquet(self.engine, [self.root / str(run.folder) / MISMATCHES])
        found = [f"SELECT {typed}, true AS changed, false AS differed FROM ({touched(events, tracings)})"]
        found.append(f"SELECT {typed}, false, true FROM ({mismatches})")
        key = ", ".join(names.values())
        return (
            f"SELECT {key}, bool_or(changed) AS changed, bool_or(differed) AS differed "
            f"FROM ({' UNION ALL '.join(found)}) WHERE {' AND '.join(f'{one} IS NOT NULL' for one in names.values())} "
            f"GROUP BY {key}"
        )

    def _stored(self, kept: KeysKept, snapshot: Snapshot, kinds: Mapping[str, str], keys: str) -> pa.Table:
        """The keys as a side's store has them."""
        places = {name: f"k{at}" for at, name in enumerate(kinds)}
        own = {name: kinds[called] for name, called in kept.names.items()}
        named = ", ".join(f"{quote(places[called])} AS {quote(name)}" for name, called in kept.names.items())
        return self.engine.arrow(
            f"SELECT {', '.join(snapshot.bound(kept.view.name, own))} FROM (SELECT {named} FROM {keys})"
        )


def _traced(kept: KeysKept) -> Tracing:
    """Which events touch a key, as the comparator calls it, by the view's SELECT alone."""
    found = proven(kept.view)
    if found is None:
        raise InFull(f"the SELECT of {kept.view.label} does not tell which events touch a key")
    return replace(found, key={called: found.key[name] for name, called in kept.names.items()})


def _kinds(
    kept: Mapping[Side, KeysKept], columns: Mapping[Side, Mapping[str, Mapping[str, str]]]
) -> dict[str, str]:  # fmt: skip
    """The types of the key's columns, by the comparator's names of them, in the order of the stores."""
    found = []
    for side, one in kept.items():
        there = columns[side][one.view.name]
        found.append({called: there[name] for name, called in one.names.items()})
    if found[0] != found[1]:
        raise InFull("the key is of one type in v1 and of another in v2")
    for name, kind in found[0].items():
        if kind not in _KEYS:
            raise InFull(f"{name} of the key is {kind}, which a store does not keep in an order that is known")
    return found[0]

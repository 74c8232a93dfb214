"""
What reads came to, as routers of applications wrote it: counts, the different reads that were judged, and samples.

It is kept under the key of what it is evidence for; a router asks which key that is at each of its looks.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, case, func, inspect, select, text, tuple_

from dualgauge.ledger.tables import READ_BASIS, READ_COUNT, READ_KEY, READ_PAIR, READ_SAMPLE
from dualgauge.ledger.values import evidence_key, time_text
from dualgauge.model import canonical_json

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Select, Table
    from sqlalchemy.engine import Connection

    from dualgauge.ledger.access import Access

_TOGETHER: Final = 1_000
"""Rows that are forgotten in one transaction: a kill does not wait for more."""

_PAIRS: Final = 200
"""Pairs that are judged together."""

_SAMPLES: Final = 20
"""Samples that are kept of a view."""


@dataclass(frozen=True, slots=True)
class ReadCount:
    """How many reads of a view came to an outcome, at a share; `side` answered, `kind` is read or shadow."""

    view: str
    share_ppm: int
    kind: str
    side: str
    outcome: str
    reads: int


@dataclass(frozen=True, slots=True)
class ReadsJudged:
    """
    How many different reads of a view were judged at a share.

    `bad` are those of which the first was bad, `ever_bad` those of which any was.
    """

    view: str
    share_ppm: int
    reads: int
    bad: int
    ever_bad: int


@dataclass(frozen=True, slots=True)
class ReadSample:
    """A read whose answers differed, in the columns that are named; both answers as rows, cut to what is looked at."""

    view: str
    outcome: str
    at: str
    columns: tuple[str, ...]
    v1: tuple[object, ...]
    v2: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class ReadBasis:
    """What the reads of a view are counted for, and the key of that."""

    key: str
    bound: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ReadsNow:
    """What reads came to, for what they are counted for now: `bases`, by view."""

    bases: Mapping[str, ReadBasis]
    counts: tuple[ReadCount, ...] = ()
    judged: tuple[ReadsJudged, ...] = ()
    samples: tuple[ReadSample, ...] = ()
    waiting: Mapping[str, int] = field(default_factory=dict)
    """By view, the pairs of answers that wait to be judged."""


class PairVerdict(StrEnum):
    """What a pair of answers that differ comes to: as expected, a mismatch, or nothing that can be judged."""

    EXPECTED = "expected"
    MISMATCHED = "mismatched"
    COMPARATOR_ERROR = "comparator_error"


@dataclass(frozen=True, slots=True)
class ReadPair:
    """Two answers of one read that differ, whole: rows as JSON, with each value as a text."""

    evidence_key: str
    view: str
    share_ppm: int
    read_hash: str
    answers: str
    v1: str
    v2: str


_JUDGED: Final = text(
    "INSERT INTO read_key (migration, evidence_key, view, share_ppm, read_hash, bad, bad_later) "
    "VALUES (:migration, :evidence_key, :view, :share_ppm, :read_hash, :bad, 0) "
    "ON CONFLICT (migration, evidence_key, view, share_ppm, read_hash) "
    "DO UPDATE SET bad_later = CASE WHEN excluded.bad > 0 THEN 1 ELSE read_key.bad_later END"
)

_SAMPLED: Final = text(
    "INSERT INTO read_sample (migration, evidence_key, view, share_ppm, read_hash, outcome, at, columns, v1, v2) "
    "SELECT :migration, :evidence_key, :view, :share_ppm, :read_hash, :outcome, :at, :columns, :v1, :v2 "
    "WHERE (SELECT count(*) FROM read_sample WHERE migration = :migration AND evidence_key = :evidence_key "
    "AND view = :view) < :most ON CONFLICT DO NOTHING"
)
"""Routers add to these tables at the same time, under no lock of dualgauge's."""


class Reads:
    """The reads of one migration. Each call is one transaction, but for what is forgotten."""

    def __init__(self, access: Access, migration: str) -> None:
        self._access, self._migration = access, migration

    def count_for(self, bases: Mapping[str, Mapping[str, object]], *, at: datetime) -> None:
        """
        Have routers count the reads of each view for this from now on, and those of no other view.

        What is counted for the same already goes on. What was counted for something else is forgotten, also where that
        comes back: a router may have looked a moment too late, and have counted reads of what came between.
        """
        with self._access.writing() as connection:
            before = _bases(connection, self._migration)
            new = {view: bound for view, bound in bases.items() if view not in before or before[view].bound != bound}
            for view in before.keys() - bases.keys() | new.keys():
                mine = and_(READ_BASIS.c.migration == self._migration, READ_BASIS.c.view == view)
                connection.execute(READ_BASIS.delete().where(mine))
            for view, bound in new.items():
                key = evidence_key({**bound, "since": time_text(at)})
                row = {"migration": self._migration, "view": view, "evidence_key": key}
                connection.execute(READ_BASIS.insert().values(**row, bound=canonical_json(bound)))
            kept = {one.key for one in _bases(connection, self._migration).values()}
        for table in (READ_COUNT, READ_KEY, READ_PAIR, READ_SAMPLE):
            while self._forget(table, kept):
                pass

    def waiting(self, views: Collection[str]) -> list[ReadPair]:
        """Some of the pairs of answers of views that wait to be judged, for what is counted now; by view, and time."""
        of = READ_PAIR.c
        with self._access.reading() as connection:
            if not inspect(connection).has_table(READ_PAIR.name):
                return []
            keys = {view: one.key for view, one in _bases(connection, self._migration).items() if view in views}
            named = (of.evidence_key, of.view, of.share_ppm, of.read_hash, of.answers, of.v1, of.v2)
            found = (
                select(*named)
                .where(self._of(READ_PAIR, keys), of.verdict == "")
                .order_by(of.view, of.at, *named[2:5])
                .limit(_PAIRS)
            )
            return [ReadPair(*row) for row in connection.execute(found)]

    def judge(
        self, verdicts: Sequence[tuple[ReadPair, PairVerdict]], samples: Sequence[ReadSample], at: datetime
    ) -> list[PairVerdict]:
        """
        Keep what became of pairs, each once, and samples of mismatched ones. What cannot be judged is bad too.

        Gives the verdicts that were kept: another process may have judged a pair in the meantime.

        Args:
            verdicts: of pairs that waited; one that waits no more is left as it is.
            samples: in the order of the verdicts, one for each.
            at: the time of the samples.
        """
        of, done = READ_PAIR.c, []
        with self._access.writing() as connection:
            for (pair, verdict), sample in zip(verdicts, samples, strict=True):
                named = {
                    "migration": self._migration, "evidence_key": pair.evidence_key, "view": pair.view,
                    "share_ppm": pair.share_ppm, "read_hash": pair.read_hash,
                }  # fmt: skip
                mine = and_(*(of[name] == value for name, value in named.items()), of.answers == pair.answers)
                settled = READ_PAIR.update().where(mine, of.verdict == "").values(verdict=verdict.value, v1="", v2="")
                if connection.execute(settled).rowcount:
                    done.append(verdict)
                    connection.execute(_JUDGED, {**named, "bad": int(verdict is not PairVerdict.EXPECTED)})
                    if verdict is PairVerdict.MISMATCHED:
                        texts = {name: canonical_json(getattr(sample, name)) for name in ("columns", "v1", "v2")}
                        row = {**named, **texts, "outcome": verdict.value, "at": time_text(at), "most": _SAMPLES}
                        connection.execute(_SAMPLED, row)
        return done

    def now(self) -> ReadsNow:
        """What reads came to, for what they are counted for now; nothing in a ledger from before that."""
        with self._access.reading() as connection:
            if not inspect(connection).has_table(READ_BASIS.name):
                return ReadsNow({})
            bases = _bases(connection, self._migration)
            keys = {view: one.key for view, one in bases.items()}
            return ReadsNow(
                bases,
                # PostgreSQL sums to numbers of any length.
                tuple(
                    ReadCount(row.view, row.share_ppm, row.kind, row.side, row.outcome, int(row[-1]))
                    for row in connection.execute(self._counts(keys))
                ),
                tuple(ReadsJudged(*row[:2], *map(int, row[2:])) for row in connection.execute(self._judged(keys))),
                tuple(
                    ReadSample(*row[:3], *(tuple(json.loads(one)) for one in row[3:]))
                    for row in connection.execute(self._samples(keys))
                ),
                {row.view: int(row[1]) for row in connection.execute(self._waiting(keys))},
            )

    def _counts(self, keys: Mapping[str, str]) -> Select[Any]:
        of = READ_COUNT.c
        names = (of.view, of.share_ppm, of.kind, of.side, of.outcome)
        reads = func.sum(of.reads)
        found = select(*names, reads).where(self._of(READ_COUNT, keys)).group_by(*names)
        # Those that were settling, and are no more, come to none.
        return found.having(reads != 0).order_by(*names)

    def _judged(self, keys: Mapping[str, str]) -> Select[Any]:
        of = READ_KEY.c
        names = (of.view, of.share_ppm)
        ever = func.sum(case((of.bad + of.bad_later > 0, 1), else_=0))
        counted = select(*names, func.count(), func.sum(of.bad), ever)
        return counted.where(self._of(READ_KEY, keys)).group_by(*names).order_by(*names)

    def _samples(self, keys: Mapping[str, str]) -> Select[Any]:
        of = READ_SAMPLE.c
        found = select(of.view, of.outcome, of.at, of["columns"], of.v1, of.v2)
        return found.where(self._of(READ_SAMPLE, keys)).order_by(of.view, of.at, of.read_hash)

    def _waiting(self, keys: Mapping[str, str]) -> Select[Any]:
        of = READ_PAIR.c
        return select(of.view, func.count()).where(self._of(READ_PAIR, keys), of.verdict == "").group_by(of.view)

    def _of(self, table: Table, keys: Mapping[str, str]) -> ColumnElement[bool]:
        pairs = tuple_(table.c.view, table.c.evidence_key).in_(list(keys.items()))
        return and_(table.c.migration == self._migration, pairs)

    def _forget(self, table: Table, kept: set[str]) -> bool:
        """Forget some rows of a table that are for other keys; whether there may be more."""
        names = list(table.primary_key.columns)
        old = select(*names).where(table.c.migration == self._migration, table.c.evidence_key.not_in(kept))
        with self._access.writing() as connection:
            rows = connection.execute(old.limit(_TOGETHER)).all()
            if rows:
                connection.execute(table.delete().where(tuple_(*names).in_([tuple(row) for row in rows])))
        return len(rows) == _TOGETHER


def _bases(connection: Connection, migration: str) -> dict[str, ReadBasis]:
    found = select(READ_BASIS.c.view, READ_BASIS.c.evidence_key, READ_BASIS.c.bound)
    rows = connection.execute(found.where(READ_BASIS.c.migration == migration).order_by(READ_BASIS.c.view))
    return {view: ReadBasis(key, json.loads(bound)) for view, key, bound in rows}

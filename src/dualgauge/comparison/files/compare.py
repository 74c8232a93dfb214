"""
Two relations compared without a project: files, tables of databases, Arrow, data frames, DuckDB relations.

Each side becomes a relation of the engine: Parquet files and Arrow tables are read in place, everything else goes to
Parquet in a scratch folder first, batch by batch, so that no side is ever whole in Python's memory. Nothing is
written elsewhere but the file that the caller names.
"""

from __future__ import annotations

import shlex
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from dualgauge.comparison.content.comparator import Comparator
from dualgauge.comparison.engine.diff import DiffPlan, compare_relations
from dualgauge.comparison.errors import NoKeyColumn, NoKeyGiven, NoSource, UnreadableLocation
from dualgauge.comparison.files.locations import Location, parted
from dualgauge.comparison.files.names import key_text, meant, shown_names
from dualgauge.comparison.files.propose_key import proposed_keys
from dualgauge.comparison.files.read_files import CsvDialect, dialect_of, read_csv, read_json
from dualgauge.comparison.files.read_parquet import read_parquet
from dualgauge.comparison.files.read_tables import read_memory, read_table
from dualgauge.comparison.files.value_types import FileSide, settle
from dualgauge.engines.duck import MEMORY_LIMIT, open_engine
from dualgauge.engines.scratch import scratch
from dualgauge.model import Progress, fold, silent, utc_now

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date

    from dualgauge.comparison.values import Comparison
    from dualgauge.engines.duck import Engine
    from dualgauge_router.rules import Rule

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class SourceDiff:
    """
    A comparison of two sides that are named: by path or by URL, without a password.

    `key` is what rows were paired by; `stated` says that nobody gave it, and both databases state it.
    """

    v1: str
    v2: str
    key: tuple[str, ...]
    stated: bool
    keep: str | None
    seconds: float
    comparison: Comparison

    def to_json(self) -> dict[str, object]:
        """A run of `dualgauge diff`, without what only a project's run has."""
        return {
            "run": None,
            "comparator": None,
            "position": None,
            "evidence_key": None,
            "folder": None,
            "seconds": round(self.seconds, 3),
            "untraced": "",
            "v1": self.v1,
            "v2": self.v2,
            "key": list(self.key),
            "keep": self.keep,
            **self.comparison.to_json(),
        }


@dataclass(frozen=True, slots=True)
class _Brought:
    """A side in the engine; `key` is its primary key where it is a table."""

    side: FileSide
    key: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Sides:
    """
    Both sides in the engine, as the views `v1` and `v2`.

    `keys` are their primary keys, where they are tables. `names` gives for each name that a side spells the one that
    its column has in the views.
    """

    keys: tuple[tuple[str, ...], tuple[str, ...]]
    columns: tuple[list[str], list[str]]
    names: Mapping[str, str]

    def stated_key(self) -> tuple[str, ...]:
        """The primary key that both tables state, or ()."""
        v1, v2 = (tuple(self.names[name] for name in key) for key in self.keys)
        return v1 if {fold(name) for name in v1} == {fold(name) for name in v2} else ()

    def fitted(self, comparator: Comparator) -> Comparator:
        """
        The comparator of whole sides, whose columns may be called by the names that they have there.

        Raises:
            UnclearColumn: a name stands for several columns.
        """
        limits = comparator.limits
        return replace(
            comparator,
            key=tuple(meant("Comparator: key", name, self.names) for name in comparator.keys),
            affected_by=None
            if comparator.affected_by is None
            else self.by_column("Comparator: affected_by", comparator.affected_by),
            rules=self.by_column("Comparator: rules", comparator.rules),
            expected=[
                replace(one, v2_equals=self.by_column("Expected: v2_equals", one.v2_equals))
                for one in comparator.expected
            ],
            limits=replace(limits, columns=self.by_column("Limits: columns", limits.columns)),
        )

    def by_column(self, given_as: str, given: Mapping[str, _T]) -> dict[str, _T]:
        """What is given by column, by the names that the columns have in the views."""
        return {meant(given_as, name, self.names): one for name, one in given.items()}


def compare(
    a: object,
    b: object,
    comparator: Comparator,
    *,
    today: date | None = None,
    samples: int = 10,
    memory_limit: str = MEMORY_LIMIT,
    plan: str | None = None,
) -> Comparison:
    """
    Compare two relations, `a` as v1 and `b` as v2, without a project.

    Args:
        a: a path or a pattern (CSV, JSON, JSONL, Parquet; text files also with .gz), a database's table
            (`shop.db#orders`, `postgresql://host/db#public.orders`), an Arrow table or reader, a pandas data frame, a
            DuckDB relation, or anything that gives an Arrow stream. A reader is read to its end.
        b: the same.
        comparator: key, rules, expected differences and limits; checks are not run. Its `v1` and `v2`, where given,
            are SELECTs over the relations `v1` and `v2`, and a column of theirs that begins with `_` is context: not
            compared. Without them every column is compared, whatever its name begins with. A side's columns `x` and
            `X` are `"x (1)"` and `"X (2)"` in SQL, and compared each by itself.
        today: the day by which expected differences expire; the present one in UTC by default.
        samples: how many mismatched rows are shown whole.
        memory_limit: bound of the engine's memory; above it, it spills to disk.
        plan: `wide` judges every row by value, whatever the size; `buckets` and `narrow` let hashes choose the rows
            that are judged. By default `wide` where both sides fit half of the memory, else one that suits.

    Raises:
        NoSuchPlan, PlanRefused: the plan is none of these, or cannot judge by this comparator.
        NoSource: one is nothing that can be compared.
        UnreadableLocation, TablesUnreachable: one cannot be read.
        and what a comparison raises: MissingKey, NoColumnToCompare, BadRelation ...
    """
    with open_engine(memory_limit=memory_limit) as engine, scratch("compare") as folder:
        sides = _both(engine, (a, b), folder, silent, _tolerant(comparator.rules))
        whole = comparator.v1 is None and comparator.v2 is None
        return compare_relations(
            engine,
            comparator.v1 or "SELECT * FROM v1",
            comparator.v2 or "SELECT * FROM v2",
            sides.fitted(comparator) if whole else comparator,
            today=today or utc_now().date(),
            samples=samples,
            plan=DiffPlan.named(plan),
            context=not whole,
            stable=whole,
        )


def diff_sources(
    v1: str,
    v2: str,
    *,
    key: Sequence[str] = (),
    rules: Mapping[str, Rule] | None = None,
    samples: int = 5,
    keep: Path | None = None,
    plan: str | None = None,
    memory_limit: str = MEMORY_LIMIT,
    progress: Progress = silent,
) -> SourceDiff:
    """
    Compare two files or tables that are named.

    Args:
        v1: what there is today: a path, a pattern or a URL, see `compare`.
        v2: the candidate.
        key: what identifies a row; the primary key that both databases state by default.
        rules: by column; exact where none is given.
        samples: how many mismatched rows are shown whole.
        keep: where to write every mismatched key, as Parquet.
        plan: how rows are chosen that are judged by value; see `compare`.
        memory_limit: bound of the engine's memory.
        progress: told the steps.

    Raises:
        NoSource, UnreadableLocation, UnclearTable, TablesUnreachable: a side cannot be read.
        NoKeyGiven: no key was given, and none is stated on both sides; it says which columns could be one.
        NoKeyColumn: a side lacks a column of the key.
    """
    began = time.monotonic()
    if keep is not None:
        _check_keep(keep, (v1, v2))
    with open_engine(memory_limit=memory_limit) as engine, scratch("compare") as folder:
        sides = _both(engine, (v1, v2), folder, progress, _tolerant(rules or {}))
        shown = [parted(one).shown for one in (v1, v2)]
        names = tuple(meant("--key", name, sides.names) for name in key) or sides.stated_key()
        if not names:
            progress("looking for a key", 0, None)
            found, common = proposed_keys(engine, "SELECT * FROM v1", "SELECT * FROM v2")
            written = [key_text(one) for one in found]
            raise NoKeyGiven(found, common, f"dualgauge diff {shlex.join(shown)}", written)
        for name in names:
            for columns, label in zip(sides.columns, shown, strict=True):
                if fold(name) not in {fold(one) for one in columns}:
                    raise NoKeyColumn(name, label, columns)
        comparison = compare_relations(
            engine, "SELECT * FROM v1", "SELECT * FROM v2",
            Comparator(key=names, rules=sides.by_column("the tolerance of", rules or {})),
            today=utc_now().date(), samples=samples, keep=keep, plan=DiffPlan.named(plan), stable=True,
            progress=lambda step: progress(step, 0, None),
        )  # fmt: skip
    return SourceDiff(
        v1=shown[0],
        v2=shown[1],
        key=names,
        stated=not key,
        keep=str(keep) if keep is not None and keep.exists() else None,
        seconds=time.monotonic() - began,
        comparison=comparison,
    )


def _check_keep(keep: Path, sides: Iterable[str]) -> None:
    if not keep.parent.is_dir():
        raise NoSource(f"--keep {keep}", "its folder is not there")
    if keep.exists() and any(Path(one).exists() and keep.samefile(one) for one in sides):
        raise NoSource(f"--keep {keep}", "it is one of the two that are compared, and would be overwritten")


def _tolerant(rules: Mapping[str, Rule]) -> list[str]:
    """The columns, as they were named, whose rules need numbers."""
    return [name for name, rule in rules.items() if rule.numeric]


def _both(
    engine: Engine, given: tuple[object, object], folder: Path, progress: Progress, tolerant: Iterable[str]
) -> _Sides:
    """
    Make the views `v1` and `v2`, their columns typed together where files do not type them.

    `tolerant` are the columns under a tolerance.
    """
    sources = tuple(parted(one) if isinstance(one, str | Path) else one for one in given)
    dialects = _dialects(sources)
    brought = []
    for name, source in zip(("v1", "v2"), sources, strict=True):
        place = folder / name
        place.mkdir()
        progress(f"{name}: reading", 0, None)
        brought.append(_bring(engine, source, name, place, dialects=dialects.get(name, ()), progress=progress))
    _refuse_lacking(sources, (brought[0].side, brought[1].side))
    own = [[reading.name for reading in one.side.readings] for one in brought]
    names = shown_names(*own)
    near = {fold(meant("the tolerance of", name, names)) for name in tolerant}
    sides = settle(engine, brought[0].side.renamed(names), brought[1].side.renamed(names), near)
    for name, side, source in zip(("v1", "v2"), sides, sources, strict=True):
        if not side.readings:
            raise UnreadableLocation(_label(source, name), "it has no columns", "give rows, or a header at least")
        engine.execute(f"CREATE VIEW {name} AS {side.sql}")
    columns = [[names[name] for name in one] for one in own]
    return _Sides((brought[0].key, brought[1].key), (columns[0], columns[1]), names)


def _refuse_lacking(sources: Sequence[object], sides: tuple[FileSide, FileSide]) -> None:
    """Raise where a file of a side lacks a column that its other files and the whole other side have."""
    first, second = sides
    for source, side, other in ((sources[0], first, second), (sources[1], second, first)):
        there, lacking = {fold(one.name) for one in other.readings}, {fold(name) for name in other.lacking}
        for name, file in side.lacking.items():
            if fold(name) in there and fold(name) not in lacking:
                reason = f"{file.name} has no column {name!r}, which its other files and the other side have"
                advice = "write that file with the column, or compare the files one by one"
                raise UnreadableLocation(_label(source, ""), reason, advice)


def _label(source: object, name: str) -> str:
    return source.shown if isinstance(source, Location) else f"{name} ({type(source).__name__})"


def _dialects(sources: Sequence[object]) -> dict[str, list[CsvDialect]]:
    """
    How the CSV files of both sides are written.

    Where two sides do not have the same columns, each is read by the other's delimiter too: if that gives the same
    columns, the delimiter had been taken wrongly.
    """
    found = {
        name: [dialect_of(file, source.kind) for file in source.files]
        for name, source in zip(("v1", "v2"), sources, strict=True)
        if isinstance(source, Location) and source.kind in ("csv", "tsv")
    }
    if len(found) < 2 or set(found["v1"][0].names) == set(found["v2"][0].names):  # noqa: PLR2004  (both sides)
        return found
    for name, other, source in (("v1", "v2", sources[0]), ("v2", "v1", sources[1])):
        assert isinstance(source, Location)  # noqa: S101  (only these have dialects)
        try:
            as_other = [dialect_of(file, source.kind, found[other][0].delimiter) for file in source.files]
        except UnreadableLocation:
            continue
        if set(as_other[0].names) == set(found[other][0].names):
            return {**found, name: as_other}
    return found


def _bring(
    engine: Engine, source: object, name: str, folder: Path, *, dialects: Sequence[CsvDialect], progress: Progress
) -> _Brought:
    if not isinstance(source, Location):
        return _Brought(read_memory(engine, source, name, folder))
    match source.kind:
        case "table":
            return _Brought(*read_table(source, name, folder, progress))
        case "parquet":
            return _Brought(read_parquet(engine, source.files, source.shown, folder))
        case "json":
            return _Brought(read_json(engine, source.files, source.shown, folder))
        case _:
            return _Brought(read_csv(engine, source.files, source.shown, folder, dialects))

"""
Mismatched rows by shape of change, and a sample of them that shows every shape.

A hundred thousand differences are usually three causes: a column that became NULL, an offset of one hour, a
factor of a hundred. A row's cluster is its wrong columns with their shapes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dualgauge.comparison.engine.common_types import FLOATS, INTEGERS, is_numeric, is_time
from dualgauge.comparison.engine.fetch import count_where, groups_of, joined_values, values_of
from dualgauge.comparison.values import ChangeCount, Cluster, DifferenceKind, Mismatch
from dualgauge.engines.parquet_files import written
from dualgauge.model import literal, quote

if TYPE_CHECKING:
    from pathlib import Path

    from dualgauge.comparison.engine.relations import Scratch
    from dualgauge.comparison.engine.schema import Column, Layout
    from dualgauge.comparison.values import Row
    from dualgauge.engines.duck import Engine

MOST_CLUSTERS: Final = 50
"""So many are listed, the largest first; what is left is one more, so that the rows add up."""

_LEAST_ROWS: Final = 2
_LEAST_SHARE: Final = 0.1
"""An offset or a factor is called constant from two cells and a tenth of the column's wrong cells on."""


_CONSTANTS: Final = ("constant offset", "scale factor")
_ALIKE: Final = frozenset({*_CONSTANTS, "sign", "trailing blank", "letter case", "other"})
"""
Shapes that one defect takes on by turns: by how many rows it hits, an offset has a name or is `other`; by what their
values happen to be, one row of it looks like a changed sign or a lost blank. Together they are `another value`.
"""


def label(space: Scratch, layout: Layout, judged: str) -> str:
    """Name a view of the mismatched rows with `columns` (those that are wrong), `shapes` and `cluster`."""
    wrong = _wrong_counts(space.engine, layout, judged)
    shapes = {at: _shape(space.engine, layout.compared[at], at, judged) for at, count in wrong.items() if count}
    names = {at: layout.compared[at].name for at in shapes}
    columns = [f"CASE WHEN d{at} THEN {literal(name)} END" for at, name in names.items()]
    shaped = [f"CASE WHEN d{at} THEN {shape} END" for at, shape in shapes.items()]
    named = [f"CASE WHEN d{at} THEN {literal(f'{names[at]}: ')} || {shape} END" for at, shape in shapes.items()]
    cluster = f"CASE WHEN kind = '{DifferenceKind.CHANGED}' THEN concat_ws('; ', {', '.join(named)}) ELSE kind END"
    return space.view(
        "labelled",
        f"SELECT *, rowid AS place_in_judged, {_those(columns)} AS columns, {_those(shaped)} AS shapes, "
        f"{cluster if named else 'kind'} AS cluster FROM {judged} WHERE excused IS NULL",
    )


def _those(texts: list[str]) -> str:
    """A list of the texts that are there."""
    listed = f"[{', '.join(texts)}]" if texts else "CAST([] AS VARCHAR[])"
    return f"list_filter({listed}, lambda text: text IS NOT NULL)"


def _wrong_counts(engine: Engine, layout: Layout, judged: str) -> dict[int, int]:
    places = range(len(layout.compared))
    counts = ", ".join(["count(*)", *(count_where(f"d{at}") for at in places)])
    return dict(zip(places, engine.row(f"SELECT {counts} FROM {judged}")[1:], strict=True))


def _shape(engine: Engine, column: Column, at: int, judged: str) -> str:
    """An expression that names the shape of a wrong cell of this column."""
    a, b = f"a{at}", f"b{at}"
    arms = [
        (f"NOT f{at}", literal("unexpected same")),
        *([(f"p{at} + q{at} > 0", literal("not in the common type"))] if column.common.risky else []),
        (f"{a} IS NULL", literal("NULL to value")),
        (f"{b} IS NULL", literal("value to NULL")),
    ]
    kind = column.common.name
    if column.numeric:
        # A sum: an unsigned number and the smallest signed one have no negative.
        arms.append((f"coalesce(TRY({a} + {b}) = 0, false)", literal("sign")))
    steps: list[tuple[str, str]] = []
    offset = _offset(kind, a, b)
    if offset:
        steps.append(("constant offset", offset))
    if column.numeric:
        steps.append(("scale factor", _factor(a, b)))
    arms += _constants(engine, steps, arms, at, judged)
    if kind == "VARCHAR":
        arms.append((f"rtrim({a}) = rtrim({b})", literal("trailing blank")))
        arms.append((f"lower({a}) = lower({b})", literal("letter case")))
    return f"CASE {' '.join(f'WHEN {condition} THEN {text}' for condition, text in arms)} ELSE 'other' END"


def _constants(
    engine: Engine, steps: list[tuple[str, str]], before: list[tuple[str, str]], at: int, judged: str
) -> list[tuple[str, str]]:
    """The commonest offset and the commonest factor, where they are common enough; the commoner one first."""
    earlier = " OR ".join(condition for condition, _ in before)
    found: list[tuple[int, str, str]] = []
    for name, step in steps:
        rows = engine.rows(
            f"SELECT {step} AS step, count(*) AS n, sum(count(*)) OVER () AS cells FROM {judged} "
            f"WHERE d{at} AND NOT ({earlier}) GROUP BY step ORDER BY step IS NULL, n DESC, step LIMIT 1"
        )
        for value, count, cells in rows:
            if value is not None and count >= max(_LEAST_ROWS, _LEAST_SHARE * int(cells)):
                found.append((-count, f"coalesce({step} = {literal(value)}, false)", literal(f"{name} {value}")))
    return [(condition, text) for _, condition, text in sorted(found, key=lambda item: item[0])]


def _offset(kind: str, a: str, b: str) -> str | None:
    """The text of b - a with its sign; NULL where there is none. None for types without a distance."""
    if kind == "TIMESTAMPTZ_NS":
        # The engine takes no distance of two of them.
        a, b = f"CAST({a} AS TIMESTAMP_NS)", f"CAST({b} AS TIMESTAMP_NS)"
    if kind in FLOATS:
        return f"CASE WHEN isfinite({a}) AND isfinite({b}) THEN format('{{:+.9g}}', {b} - {a}) END"
    if kind in INTEGERS and kind != "BIGNUM":
        text = f"CAST(TRY(CAST({b} AS HUGEINT) - CAST({a} AS HUGEINT)) AS VARCHAR)"
    elif is_numeric(kind) and kind != "BIGNUM":
        text = f"CAST(TRY({b} - {a}) AS VARCHAR)"
    elif kind == "DATE":
        return f"CAST(TRY({b} - {a}) AS VARCHAR) || ' days'"
    elif is_time(kind):
        return f"CAST(TRY({b} - {a}) AS VARCHAR)"
    else:
        return None
    return f"CASE WHEN starts_with({text}, '-') THEN {text} ELSE '+' || {text} END"


def _factor(a: str, b: str) -> str:
    # A BIGNUM may be beyond every DOUBLE.
    x, y = f"TRY_CAST({a} AS DOUBLE)", f"TRY_CAST({b} AS DOUBLE)"
    return f"CASE WHEN {x} <> 0 AND {y} <> 0 AND isfinite({x}) AND isfinite({y}) THEN format('{{:.9g}}', {y} / {x}) END"


def clusters_of(engine: Engine, layout: Layout, labelled: str) -> tuple[Cluster, ...]:
    """The clusters, the largest first, the tail folded into one."""
    keys = [(f"k{at}", column.common.name) for at, column in enumerate(layout.keys)]
    order = ", ".join(name for name, _ in keys)
    ranked = (
        f"SELECT *, row_number() OVER (PARTITION BY cluster ORDER BY {order}) AS place, "
        f"count(*) OVER (PARTITION BY cluster) AS size FROM {labelled}"
    )
    columns = [*keys, ("cluster", "VARCHAR"), ("columns", "VARCHAR[]"), ("shapes", "VARCHAR[]"), ("kind", "VARCHAR")]
    rows = values_of(
        engine, [*columns, ("size", "BIGINT")], f"FROM ({ranked}) WHERE place = 1 ORDER BY size DESC, cluster"
    )
    found = [_cluster(layout, row) for row in rows]
    shown, tail = found[:MOST_CLUSTERS], found[MOST_CLUSTERS:]
    if tail:
        name = f"{len(tail):,} smaller clusters"
        shown.append(Cluster(name, "several", (), sum(cluster.rows for cluster in tail), tail[0].example))
    return tuple(shown)


def _cluster(layout: Layout, row: Row) -> Cluster:
    shapes = _texts(row["shapes"])
    shape = " + ".join(dict.fromkeys(shapes)) or str(row["kind"])
    return Cluster(str(row["cluster"]), shape, tuple(_texts(row["columns"])), int(str(row["size"])), _key(layout, row))


def changes_of(engine: Engine, labelled: str) -> tuple[ChangeCount, ...]:
    """
    The mismatched rows by column and way of being wrong, those with most rows first.

    Clusters come and go with the rows of a day: two defects that meet in one row are a third cluster. These do not.
    """
    cells = (
        f"SELECT unnest(columns) AS name, unnest(shapes) AS shape FROM {labelled} WHERE len(columns) > 0 "
        f"UNION ALL SELECT NULL, kind FROM {labelled} WHERE len(columns) = 0"
    )
    found: dict[tuple[str | None, str], dict[str, int]] = {}
    for name, shape, count in engine.rows(f"SELECT name, shape, count(*) FROM ({cells}) GROUP BY ALL ORDER BY ALL"):
        plain = _without_constant(str(shape))
        shapes = found.setdefault((None if name is None else str(name), _change(plain)), {})
        shapes[plain] = shapes.get(plain, 0) + int(count)
    changes = [ChangeCount(name, change, sum(shapes.values()), shapes) for (name, change), shapes in found.items()]
    return tuple(sorted(changes, key=lambda one: (-one.rows, one.column or "", one.change)))


def _change(shape: str) -> str:
    """In what way a cell is wrong, by itself."""
    plain = _without_constant(shape)
    return "another value" if plain in _ALIKE else plain


def _without_constant(shape: str) -> str:
    return next((one for one in _CONSTANTS if shape.startswith(f"{one} ")), shape)


def sample(engine: Engine, layout: Layout, labelled: str, *, most: int) -> tuple[Mismatch, ...]:
    """At most `most` mismatched rows, ordered by key: the first of each cluster, largest clusters first, and so on."""
    order = ", ".join(f"k{at}" for at in range(len(layout.keys)))
    ranked = (
        f"SELECT place_in_judged, cluster, row_number() OVER (PARTITION BY cluster ORDER BY {order}) AS place, "
        f"count(*) OVER (PARTITION BY cluster) AS size FROM {labelled}"
    )
    chosen = f"SELECT * FROM ({ranked}) WHERE place <= {most:d} ORDER BY place, size DESC, cluster LIMIT {most:d}"
    ordered = f"SELECT place_in_judged FROM ({chosen}) JOIN {labelled} USING (place_in_judged) ORDER BY {order}"
    places = [int(place) for (place,) in engine.rows(ordered)]
    if not places:
        return ()
    columns = [(f"k{at}", column.common.name) for at, column in enumerate(layout.keys)]
    columns += [("kind", "VARCHAR"), ("note", "VARCHAR"), ("cluster", "VARCHAR"), ("columns", "VARCHAR[]")]
    columns += [("shapes", "VARCHAR[]")]
    for at, column in enumerate(layout.compared):
        columns += [(f"a{at}", column.common.name), (f"b{at}", column.common.name)]
    described = engine.columns(f"SELECT * FROM {labelled}")
    columns += [(f"x{at}", described[f"x{at}"]) for at in range(len(layout.rest_v1))]
    columns += [(f"y{at}", described[f"y{at}"]) for at in range(len(layout.rest_v2))]
    tail = (
        f"FROM {labelled} WHERE place_in_judged IN ({', '.join(map(str, places))}) "
        f"ORDER BY list_position({places}, place_in_judged)"
    )
    # In groups of columns, of whole rows: what a step holds of thousands of columns is hundreds of megabytes.
    rows = joined_values(engine, [(group, tail) for group in groups_of(columns)])
    return tuple(_mismatch(layout, row) for row in rows)


def _mismatch(layout: Layout, row: Row) -> Mismatch:
    kind = DifferenceKind(str(row["kind"]))
    key = _key(layout, row)
    sides: list[Row | None] = []
    for absent, value, rest, names in (
        (DifferenceKind.ONLY_IN_V2, "a", "x", layout.rest_v1),
        (DifferenceKind.ONLY_IN_V1, "b", "y", layout.rest_v2),
    ):
        whole = dict(key)
        whole |= {column.name: row[f"{value}{at}"] for at, column in enumerate(layout.compared)}
        whole |= {name: row[f"{rest}{at}"] for at, name in enumerate(names)}
        sides.append(None if kind is absent else whole)
    columns = tuple(_texts(row["columns"]))
    changes = tuple(_change(shape) for shape in _texts(row["shapes"]))
    return Mismatch(key, kind, columns, sides[0], sides[1], str(row["note"]), str(row["cluster"]), changes=changes)


def _key(layout: Layout, row: Row) -> dict[str, object]:
    return {column.name: row[f"k{at}"] for at, column in enumerate(layout.keys)}


def _texts(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []


def keep_keys(engine: Engine, layout: Layout, labelled: str, path: Path) -> None:
    """
    Write every mismatched key to a Parquet file, ordered by key; folders are made, an older file is replaced.

    Columns: the key's, as text where Parquet has no such type (HUGEINT, INTERVAL), then `_kind`, `_columns` (those that
    are wrong), `_note` and `_cluster`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    keys = ", ".join(
        f"{written(f'k{at}', column.common.name)} AS {quote(column.name)}" for at, column in enumerate(layout.keys)
    )
    # Of the relation: a key may be called k1.
    order = ", ".join(f"kept.k{at}" for at in range(len(layout.keys)))
    unfinished = path.with_name(f".{path.name}.part")
    engine.execute(
        f"COPY (SELECT {keys}, kind AS _kind, columns AS _columns, note AS _note, cluster AS _cluster "
        f"FROM {labelled} AS kept ORDER BY {order}) TO {literal(str(unfinished))} (FORMAT parquet)"
    )
    # Whoever reads the folder meanwhile sees the old file or the whole new one.
    unfinished.replace(path)

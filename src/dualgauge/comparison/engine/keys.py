"""NULL and repeated keys: found first, reported by themselves, and kept out of the join."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dualgauge.comparison.engine.fetch import values_of
from dualgauge.comparison.values import KeyProblem

if TYPE_CHECKING:
    from dualgauge.comparison.engine.relations import Scratch
    from dualgauge.comparison.engine.schema import Layout
    from dualgauge.comparison.values import Row


@dataclass(frozen=True, slots=True)
class Paired:
    """
    The rows that can be paired: `v1` and `v2` name relations whose keys are unique and never NULL.

    `rows_*` count all rows of the sides, `clean_*` those that are left.
    """

    v1: str
    v2: str
    rows_v1: int
    rows_v2: int
    clean_v1: int
    clean_v2: int
    problems: tuple[KeyProblem, ...]


def sort_out(space: Scratch, layout: Layout, v1: str, v2: str, *, samples: int) -> Paired:
    """
    Find NULL and repeated keys, and leave their rows out of both sides.

    A key that is repeated on one side leaves the other side too: whichever row it was paired with, the
    answer would be an accident.
    """
    engine = space.engine
    names = list(layout.key_names)
    null = " OR ".join(f"{name} IS NULL" for name in names)
    rows: dict[str, int] = {}
    nulls: dict[str, int] = {}
    repeated: dict[str, str | None] = {}
    for side, relation in (("v1", v1), ("v2", v2)):
        # Hashes, eight bytes each, instead of whole keys: keys that are equal to us are so to the engine in the form
        # that pairs them, and then have equal hashes. Unlike keys may have one hash; so what repeats is looked at.
        rows[side], nulls[side], distinct = engine.row(
            f"SELECT count(*), count(*) FILTER ({null}), "
            f"count(DISTINCT hash({', '.join(names)})) FILTER (NOT ({null})) FROM {relation}"
        )
        unique = distinct == rows[side] - nulls[side]
        repeated[side] = None if unique else _repeated(space, layout, side, relation, null)
    if not any(nulls.values()) and not any(repeated.values()):
        return Paired(v1, v2, rows["v1"], rows["v2"], rows["v1"], rows["v2"], ())

    relations = {"v1": v1, "v2": v2}
    clean = {side: _without(space, layout, side, relations[side], null=null, repeated=repeated) for side in relations}
    left = {side: int(engine.row(f"SELECT count(*) FROM {relation}")[0]) for side, relation in clean.items()}
    problems = [
        _problem(space, layout, side, relations[side], nulls=nulls[side], repeated=repeated[side], samples=samples)
        for side in relations
    ]
    return Paired(
        clean["v1"],
        clean["v2"],
        rows["v1"],
        rows["v2"],
        left["v1"],
        left["v2"],
        tuple(problem for problem in problems if problem is not None),
    )


def _repeated(space: Scratch, layout: Layout, side: str, relation: str, null: str) -> str | None:
    """Name a table of the side's repeated keys with their number of rows; None where there are none."""
    keys = ", ".join(layout.key_names)
    hashed, rows = layout.own("hash"), layout.own("rows")
    suspects = space.table(
        f"suspects_{side}",
        f"SELECT {hashed} FROM (SELECT hash({keys}) AS {hashed} FROM {relation} WHERE NOT ({null})) "
        f"GROUP BY {hashed} HAVING count(*) > 1",
    )
    shown = [f"any_value({layout.shown(at)}) AS {layout.shown(at)}" for at in _formed(layout)]
    table = space.table(
        f"repeated_{side}",
        f"SELECT {', '.join([keys, *shown])}, count(*) AS {rows} FROM {relation} WHERE NOT ({null}) "
        f"AND hash({keys}) IN (SELECT {hashed} FROM {suspects}) GROUP BY {keys} HAVING count(*) > 1",
    )
    return table if space.engine.row(f"SELECT count(*) FROM {table}")[0] else None


def _formed(layout: Layout) -> list[int]:
    """The keys that are shown otherwise than they pair rows."""
    return [at for at, name in enumerate(layout.key_names) if layout.shown(at) != name]


def _without(
    space: Scratch, layout: Layout, side: str, relation: str, *, null: str, repeated: dict[str, str | None]
) -> str:
    conditions = [f"NOT ({null})"]
    conditions += [
        f"NOT EXISTS (SELECT 1 FROM {table} AS r WHERE {layout.on('r', 's')})"
        for table in filter(None, repeated.values())
    ]
    return space.table(f"clean_{side}", f"SELECT * FROM {relation} AS s WHERE {' AND '.join(conditions)}")


def _problem(
    space: Scratch, layout: Layout, side: str, relation: str, *, nulls: int, repeated: str | None, samples: int
) -> KeyProblem | None:
    if not nulls and repeated is None:
        return None
    keys, carriers = (0, 0)
    found: list[Row] = []
    columns = [(layout.shown(at), column.common.name) for at, column in enumerate(layout.keys)]
    order = ", ".join(name for name, _ in columns)
    if repeated is not None:
        rows = layout.own("rows")
        keys, carriers = space.engine.row(f"SELECT count(*), CAST(sum({rows}) AS BIGINT) FROM {repeated}")
        found += values_of(space.engine, columns, f"FROM {repeated} ORDER BY {order} LIMIT {samples:d}")
    if nulls and len(found) < samples:
        null = " OR ".join(f"{name} IS NULL" for name, _ in columns)
        rest = samples - len(found)
        found += values_of(space.engine, columns, f"FROM {relation} WHERE {null} ORDER BY {order} LIMIT {rest:d}")
    names = [column.name for column in layout.keys]
    shown = tuple(dict(zip(names, row.values(), strict=True)) for row in found)
    return KeyProblem(side, nulls, keys, carriers, shown)

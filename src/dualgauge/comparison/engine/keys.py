"""NULL and repeated keys: found first, reported by themselves, and kept out of the join."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dualgauge.comparison.engine.fetch import values_of
from dualgauge.comparison.values import KeyProblem
from dualgauge.model import quote

if TYPE_CHECKING:
    from dualgauge.comparison.engine.relations import Scratch
    from dualgauge.comparison.engine.schema import Layout
    from dualgauge.comparison.values import Row


@dataclass(frozen=True, slots=True)
class Paired:
    """
    The rows that can be paired: `v1` and `v2` name relations whose keys are unique and never NULL.

    `rows_*` count all rows of the sides, `clean_v1` those of v1 that are left.
    """

    v1: str
    v2: str
    rows_v1: int
    rows_v2: int
    clean_v1: int
    problems: tuple[KeyProblem, ...]


def sort_out(space: Scratch, layout: Layout, v1: str, v2: str, *, samples: int) -> Paired:
    """
    Find NULL and repeated keys, and leave their rows out of both sides.

    A key that is repeated on one side leaves the other side too: whichever row it was paired with, the
    answer would be an accident.
    """
    engine = space.engine
    names = [quote(column.name) for column in layout.keys]
    null = " OR ".join(f"{name} IS NULL" for name in names)
    rows: dict[str, int] = {}
    nulls: dict[str, int] = {}
    repeated: dict[str, str | None] = {}
    for side, relation in (("v1", v1), ("v2", v2)):
        # Hashes, eight bytes each, instead of whole keys: equal keys have equal hashes.
        rows[side], nulls[side], distinct = engine.row(
            f"SELECT count(*), count(*) FILTER ({null}), "
            f"count(DISTINCT hash({', '.join(names)})) FILTER (NOT ({null})) FROM {relation}"
        )
        unique = distinct == rows[side] - nulls[side]
        repeated[side] = None if unique else _repeated(space, side, relation, names, null)
    if not any(nulls.values()) and not any(repeated.values()):
        return Paired(v1, v2, rows["v1"], rows["v2"], rows["v1"], ())

    relations = {"v1": v1, "v2": v2}
    clean = {side: _without(space, side, relations[side], names, null=null, repeated=repeated) for side in relations}
    left = int(engine.row(f"SELECT count(*) FROM {clean['v1']}")[0])
    problems = [
        _problem(space, layout, side, relations[side], nulls=nulls[side], repeated=repeated[side], samples=samples)
        for side in relations
    ]
    return Paired(
        clean["v1"],
        clean["v2"],
        rows["v1"],
        rows["v2"],
        left,
        tuple(problem for problem in problems if problem is not None),
    )


def _repeated(space: Scratch, side: str, relation: str, names: list[str], null: str) -> str | None:
    """Name a table of the side's repeated keys with their number of rows; None where there are none."""
    keys = ", ".join(names)
    suspects = space.table(
        f"suspects_{side}",
        f"SELECT h FROM (SELECT hash({keys}) AS h FROM {relation} WHERE NOT ({null})) GROUP BY h HAVING count(*) > 1",
    )
    table = space.table(
        f"repeated_{side}",
        f"SELECT {keys}, count(*) AS __rows FROM {relation} WHERE NOT ({null}) "
        f"AND hash({keys}) IN (SELECT h FROM {suspects}) GROUP BY {keys} HAVING count(*) > 1",
    )
    return table if space.engine.row(f"SELECT count(*) FROM {table}")[0] else None


def _without(
    space: Scratch, side: str, relation: str, names: list[str], *, null: str, repeated: dict[str, str | None]
) -> str:
    conditions = [f"NOT ({null})"]
    for table in filter(None, repeated.values()):
        same = " AND ".join(f"r.{name} = s.{name}" for name in names)
        conditions.append(f"NOT EXISTS (SELECT 1 FROM {table} r WHERE {same})")
    return space.table(f"clean_{side}", f"SELECT * FROM {relation} s WHERE {' AND '.join(conditions)}")


def _problem(
    space: Scratch, layout: Layout, side: str, relation: str, *, nulls: int, repeated: str | None, samples: int
) -> KeyProblem | None:
    if not nulls and repeated is None:
        return None
    keys, carriers = (0, 0)
    found: list[Row] = []
    columns = [(column.name, column.common.name) for column in layout.keys]
    names = ", ".join(quote(name) for name, _ in columns)
    if repeated is not None:
        keys, carriers = space.engine.row(f"SELECT count(*), CAST(sum(__rows) AS BIGINT) FROM {repeated}")
        found += values_of(space.engine, columns, f"FROM {repeated} ORDER BY {names} LIMIT {samples:d}")
    if nulls and len(found) < samples:
        null = " OR ".join(f"{quote(name)} IS NULL" for name, _ in columns)
        rest = samples - len(found)
        found += values_of(space.engine, columns, f"FROM {relation} WHERE {null} ORDER BY {names} LIMIT {rest:d}")
    return KeyProblem(side, nulls, keys, carriers, tuple(found))

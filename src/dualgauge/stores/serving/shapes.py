"""
Shapes: a view's columns, key and indexes as an empty table, owned by an ordinary Alembic revision.

`NAME__shape` is what autogenerate sees, and nothing else is; builds are cloned from it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import sqlalchemy as sa

from dualgauge.model import Side
from dualgauge.stores.serving.types import store_type

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SUFFIX = "__shape"


@dataclass(frozen=True, slots=True)
class Shape:
    """
    What a side's view looks like to its readers. `columns` are names with DuckDB types, in order.

    `hidden` are columns that a build has beside `_position` and that readers do not see: no revision knows them. With
    `looks_up` a table stands beside the build of what its view looks up.
    """

    side: Side
    view: str
    columns: Mapping[str, str]
    key: tuple[str, ...]
    indexes: tuple[tuple[str, ...], ...] = ()
    hidden: Mapping[str, str] = field(default_factory=dict)
    looks_up: bool = False

    @property
    def label(self) -> str:
        """What messages call it: `v2.orders`."""
        return f"{self.side.value}.{self.view}"


def metadata(shapes: Sequence[Shape]) -> sa.MetaData:
    """
    The shapes as SQLAlchemy tables: what Alembic compares the store with.

    Raises:
        NoStoreType: a column's type cannot be held by a store.
    """
    found = sa.MetaData()
    for shape in shapes:
        name = shape.view + SUFFIX
        table = sa.Table(
            name,
            found,
            *(
                sa.Column(
                    column,
                    store_type(shape.label, column, kind).alembic,
                    nullable=column not in shape.key,
                    autoincrement=False,
                )
                for column, kind in shape.columns.items()
            ),
            schema=shape.side.schema,
        )
        # The key's order is the header's, not that of the columns.
        table.append_constraint(sa.PrimaryKeyConstraint(*(table.c[column] for column in shape.key), name=f"pk_{name}"))
        for index in shape.indexes:
            # Two underscores, so that an index on `a_b` and one on `a, b` have two names.
            sa.Index(f"ix_{name}__{'__'.join(index)}", *(table.c[column] for column in index))
    return found


def include_name(name: str | None, kind: str, parents: Mapping[str, str | None]) -> bool:
    """Let Alembic see shapes and nothing else, whatever builds there are."""
    if kind == "schema":
        return name in {side.schema for side in Side}
    if kind == "table":
        return bool(name and name.endswith(SUFFIX)) and parents.get("schema_name") in {side.schema for side in Side}
    return True

"""
The Alembic environment of the serving store: writing, applying and running revisions of shapes.

The project's `migrations/env.py` calls `run`; so does plain `alembic`, which finds the folder through
`[tool.alembic]` in pyproject.toml. Revisions may be run again after a crash (`if_not_exists`): commits are not
atomic across the two files.
"""

from __future__ import annotations

import argparse
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import produce_migrations
from alembic.config import Config
from alembic.operations import ops
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from dualgauge.model import Side
from dualgauge.stores.errors import NoMigrations
from dualgauge.stores.shapes import include_name, metadata

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dualgauge.stores.shapes import Shape

VERSION_TABLE = "alembic_version"
HANDED_OVER = "dualgauge"
"""Key of `Config.attributes` under which this module hands its open connection to env.py."""


@dataclass(frozen=True, slots=True)
class Revision:
    """One revision of the store's shapes."""

    id: str
    message: str
    file: Path
    applied: bool


def configuration(folder: Path, connection: sa.Connection | None = None, shapes: Sequence[Shape] = ()) -> Config:
    """Alembic's configuration for a migrations folder; with a connection, env.py uses that one."""
    if not (folder / "env.py").is_file():
        raise NoMigrations(folder)
    # Quiet: what was written and applied is said by the command that asked for it, and stdout is its own.
    config = Config(stdout=io.StringIO(), output_buffer=io.StringIO(), cmd_opts=argparse.Namespace(quiet=True, x=None))
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    if connection is not None:
        config.attributes[HANDED_OVER] = (connection, metadata(shapes))
    return config


def missing(connection: sa.Connection, shapes: Sequence[Shape]) -> list[str]:
    """What the store's shapes lack, an operation a line; empty where they are as the views say."""
    context = MigrationContext.configure(connection, opts=_options(metadata(shapes)))
    script = produce_migrations(context, metadata(shapes))
    upgrades = script.upgrade_ops
    return [] if upgrades is None else sorted(_described(upgrades.ops))


def pending(folder: Path, connection: sa.Connection) -> bool:
    """Whether there are revisions that the store has not applied."""
    script = ScriptDirectory.from_config(configuration(folder))
    context = MigrationContext.configure(connection, opts=_options(sa.MetaData()))
    return set(context.get_current_heads()) != set(script.get_heads())


def write_revision(folder: Path, connection: sa.Connection, shapes: Sequence[Shape], message: str) -> Revision | None:
    """Write the revision that brings the store's shapes to the views; None where they are there already."""
    wanted = missing(connection, shapes)
    if not wanted:
        return None
    config = configuration(folder, connection, shapes)
    (folder / "versions").mkdir(exist_ok=True)
    numbered = len(list(ScriptDirectory.from_config(config).walk_revisions())) + 1
    script: Any = command.revision(config, message=message, autogenerate=True, rev_id=f"{numbered:04d}")
    return Revision(id=script.revision, message=message, file=_path(script), applied=False)


def upgrade(folder: Path, connection: sa.Connection, shapes: Sequence[Shape]) -> list[Revision]:
    """Apply every revision that is not applied yet; gives them, oldest first."""
    before = {one.id for one in history(folder, connection) if one.applied}
    command.upgrade(configuration(folder, connection, shapes), "head")
    return [one for one in history(folder, connection) if one.applied and one.id not in before]


def history(folder: Path, connection: sa.Connection) -> list[Revision]:
    """All revisions, oldest first."""
    script = ScriptDirectory.from_config(configuration(folder))
    context = MigrationContext.configure(connection, opts=_options(sa.MetaData()))
    applied: set[str] = set()
    for head in context.get_current_heads():
        applied |= {one.revision for one in script.iterate_revisions(head, "base")}
    return [
        Revision(id=one.revision, message=one.doc or "", file=_path(one), applied=one.revision in applied)
        for one in reversed(list(script.walk_revisions()))
    ]


def run(context: EnvironmentContext, connection: sa.Connection, target: sa.MetaData) -> None:
    """What env.py does: run the asked-for revisions on a connection."""
    context.configure(connection=connection, **_options(target))
    with context.begin_transaction():
        context.run_migrations()


def run_offline(context: EnvironmentContext, target: sa.MetaData) -> None:
    """What env.py does under `alembic --sql`: print the statements."""
    context.configure(dialect_name="sqlite", literal_binds=True, as_sql=True, **_options(target))
    with context.begin_transaction():
        context.run_migrations()


def _options(target: sa.MetaData) -> dict[str, Any]:
    return {
        "target_metadata": target,
        "include_schemas": True,
        "include_name": include_name,
        "version_table": VERSION_TABLE,
        "version_table_schema": Side.V1.schema,
        "compare_type": True,
        "render_as_batch": True,
        "transactional_ddl": True,
        "process_revision_directives": _repeatable,
    }


def _repeatable(_context: object, _revision: object, directives: list[ops.MigrationScript]) -> None:
    """Let a revision be run again: what is there already is left as it is."""
    for script in directives:
        for half in (*script.upgrade_ops_list, *script.downgrade_ops_list):
            for one in _flat(half.ops):
                if isinstance(one, ops.CreateTableOp | ops.CreateIndexOp):
                    one.if_not_exists = True
                elif isinstance(one, ops.DropTableOp | ops.DropIndexOp):
                    one.if_exists = True


def _flat(found: Iterable[ops.MigrateOperation]) -> Iterable[ops.MigrateOperation]:
    for one in found:
        if isinstance(one, ops.OpContainer):
            yield from _flat(one.ops)
        else:
            yield one


def _described(found: Iterable[ops.MigrateOperation]) -> Iterable[str]:
    for one in _flat(found):
        name = getattr(one, "table_name", "")
        column = getattr(one, "column_name", None) or getattr(getattr(one, "column", None), "name", "")
        verb = type(one).__name__.removesuffix("Op")
        yield f"{verb} {getattr(one, 'schema', '') or ''}.{name}{f'.{column}' if column else ''}"


def _path(script: Any) -> Path:
    return Path(script.path)

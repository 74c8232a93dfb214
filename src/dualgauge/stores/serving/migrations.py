"""
The Alembic environment of the serving store: writing, applying and running revisions of shapes.

The project's `migrations/env.py` comes here by way of `dualgauge.migration`; so does plain `alembic`, which finds
the folder through `[tool.alembic]` in pyproject.toml. Revisions may be run again after a crash
(`if_not_exists`): commits are not atomic across the two files.
"""

from __future__ import annotations

import argparse
import io
import itertools
import sqlite3
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import produce_migrations
from alembic.config import Config
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from alembic.script.revision import RevisionError
from alembic.util import CommandError

from dualgauge.model import ALEMBIC, Side
from dualgauge.stores.errors import NoMigrations, RevisionFailed
from dualgauge.stores.serving.shapes import include_name, metadata

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from alembic.runtime.environment import EnvironmentContext

    from dualgauge.stores.serving.shapes import Shape
    from dualgauge.stores.sqlite.database import Databases

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
    target = metadata(shapes)
    context = MigrationContext.configure(connection, opts=_options(target))
    upgrades = produce_migrations(context, target).upgrade_ops
    keys = [f"ChangeKey {new.schema}.{new.name}" for old, new in _pairs(connection, target) if _key(old) != _key(new)]
    return sorted([*(_described(upgrades.ops) if upgrades is not None else ()), *keys])


def write_revision(folder: Path, connection: sa.Connection, shapes: Sequence[Shape], message: str) -> Revision | None:
    """Write the revision that brings the store's shapes to the views; None where they are there already."""
    wanted = missing(connection, shapes)
    if not wanted:
        return None
    message = message or _message(wanted)
    config = configuration(folder, connection, shapes)
    (folder / "versions").mkdir(exist_ok=True)
    with _translated(folder):
        known = {one.revision for one in ScriptDirectory.from_config(config).walk_revisions()}
        number = next(one for one in itertools.count(len(known) + 1) if f"{one:04d}" not in known)
        with ALEMBIC:
            script: Any = command.revision(config, message=message, autogenerate=True, rev_id=f"{number:04d}")
    return Revision(id=script.revision, message=message, file=_path(script), applied=False)


def upgrade(folder: Path, connection: sa.Connection, shapes: Sequence[Shape]) -> list[Revision]:
    """Apply every revision that is not applied yet; gives them, oldest first."""
    waiting = [one for one in history(folder, connection) if not one.applied]
    if not waiting:
        return []
    config = configuration(folder, connection, shapes)
    with _translated(folder), ALEMBIC:
        command.upgrade(config, "head")
    return [replace(one, applied=True) for one in waiting]


def history(folder: Path, connection: sa.Connection) -> list[Revision]:
    """All revisions, oldest first."""
    script = ScriptDirectory.from_config(configuration(folder))
    context = MigrationContext.configure(connection, opts=_options(sa.MetaData()))
    applied: set[str] = set()
    with _translated(folder):
        for head in context.get_current_heads():
            applied |= {one.revision for one in script.iterate_revisions(head, "base")}
        return [
            Revision(id=one.revision, message=one.doc or "", file=_path(one), applied=one.revision in applied)
            for one in reversed(list(script.walk_revisions()))
        ]


@contextmanager
def _translated(folder: Path) -> Iterator[None]:
    """What is wrong with the revisions, or with running them; a lock or a full disk is the store's own matter."""
    try:
        yield
    except (CommandError, RevisionError) as fault:
        raise RevisionFailed(folder, str(fault)) from fault
    except sa.exc.DBAPIError as fault:
        if getattr(fault.orig, "sqlite_errorcode", sqlite3.SQLITE_ERROR) != sqlite3.SQLITE_ERROR:
            raise
        raise RevisionFailed(folder, f"{fault.orig} in {fault.statement!r}") from fault


def run_handed_over(context: EnvironmentContext) -> bool:
    """Run the asked-for revisions on the connection that `configuration` was given; False where it was given none."""
    handed = context.config.attributes.get(HANDED_OVER)
    if handed is None:
        return False
    _run(context, *handed)
    return True


def run_plain(context: EnvironmentContext, databases: Databases, shapes: Sequence[Shape]) -> None:
    """What env.py does under plain `alembic`: on the store's own files, or printing the statements (`--sql`)."""
    target = metadata(shapes)
    if context.is_offline_mode():
        context.configure(dialect_name="sqlite", literal_binds=True, as_sql=True, **_options(target))
        with context.begin_transaction():
            context.run_migrations()
        return
    with databases.open(create=True) as engine, engine.begin() as connection:
        _run(context, connection, target)


def _run(context: EnvironmentContext, connection: sa.Connection, target: sa.MetaData) -> None:
    context.configure(connection=connection, **_options(target))
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


def _repeatable(context: MigrationContext, _revision: object, directives: list[ops.MigrationScript]) -> None:
    """
    Let a revision be run again after a crash between the two files, and be printed without a database.

    A changed shape is dropped and made anew: it is empty, and neither a column that is there already nor a key
    that Alembic does not compare stands in the way. What is made is left where it is there already.
    """
    target: sa.MetaData = context.opts["target_metadata"]
    for script in directives:
        for up, down in zip(script.upgrade_ops_list, script.downgrade_ops_list, strict=True):
            touched = {(one.schema, one.table_name) for one in up.ops if isinstance(one, ops.ModifyTableOps)}
            whole = {
                (one.schema, one.table_name) for one in up.ops if isinstance(one, ops.CreateTableOp | ops.DropTableOp)
            }
            changed = [
                (old, new)
                for old, new in _pairs(_connection(context), target)
                if (new.schema, new.name) in touched - whole or _key(old) != _key(new)
            ]
            names = {(new.schema, new.name) for _, new in changed}
            for half in (up, down):
                half.ops = [
                    one
                    for one in _flat(half.ops)
                    if isinstance(one, ops.CreateTableOp | ops.DropTableOp | ops.CreateIndexOp | ops.DropIndexOp)
                    and (one.schema, one.table_name) not in names
                ]
            for old, new in changed:
                up.ops += _anew(old, new)
                down.ops += _anew(new, old)
            for one in (*up.ops, *down.ops):
                if isinstance(one, ops.CreateTableOp | ops.CreateIndexOp):
                    one.if_not_exists = True
                elif isinstance(one, ops.DropTableOp | ops.DropIndexOp):
                    one.if_exists = True


def _anew(old: sa.Table, new: sa.Table) -> list[ops.MigrateOperation]:
    indexes = sorted(new.indexes, key=lambda one: str(one.name))
    return [
        ops.DropTableOp.from_table(old),
        ops.CreateTableOp.from_table(new),
        *(ops.CreateIndexOp.from_index(index) for index in indexes),
    ]


def _pairs(connection: sa.Connection, target: sa.MetaData) -> list[tuple[sa.Table, sa.Table]]:
    """Shapes that are in the store and wanted: as they are, and as they are to be."""
    inspector = sa.inspect(connection)
    wanted = [one for one in target.sorted_tables if inspector.has_table(one.name, schema=one.schema)]
    return [
        (sa.Table(one.name, sa.MetaData(), autoload_with=connection, schema=one.schema), one)
        for one in sorted(wanted, key=lambda one: one.fullname)
    ]


def _key(shape: sa.Table) -> list[str]:
    return [column.name for column in shape.primary_key.columns]


def _connection(context: MigrationContext) -> sa.Connection:
    if context.connection is None:
        raise AssertionError("autogenerate has a connection")
    return context.connection


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


def _path(script: Script) -> Path:
    return Path(script.path)


def _message(missing: Sequence[str]) -> str:
    """A revision's message, where nobody gave one: the shapes it touches."""
    names = sorted({line.split(" ", 1)[1].split(".")[1].removesuffix("__shape") for line in missing if "." in line})
    return "shapes of " + ", ".join(names) if names else "shapes"

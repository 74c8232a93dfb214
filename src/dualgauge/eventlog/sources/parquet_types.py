"""
The types of Parquet columns: those of their own files, and one over all files where an expression needs it.

A value of another type gives other ones: 7 doubled is 14, and 7.0 is 14.0. So a column has in expressions the type that
it had first, or that `types` says, and none that hangs on which files are read together.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

from dualgauge.engines.errors import BadDialect, EngineError
from dualgauge.engines.parquet_schema import schemas
from dualgauge.engines.type_trees import named_type, usual
from dualgauge.eventlog.errors import BadReading
from dualgauge.eventlog.sources.readers import reader
from dualgauge.eventlog.sources.source import ANY_TYPE
from dualgauge.model import fold

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from dualgauge.engines.duck import Engine
    from dualgauge.eventlog.sources.source import Source


def with_own_types(engine: Engine, source: Source, files: Sequence[Path]) -> Source:
    """
    The source with the columns of its Parquet files, and those that are read as what `types` says.

    Raises:
        BadReading: `types` has what is no type.
    """
    said, own = said_types(source), _own_types(engine, source, files)
    cast = {
        file: {name: said[fold(name)] for name, kind in kinds.items() if said.get(fold(name), kind) != kind}
        for file, kinds in own.items()
    }
    source = replace(source, own=own, cast=cast)
    return replace(source, mixed=each_in_its_own_type(source, ()))


def each_in_its_own_type(source: Source, also: Collection[str]) -> dict[Path, dict[str, str]]:
    """
    The columns of each Parquet file that others have in another type, with their types.

    `also` are others, by their names in small letters, of which a text is made: it is that of their own file's type.
    """
    types = {file: {**own, **source.cast[file]} for file, own in source.own.items()}
    kinds: dict[str, set[str]] = {}
    for name, kind in chain.from_iterable(columns.items() for columns in types.values()):
        kinds.setdefault(fold(name), set()).add(kind)
    several = {name for name, found in kinds.items() if len(found) > 1} | set(also)
    return {
        file: found
        for file, columns in types.items()
        if (found := {name: kind for name, kind in columns.items() if fold(name) in several})
    }


def said_types(source: Source) -> dict[str, str]:
    """What `types` says of columns, by their names in small letters. Raises BadReading where it has what is no type."""
    found = {}
    for name, kind in (source.settings.read.get("types") or {}).items():
        if (one := named_type(str(kind))) is None:
            advice = 'say it as {amount = "DECIMAL(18,2)"}, with a type of the engine\'s'
            raise BadReading(source.name, BadDialect("types", f"has {kind!r}", advice))
        found[fold(name)] = one
    return found


def _own_types(engine: Engine, source: Source, files: Sequence[Path]) -> dict[Path, dict[str, str]]:
    """The columns with their types of each file; of none where one cannot be read, which is told later."""
    known: dict[object, dict[str, str]] = {}
    found = {}
    try:
        trees = schemas(engine, files) if files[1:] else {}
        for file in files:
            # Thousands of files are alike, and the names of their folders have types of their own.
            alike = tuple(map(tuple, trees.get(str(file), ())[1:])), "=" in str(file.parent) and file
            if alike not in known:
                known[alike] = engine.columns(f"SELECT * FROM {reader(source, file)}")
            found[file] = known[alike]
    except EngineError:
        return {}
    return found


def with_one_type(source: Source, needed: Collection[str]) -> Source:
    """
    The source with each Parquet column that an expression needs read as one type over all files.

    `needed` are their names in small letters; `kinds` has the types that they had in earlier imports. What is of
    another type is refused by `broken.refuse_cut`.
    """
    said, kinds = said_types(source), dict(source.kinds)
    columns = [
        (file, name, kind)
        for file, own in source.own.items()
        for name, kind in own.items()
        if fold(name) in needed and fold(name) not in said
    ]
    for _, name, kind in columns:
        if kind != ANY_TYPE:
            kinds.setdefault(fold(name), usual(kind))
    cast = {file: dict(one) for file, one in source.cast.items()}
    for file, name, kind in columns:
        # What has no value yet is a text, as in CSV: `coalesce(v, 0)` gives 0 or 0.0 by the type that comes.
        if (one := kinds.get(fold(name), "VARCHAR" if kind == ANY_TYPE else kind)) != kind:
            cast[file][name] = one
    untyped = {fold(name) for _, name, kind in columns if kind == ANY_TYPE and fold(name) not in kinds}
    return replace(source, kinds=kinds, cast=cast, untyped=untyped)

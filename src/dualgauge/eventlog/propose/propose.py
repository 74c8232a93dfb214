"""
A source proposed from a file or a table: which column is what, each choice measured over every row, with its reason.

What is proposed is run once over all of them before it is given: `log import` takes it as it is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dualgauge.engines.errors import BadValue
from dualgauge.eventlog.errors import BadRow
from dualgauge.eventlog.propose.errors import AlreadyASource, BadSourceName, NoSuchData
from dualgauge.eventlog.propose.infer import NAME, Choice, Proposal, slug
from dualgauge.eventlog.propose.profile import look
from dualgauge.eventlog.propose.tables import given_table, look_at_table
from dualgauge.eventlog.settings import SourceSettings
from dualgauge.eventlog.sources.diagnose import diagnose
from dualgauge.eventlog.sources.mapping import select
from dualgauge.eventlog.sources.source import Source, keywords, matches, told
from dualgauge.model import Progress, silent
from dualgauge.project import edit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dualgauge.engines.duck import Engine
    from dualgauge.eventlog.propose.profile import FileProfile
    from dualgauge.eventlog.propose.tables import GivenTable
    from dualgauge.project.project import Project


@dataclass(frozen=True, slots=True)
class Proposed:
    """A source for a file, and its TOML: lines for the declared columns, and the source's table."""

    proposal: Proposal
    columns: str
    source: str
    written: bool


def add(made: Proposal, project: Project, *, check: Callable[[Mapping[str, Any]], object], write: bool) -> Proposed:
    """
    A proposal as TOML; `write` adds it to the project's settings, once `check` let the whole table pass.

    Raises:
        CannotEdit: the file is in a form that cannot be added to, or cannot be written; nothing was.
    """
    new = {one.name: one.type for one in made.new_columns}
    columns = edit.columns(new, {one.name: one.told for one in made.new_columns})
    source = edit.stanza(made.table, made.why, made.heading)
    if write:
        edited = edit.with_source(project.file, new, columns, source)
        check(edited.raw)
        edited.write()
    return Proposed(made, columns, source, written=write)


def propose(
    engine: Engine,
    file: str,
    *,
    here: Path,
    root: Path,
    name: str | None = None,
    sources: Sequence[SourceSettings] = (),
    declared: Mapping[str, str] | None = None,
    progress: Progress = silent,
) -> Proposal:
    """
    Look at a file, at all files of a glob, or at a table, and propose the source that reads them.

    Args:
        engine: reads the files, each of them whole.
        file: a path or glob, relative to `here`; or `URL#table`, `shop.db#orders`.
        here: the folder of the call.
        root: the project's folder; a path in it is written relative to it.
        name: the source's name; by default it is taken from the file's.
        sources: what the project has.
        declared: the project's declared columns.
        progress: told the steps.

    Raises:
        NoSuchData, NothingToRead, NoHeader, UnreadableSource, UnknownFormat: there is nothing to propose from.
        NoTableGiven, NoCursor, NoIdentity, PasswordInUrl, NamesByCase: a table cannot be a source as it is.
        NoTime: no column tells when a row happened.
        BadSourceName: the name is no source's.
        AlreadyASource, DeclaredOtherwise: it does not fit what the project has.
        and, for a table, what `look_at_table` raises.
    """
    known = dict(declared or {})
    given = given_table(file, here, lambda path: _path(path, here, root))
    progress("looking at every row", 0, None)
    found = (
        _of_file(engine, file, here, root=root, name=name, sources=sources)
        if given is None
        else _of_table(engine, given, root=root, name=name, sources=sources)
    )
    made = Choice(engine, found, keywords(engine)).made(known)
    progress("trying the source on every row", 0, None)
    return _tried(engine, found.source, made, known)


def _of_file(
    engine: Engine, file: str, here: Path, *, root: Path, name: str | None, sources: Sequence[SourceSettings]
) -> FileProfile:
    path = _path(file, here, root)
    wanted = _checked(_source_name(path) if name is None else name)
    blank = SourceSettings.model_validate({"name": wanted, "path": path, "type": "''", "occurred_at": "''"})
    is_folder = (here / file).is_dir()
    files = () if is_folder else tuple(matches(blank, root))
    if not files:
        raise NoSuchData(file, here, is_folder=is_folder)
    for one in sources:
        if one.path and (one.path == path or set(matches(one, root)) & set(files)):
            raise AlreadyASource(one.name, path, same_path=True)
    if wanted in {one.name for one in sources}:
        raise AlreadyASource(wanted, path, same_path=False)
    return look(engine, Source(settings=blank, root=root, files=files))


def _of_table(
    engine: Engine, given: GivenTable, *, root: Path, name: str | None, sources: Sequence[SourceSettings]
) -> FileProfile:
    # Not validated: which table, and its cursor, are found by looking.
    blank = SourceSettings.model_construct(name="", url=given.url, table=given.table)
    found = look_at_table(engine, Source(settings=blank, root=root))
    settings = found.source.settings
    named = slug(settings.table.rpartition(".")[2])
    wanted = _checked(name if name is not None else named if NAME.fullmatch(named) else f"source_{named}".rstrip("_"))
    for one in sources:
        if (one.url, one.table.lower()) == (settings.url, settings.table.lower()):
            raise AlreadyASource(one.name, found.label, same_path=True)
    if wanted in {one.name for one in sources}:
        raise AlreadyASource(wanted, found.label, same_path=False)
    return replace(found, source=replace(found.source, settings=settings.model_copy(update={"name": wanted})))


def _checked(name: str) -> str:
    """A source's name. Raises BadSourceName."""
    if not NAME.fullmatch(name.replace("-", "_")):
        raise BadSourceName(name)
    return name


def _path(file: str, here: Path, root: Path) -> str:
    """The path as it is written in the settings: relative to the project where it lies in it."""
    parts: list[str] = []
    for part in (here / file).absolute().parts:
        # Not `resolve`: a link keeps the name it has here, and a glob is no file.
        if part == ".." and parts:
            parts.pop()
        else:
            parts.append(part)
    path = Path(*parts)
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def _source_name(path: str) -> str:
    stem = Path(path).name
    for ending in (".gz", Path(stem.removesuffix(".gz")).suffix):
        stem = stem.removesuffix(ending)
    name = slug(stem.replace("*", "").replace("?", ""))
    return name if NAME.fullmatch(name) else f"source_{name}".rstrip("_")


def _tried(engine: Engine, source: Source, made: Proposal, declared: dict[str, str]) -> Proposal:
    """The proposal, after all its rows went through the mapping that an import uses. Raises BadRow."""
    columns = declared | {one.name: one.type for one in made.columns}
    real = replace(source, settings=made.settings)
    query = select(engine, real, columns, 0)
    try:
        engine.rows(f"SELECT count(COLUMNS(*)) FROM ({query})")
    except BadValue as fault:
        where, reason = diagnose(engine, real, columns, 0) or ("", told(fault))
        raise BadRow(real.name, where, reason) from fault
    return made

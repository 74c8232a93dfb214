"""What becomes of an import whose rows do not all fit: whether they may be set aside, and that they are kept."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dualgauge.eventlog.errors import BadMapping, BadRow
from dualgauge.eventlog.imports.errors import NotSetAside, TooManyBadRows
from dualgauge.eventlog.imports.rejects import NotToldApart, fit
from dualgauge.eventlog.sources.kept_rows import makes_own_events
from dualgauge.eventlog.sources.text_columns import with_texts

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from dualgauge.engines.duck import Engine
    from dualgauge.eventlog.sources.source import Source
    from dualgauge.ledger.misfit import Misfit
    from dualgauge.model import Progress


@dataclass(frozen=True, slots=True)
class Tolerance:
    """
    Rows that do not fit are set aside.

    Args:
        most: how many.
        keep: keeps them, before what fits is appended; gives how many of them wait. None in a dry run.
        known: the ids of rows that were set aside before.
        new: whether others may be set aside too; if not, the first of them stops the import.
    """

    most: int
    keep: Callable[[Sequence[Misfit]], int] | None = None
    known: Collection[str] = ()
    new: bool = True


def stage_what_fits(
    engine: Engine,
    columns: dict[str, str],
    sources: list[Source],
    stage: Callable[[Sequence[Source]], None],
    *,
    folder: Path,
    tolerance: Tolerance | None,
    progress: Progress,
) -> tuple[list[Source], Sequence[Misfit]]:
    """
    Stage all rows, or, where that fails and rows may be set aside, those that fit.

    Args:
        engine: the engine.
        columns: declared columns and their types.
        sources: what is read.
        stage: stages the rows of sources.
        folder: for copies of files.
        tolerance: what may be set aside; None for nothing.
        progress: told the steps.

    Returns:
        The sources without the rows that do not fit, and these rows.

    Raises:
        BadRow, BadMapping: what does not fit may not be set aside, or cannot be told from the rest.
        TooManyBadRows: there are too many.
    """
    try:
        read = [with_texts(engine, one, columns) for one in sources]
        stage(read)
    except (BadRow, BadMapping) as fault:
        if tolerance is None:
            raise
        progress("setting rows aside", 0, None)
        fitted, misfits = _fitting(engine, columns, sources, fault, folder=folder, tolerance=tolerance)
        stage(fitted)
        return fitted, misfits
    return read, ()


def kept(tolerance: Tolerance | None, misfits: Sequence[Misfit]) -> int:
    """
    Keep the rows that do not fit; gives how many wait.

    This comes before the commit whose cursor says that the source was taken in: killed in between, both are repeated.
    """
    if tolerance is None or tolerance.keep is None or not misfits:
        return len(misfits)
    return tolerance.keep(misfits)


def _fitting(
    engine: Engine,
    columns: dict[str, str],
    sources: Sequence[Source],
    fault: BadRow | BadMapping,
    *,
    folder: Path,
    tolerance: Tolerance,
) -> tuple[list[Source], Sequence[Misfit]]:
    """The sources without the rows that do not fit, and these; the strict way's error where they cannot be told."""
    try:
        fitted, misfits = fit(engine, sources, columns, folder / f"fit-{uuid.uuid4().hex}", most=tolerance.most)
    except NotToldApart as untold:
        if isinstance(untold.__cause__, BadMapping) and not isinstance(fault, BadMapping):
            # Without the rows that do not fit the settings do not, either.
            raise untold.__cause__ from fault
        fitted, misfits = [], []
    except TooManyBadRows:
        if tolerance.new:
            raise
        raise fault from None
    unknown = [] if tolerance.new else [one for one in misfits if one.id not in tolerance.known]
    if misfits and not unknown:
        return fitted, misfits
    if unknown:
        one = unknown[0]
        raise BadRow(one.source, replace(one, line=None).where, one.reason) from fault
    if isinstance(fault, BadMapping) or not tolerance.new:
        raise fault
    whose = next((one for one in sources if one.name == fault.source), None)
    several = whose is not None and not makes_own_events(whose)
    why = "its source may make an event of several rows" if several else "which row it is cannot be told"
    raise NotSetAside(fault, why) from fault

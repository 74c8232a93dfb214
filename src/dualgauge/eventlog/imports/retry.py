"""
Retry: rows of the quarantine are read again, with the settings as they are now, and those that fit are appended.

A row's text is read like the file that it came from, which may be gone by now: with the types that its columns had,
under its label and number, in folders of the same names, so that it becomes the event that it would have been. All rows
that were read alike are read in one pass. Events are appended first and rows marked then: killed in between, a second
retry finds the ids known, and marks.
"""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dualgauge.engines.errors import EngineError
from dualgauge.engines.files.column_types import NAN, NUMBER
from dualgauge.engines.files.text_rows import LINES, LineDialect
from dualgauge.engines.scratch import scratch
from dualgauge.eventlog.errors import BadFile, BadMapping
from dualgauge.eventlog.imports.read_as import (
    ESCAPED,
    MAPPING,
    csv_options,
    dialect_of,
    kept_kinds,
    kinds_of,
    table_of_values,
    value_fault,
)
from dualgauge.eventlog.imports.rejects import NotToldApart, Place, json_fault, kinds_anew, separate
from dualgauge.eventlog.imports.run import run_import
from dualgauge.eventlog.sources.copies import folder_for
from dualgauge.eventlog.sources.cursor import mapping_of
from dualgauge.eventlog.sources.json_values import define_json
from dualgauge.eventlog.sources.kept_rows import KeptRows
from dualgauge.eventlog.sources.mapping import described, events_of, row_mapping
from dualgauge.eventlog.sources.readers import raw_rows
from dualgauge.eventlog.sources.source import Part, Source, by_cursor, told
from dualgauge.ledger.misfit import RowState, Settled
from dualgauge.model import Position, Progress, canonical_json, fold, literal, nearest, silent

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from dualgauge.engines.duck import Engine
    from dualgauge.eventlog.settings import SourceSettings
    from dualgauge.eventlog.table.event_log import EventLog
    from dualgauge.ledger.misfit import QuarantinedRow
    from dualgauge.ledger.quarantine import Quarantine

_TOGETHER = 50
"""Files whose rows are read in one pass: to plan it takes longer than each by itself beyond that."""

LEFT_OUT = "the source's where leaves it out"
_AS_ESCAPES = "its text is kept with escapes (\\x00) for what is no text: give it by --with"
COMMENT = "the source's read says that it is a comment"
LEFT_OUT_BY_QUERY = "the source's query makes no event of it"


@dataclass(frozen=True, slots=True)
class Tried:
    """
    A row that was retried, as it was, and what became of it.

    `position` is that of its event; None where it has none, and in a dry run.
    """

    kept: QuarantinedRow
    state: RowState
    reason: str
    position: Position | None = None

    def to_json(self) -> dict[str, object]:
        """Its fields."""
        of = self.kept.misfit
        return {
            "id": self.kept.id, "source": of.source, "place": of.place, "row": of.row, "line": of.line,
            "state": self.state.value, "reason": self.reason, "position": self.position,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Retried:
    """What a retry did. `added` events are new in the log, whose head is `last`; others were known already."""

    rows: tuple[Tried, ...]
    added: int
    last: Position

    @property
    def waiting(self) -> int:
        """How many of the rows still do not fit."""
        return sum(one.state is RowState.WAITING for one in self.rows)


def retry(
    engine: Engine,
    log: EventLog,
    quarantine: Quarantine,
    chosen: Sequence[QuarantinedRow],
    settings: Sequence[SourceSettings],
    *,
    root: Path,
    now: datetime,
    sleep: Callable[[float], None],
    chance: random.Random,
    text: str | None = None,
    dry_run: bool = False,
    progress: Progress = silent,
) -> Retried:
    """
    Append what fits now of some rows, and mark it as taken; of what does not, keep the new reason.

    Args:
        engine: computes the mapping.
        log: where to.
        quarantine: where the rows are marked.
        chosen: rows that wait.
        settings: the sources as they are now.
        root: the project's folder.
        now: becomes `recorded_at`, and the time of the marks.
        sleep, chance: how to wait where another writer was quicker.
        text: what to read in the place of the one row's text. It is kept where it fits.
        dry_run: say what would be done.
        progress: told the steps.

    Raises:
        ChangedEvent: a row's event is in the log with other content; nothing was appended or marked.
    """
    known = {one.name: one for one in settings}
    outcomes: dict[str, Settled] = {}
    for one in chosen:
        if one.misfit.source not in known:
            near = nearest(one.misfit.source, known)
            outcomes[one.id] = _waits(one, f"no source is called {one.misfit.source!r} any more{near}")
    with scratch("retry") as folder:
        groups = _grouped([one for one in chosen if one.id not in outcomes], text)
        events: dict[str, str] = {}
        sources: list[Source] = []
        while groups:
            progress("reading rows again", len(outcomes) + len(events), len(chosen))
            group = groups.pop(0)
            source = known[group[0].kept.misfit.source]
            work = _Retry(engine, source, root, log.settings.columns, _seen(log, source))
            try:
                fitted, found, ids = work.read(group, folder)
            except (BadFile, BadMapping, EngineError, NotToldApart) as fault:
                if len(group) > 1:
                    # Which of them it is shows where each is read by itself.
                    groups[:0] = [[one] for one in group]
                else:
                    outcomes[group[0].kept.id] = _waits(group[0].kept, _why(fault))
                continue
            outcomes |= found
            events |= ids
            sources += fitted
        done = None
        if sources:
            done = run_import(
                engine, log, sources, now=now, dry_run=dry_run, sleep=sleep, chance=chance, progress=progress
            )
    positions = {} if dry_run else _positions(engine, log, list(events.values()))
    if not dry_run:
        # A text that was given and does not fit changes nothing: the reason would not be that of the kept one.
        others = [one for one in outcomes.values() if text is None or one.state is not RowState.WAITING]
        taken = [Settled(one.id, RowState.TAKEN, one.misfit.reason, text) for one in chosen if one.id in events]
        quarantine.settle([*others, *taken], at=now)
    rows = tuple(
        Tried(one, RowState.TAKEN, one.misfit.reason, positions.get(events[one.id]))
        if one.id in events
        else Tried(one, outcomes[one.id].state, outcomes[one.id].reason)
        for one in chosen
    )
    return Retried(rows, done.added if done else 0, done.last if done else log.head().last)


@dataclass(frozen=True, slots=True)
class _Member:
    """A row, the text that is read for it, and its place; one of its own where the row has none in its file."""

    kept: QuarantinedRow
    text: str
    place: Place


@dataclass(frozen=True, slots=True)
class _Retry:
    """
    Reads rows of one source again.

    `seen` are the columns that its files have by now, with the types that an import found; empty where it found none.
    """

    engine: Engine
    settings: SourceSettings
    root: Path
    columns: dict[str, str]
    seen: Mapping[str, str]

    def read(self, group: Sequence[_Member], folder: Path) -> tuple[list[Source], dict[str, Settled], dict[str, str]]:
        """
        The sources of those that fit, what becomes of the others, and the event ids of the former; by the rows' ids.

        Raises:
            BadFile, BadMapping, EngineError, NotToldApart: the rows cannot be read together.
        """
        sources: list[Source] = []
        outcomes: dict[str, Settled] = {}
        events: dict[str, str] = {}
        texts: list[_Member] = []
        dialect = dialect_of(group[0].kept.misfit.read_as, self.settings.read)
        for one in group:
            misfit = one.kept.misfit
            if misfit.read_as.get(ESCAPED) and one.text == misfit.raw:
                outcomes[one.kept.id] = _waits(one.kept, _AS_ESCAPES)
            elif dialect and (comment := self.settings.read.get("comment")) and one.text.startswith(comment):
                outcomes[one.kept.id] = _skipped(one.kept, COMMENT)
            elif fault := dialect.fault(one.text) if dialect else self._fault(one):
                outcomes[one.kept.id] = _waits(one.kept, fault)
            else:
                texts.append(one)
        of = group[0].kept.misfit.read_as
        for kinds, members in self._by_kinds(texts, dialect, of, folder):
            again = self._source(members, dialect, _new(folder), kinds)
            apart = separate(self.engine, again, self.columns, 0, _new(folder), most=len(members))
            ids = {} if apart.source.nothing else self._ids(apart.source)
            for one in members:
                if reason := apart.reasons.get(one.place):
                    outcomes[one.kept.id] = _waits(one.kept, reason)
                elif one.place in ids:
                    events[one.kept.id] = ids[one.place]
                else:
                    why = LEFT_OUT_BY_QUERY if self.settings.query else LEFT_OUT
                    outcomes[one.kept.id] = _skipped(one.kept, why)
            if ids:
                sources.append(apart.source)
        return sources, outcomes, events

    def _fault(self, one: _Member) -> str:
        """Why a text is no JSON object, or, in the place of values, has one that its column's type does not hold."""
        of = one.kept.misfit
        if (fault := json_fault(one.text)) or of.read_as["format"] != "values" or one.text == of.raw:
            return fault
        return value_fault(self.engine, of.read_as, one.text)

    def _by_kinds(
        self, texts: Sequence[_Member], dialect: LineDialect | None, of: Mapping[str, Any], folder: Path
    ) -> list[tuple[dict[str, str], list[_Member]]]:
        """
        The rows by the types that their columns have: those that were kept, as an import keeps them with its cursor.

        An import under other settings finds the types anew over all rows, these among them. So where the settings were
        mended, a column has another one for a row whose value is none of its type. A column of which no row had a value
        has the type that it got since, or that of the row's own value.
        """
        kept = kept_kinds(of)
        same = of.get(MAPPING) == mapping_of(self.settings)
        since = {fold(name): kind for name, kind in self.seen.items() if kind}
        own = set(map(fold, kinds_of(of)))
        kept = {name: kind for name, kind in since.items() if name in own} | kept
        if not texts or of["format"] == "values" or (same and own <= kept.keys()):
            return [(kept, list(texts))] if texts else []
        again = self._source(texts, dialect, _new(folder), kept)
        found = kinds_anew(self.engine, again, self.columns, _new(folder))
        groups: dict[str, tuple[dict[str, str], list[_Member]]] = {}
        for one in texts:
            anew = found.get(one.place, {})
            kinds = {**anew, **kept} if same else {**kept, **anew}
            groups.setdefault(canonical_json(kinds), (kinds, []))[1].append(one)
        return list(groups.values())

    def _source(
        self, texts: Sequence[_Member], dialect: LineDialect | None, folder: Path, had: Mapping[str, str]
    ) -> Source:
        """What is read for the rows; `had` are the types that their columns have."""
        of = texts[0].kept.misfit.read_as
        kinds = kinds_of(of)
        known = {fold(name) for name in (*kinds, *dict(of.get("beside", ())))}
        # An expression may name a column that came with a later file.
        new = {
            name: "VARCHAR" if kind in ("", NUMBER, NAN) else kind
            for name, kind in self.seen.items()
            if fold(name) not in known
        }
        places: dict[str, list[_Member]] = {}
        for one in texts:
            places.setdefault(one.place[0], []).append(one)
        if of["format"] == "values":
            ((label, members),) = places.items()
            relation = f"_again_{folder.name}"
            define_json(self.engine)
            values = {**of, "columns": [*of["columns"], *map(list, new.items())]}
            self.engine.execute(
                table_of_values(relation, values, [one.text for one in members], ordered=by_cursor(self.settings))
            )
            part = Part(self.root, self.root, numbers=[row for _, row in (one.place for one in members)], label=label)
            return Source(self.settings, self.root, (), (part,), again=True, relation=relation)
        read = {**self.settings.read, "format": LINES} if dialect is None else csv_options(of, self.settings.read)
        header = [_header(dialect)] if dialect else []
        parts = []
        for number, (label, members) in enumerate(places.items()):
            lines = [one.text if dialect else _in_a_line(one.text) for one in members]
            of_row = self.root / label
            file = folder_for(of_row, folder / str(number)) / f"rows.{'csv' if dialect else 'jsonl'}"
            file.write_text("\n".join([*header, *lines]) + "\n", encoding="utf-8", newline="")
            parts.append(Part(of_row, file, numbers=[row for _, row in (one.place for one in members)], label=label))
        settings = self.settings.model_copy(update={"read": read})
        others = new | dict(of.get("beside", ()))
        beside = others if dialect else dict.fromkeys(kinds, "VARCHAR") | others
        files = tuple(one.file for one in parts)
        return Source(settings, self.root, files, tuple(parts), again=True, beside=beside, kinds=had)

    def _ids(self, fitted: Source) -> dict[Place, str]:
        # Settings that fit the types of other rows may not fit those of these.
        events_of(self.engine, fitted, self.columns, 0)
        if fitted.settings.query:
            return KeptRows(self.engine, fitted, self.columns, 0).ids()
        base = raw_rows(fitted, 0, placed=True)
        available = described(self.engine, fitted, base, ())
        mapped = row_mapping(base, fitted.expressions, self.columns, available, placed=True)
        rows = self.engine.rows(f"SELECT _file, _row, event_id FROM ({mapped})")
        return {(file, row): event_id for file, row, event_id in rows}


def _skipped(one: QuarantinedRow, why: str) -> Settled:
    return Settled(one.id, RowState.SKIPPED, f"{one.misfit.reason} ({why})")


def _seen(log: EventLog, source: SourceSettings) -> dict[str, str]:
    """The columns that an import saw in a source's files, with their types; empty where these are not known."""
    cursor = log.head().cursors.get(source.name, {})
    types = cursor.get("types", {}) if cursor.get("mapping") == mapping_of(source) else {}
    return {name: types.get(fold(name), "") for name in cursor.get("columns", ())}


def _grouped(chosen: Sequence[QuarantinedRow], text: str | None) -> list[list[_Member]]:
    """Rows that can be read together: read alike, no place twice; rows that are values are of one file, too."""
    groups: dict[tuple[object, ...], list[_Member]] = {}
    files: dict[tuple[str, str], dict[str, int]] = {}
    times: Counter[tuple[str, str, int | None]] = Counter()
    for one in chosen:
        of = one.misfit
        alike = (of.source, canonical_json(of.read_as))
        label = of.place if of.row is not None else ""
        known = files.setdefault(alike, {})
        together = 1 if of.read_as.get("format") == "values" else _TOGETHER
        where = (of.source, of.place, of.row)
        key = (*alike, known.setdefault(label, len(known)) // together, times[where] if of.row is not None else 0)
        times[where] += 1
        group = groups.setdefault(key, [])
        number = len(group) + 1 if of.row is None else of.row
        group.append(_Member(one, of.raw if text is None else text, (label, number)))
    return list(groups.values())


def _header(dialect: LineDialect) -> str:
    """A line where names are due, which nobody reads: they are said, for without quotes not all can be written."""
    mark = next(one for one in "abcd" if one not in (dialect.delimiter, dialect.quote, dialect.escape))
    return dialect.delimiter.join([mark] * dialect.columns)


def _in_a_line(text: str) -> str:
    """A JSON text in one line: between its parts a line's end is a blank, and in a string of it none can stand."""
    return text.replace("\r", " ").replace("\n", " ")


def _new(folder: Path) -> Path:
    """An empty folder in another one."""
    found = folder / uuid.uuid4().hex
    found.mkdir()
    return found


def _positions(engine: Engine, log: EventLog, ids: Sequence[str]) -> dict[str, Position]:
    head = log.head().last
    if not ids or not head:
        return {}
    wanted = ", ".join(map(literal, ids))
    found = engine.rows(f"SELECT event_id, position FROM ({log.relation(head)}) WHERE event_id IN ({wanted})")
    return {event_id: Position(position) for event_id, position in found}


def _waits(one: QuarantinedRow, reason: str) -> Settled:
    return Settled(one.id, RowState.WAITING, reason)


def _why(fault: BadFile | BadMapping | EngineError | NotToldApart) -> str:
    match fault:
        case EngineError():
            return f"it cannot be read ({told(fault)})"
        case BadFile():
            return f"it cannot be read ({fault.reason})"
        case BadMapping():
            return f"its source's settings do not fit ({fault.reason})"
        case _:
            return "it cannot be read as one row"

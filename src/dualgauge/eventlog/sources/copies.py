"""
Parts of files that are read from a copy: the end of a grown file, a file without its torn line, a file that moves.

An end alone would not tell the file's columns: one row may lack most of them, and have NULL in the others. The copy of
an end begins with the file's first rows, as many as DuckDB looks at for a file's columns, and these are not read again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualgauge.engines.errors import EngineError
from dualgauge.eventlog.errors import UnsteadyFile
from dualgauge.eventlog.sources.fingerprints import copy_bytes, copy_lines, moved
from dualgauge.eventlog.sources.source import Part, reader

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from dualgauge.engines.duck import Engine
    from dualgauge.eventlog.sources.cursor import FileReading, SourceReading

SAMPLE = 20_480
"""Rows that DuckDB looks at for the columns of a JSONL file."""


class Copies:
    """The copies of one import, in a folder that is removed with them."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self._engine = engine
        self._folder = folder
        self.parts: dict[Path, Part] = {}

    def prepare(self, readings: Iterable[SourceReading]) -> None:
        """Copy what cannot be read where it lies. Raises UnsteadyFile."""
        for reading in readings:
            for one in reading.files:
                if one.file not in self.parts and (one.tail or one.print.torn):
                    self._copy(reading, one)

    def steady(self, readings: Iterable[SourceReading]) -> bool:
        """
        Whether every file that was read is still the one whose fingerprint was taken; those that are not are copied.

        Raises:
            UnsteadyFile: the bytes that the fingerprint is of are gone.
        """
        all_are = True
        for reading in readings:
            for one in reading.files:
                if one.file not in self.parts and moved(one.file, one.print.state):
                    self._copy(reading, one)
                    all_are = False
        return all_are

    def _copy(self, reading: SourceReading, one: FileReading) -> None:
        # A folder of its own, and under it those whose names DuckDB reads as columns (`year=2026/`).
        folder = self._folder.joinpath(str(len(self.parts)), *(name for name in one.file.parts[:-1] if "=" in name))
        folder.mkdir(parents=True)
        target, start, skip = folder / one.file.name, 0, 0
        before: int | None = 0
        if one.tail and one.taken is not None and one.taken.size is not None:
            start, before = one.taken.size, one.taken.rows
            copy_lines(one.file, target, int(reading.source.settings.read.get("sample_size", SAMPLE)), start)
            try:
                if target.read_bytes().strip():
                    (skip,) = self._engine.row(f"SELECT count(*) FROM {reader(reading.source, target)}")
            except EngineError:
                # Rows that do not fit are among the first: with all of it read, they are set aside anew.
                start, before = 0, 0
                target.unlink()
        if not copy_bytes(one.file, target, start, one.print.size, one.print.end if start else one.print.sha256):
            raise UnsteadyFile(reading.source.name, one.label)
        self.parts[one.file] = Part(one.file, target, start, before, skip)

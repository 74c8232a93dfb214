"""Parts of files that are read from a copy: the end of a grown file, a file without its torn line, one that moves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualgauge.eventlog.errors import UnsteadyFile
from dualgauge.eventlog.sources.fingerprints import copy_bytes, moved
from dualgauge.eventlog.sources.source import Part

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from dualgauge.eventlog.sources.cursor import FileReading, SourceReading


class Copies:
    """The copies of one import, in a folder that is removed with them."""

    def __init__(self, folder: Path) -> None:
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
        target, start = folder_for(one.file, self._folder / str(len(self.parts))) / one.file.name, 0
        before: int | None = 0
        if one.tail and one.taken is not None and one.taken.size is not None:
            start, before = one.taken.size, one.taken.rows
        if not copy_bytes(one.file, target, start, one.print.size, one.print.end if start else one.print.sha256):
            raise UnsteadyFile(reading.source.name, one.label)
        self.parts[one.file] = Part(one.file, target, start, before)


def folder_for(file: Path, folder: Path) -> Path:
    """Make a folder for the copy of a file, under those whose names are columns of the file (`year=2026/`)."""
    inner = folder.joinpath(*(name for name in file.parts[:-1] if "=" in name))
    inner.mkdir(parents=True)
    return inner

"""
Where a log's files are: a folder of this machine, or an object store.

An event file is never changed once it is named, so what comes from an object store is fetched once and kept on this
machine: DuckDB reads files here, whatever the log is kept in. A copy is only ever as good as its size says; `log
verify` reads the store itself.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import socket
import uuid
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any, Final, Protocol, cast

from dualgauge.errors import keep_secret_value
from dualgauge.eventlog.errors import BadLogPath
from dualgauge.eventlog.settings import is_address
from dualgauge.model import sha256
from dualgauge.project.environment import expand

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

STAGING = "_staging"
"""Folder of files not yet committed; Delta readers ignore names that start with an underscore."""

COMMITS = "_delta_log"
"""Folder of the commits, as Delta has it."""

FIRST_COMMIT: Final = f"{COMMITS}/{0:020d}.json"
"""The commit that made the table."""

_MISREAD: Final = re.compile(r"[#?\\]|%[0-9A-Fa-f]{2}")
"""Seen: the Delta library makes an address of a path and does not get back to the same path where it holds these."""

_CHUNK = 1 << 20


class Place(Protocol):
    """What the log asks of where it is kept. Names are relative to it."""

    @property
    def shown(self) -> str:
        """The place as messages name it."""

    @property
    def uri(self) -> str:
        """The place as the Delta library is told of it."""

    @property
    def options(self) -> dict[str, str] | None:
        """What the Delta library needs to get there; None on this machine."""

    @property
    def work(self) -> Path:
        """A folder of this machine for what is staged, and for what can be made again from the log."""

    def there(self) -> bool:
        """Whether there may be anything."""

    def born(self) -> object:
        """What tells this log from another one that is put into its place; None where there is none, or none known."""

    def local(self, name: str, size: int) -> Path:
        """A file of `size` bytes as a path of this machine."""

    def publish(self, staged: Path, name: str) -> None:
        """Give a staged file its name in the log, so that a crash cannot lose it."""

    def withdraw(self, name: str, staged: Path) -> None:
        """Take that back: the file is a staged one again."""

    def opened(self, name: str) -> Any:  # noqa: ANN401  (a context manager that gives a binary file)
        """A file to read from its beginning. Raises FileNotFoundError."""

    def names(self, folder: str = "") -> list[str]:
        """The names of the files in a folder, sorted; none where there is no such folder."""

    def remove(self, name: str) -> None:
        """Remove a file; nothing where there is none."""


class Folder:
    """A folder of this machine."""

    options: dict[str, str] | None = None

    def __init__(self, path: Path) -> None:
        if found := _MISREAD.search(str(path.absolute())):
            raise BadLogPath(path, found[0])
        self.path = path
        self.shown = str(path)
        self.uri = str(path)
        self.work = path

    def there(self) -> bool:
        """Whether the folder exists."""
        return self.path.exists()

    def born(self) -> object:
        """The file of its first commit, which is never written again, and what stands in it: the table's id."""
        try:
            with self.opened(FIRST_COMMIT) as file:
                found = os.fstat(file.fileno())
                return found.st_dev, found.st_ino, file.read()
        except OSError:
            # Also one that nobody may read: a log with a checkpoint opens without it.
            return None

    def local(self, name: str, size: int) -> Path:  # noqa: ARG002  (the port's signature)
        """The file itself."""
        return self.path / name

    def publish(self, staged: Path, name: str) -> None:
        """Flush and move it."""
        make_durable(staged, self.path / name)

    def withdraw(self, name: str, staged: Path) -> None:
        """Move it back, where it was moved."""
        with suppress(FileNotFoundError):
            (self.path / name).replace(staged)

    def opened(self, name: str) -> IO[bytes]:
        """The file, open."""
        return (self.path / name).open("rb")

    def names(self, folder: str = "") -> list[str]:
        """The folder's files."""
        where = self.path / folder
        return sorted(file.name for file in where.iterdir() if file.is_file()) if where.is_dir() else []

    def remove(self, name: str) -> None:
        """Unlink it."""
        (self.path / name).unlink(missing_ok=True)


class ObjectStore:
    """A prefix of an object store; `work` is a folder of this machine where copies are kept."""

    def __init__(self, uri: str, options: Mapping[str, str], work: Path) -> None:
        self.uri = uri.rstrip("/")
        self.shown = self.uri
        self.options: dict[str, str] | None = dict(options)
        self.work = work

    def there(self) -> bool:
        """Nobody knows before the Delta library has asked."""
        return True

    def born(self) -> object:
        """Not known: it would cost a journey at each look."""
        return None

    def local(self, name: str, size: int) -> Path:
        """The copy of this machine, fetched where there is none."""
        copy = self.work / name
        if copy.is_file() and copy.stat().st_size == size:
            return copy
        copy.parent.mkdir(parents=True, exist_ok=True)
        part = copy.with_name(f"{name}.{uuid.uuid4().hex}.part")
        try:
            with self.opened(name) as source, part.open("wb") as target:
                shutil.copyfileobj(source, target, _CHUNK)
            part.replace(copy)
        finally:
            part.unlink(missing_ok=True)
        return copy

    def publish(self, staged: Path, name: str) -> None:
        """Upload it; what was staged is this machine's copy."""
        # With a buffer larger than a chunk pyarrow hands over bytes; else a buffer of its own, which is not taken.
        stream = self._handler().open_output_stream(name, compression=None, buffer_size=8 * _CHUNK)
        with staged.open("rb") as source, stream as target:
            while chunk := source.read(_CHUNK):
                target.write(chunk)
        staged.replace(self.work / name)

    def withdraw(self, name: str, staged: Path) -> None:
        """Delete it there, and keep the copy."""
        with suppress(FileNotFoundError):
            (self.work / name).replace(staged)
        self.remove(name)

    @contextmanager
    def opened(self, name: str) -> Iterator[Any]:
        """The object as a file."""
        with self._handler().open_input_stream(name) as source:
            yield source

    def names(self, folder: str = "") -> list[str]:
        """The objects right below a prefix."""
        from pyarrow.fs import FileSelector, FileType

        found = self._handler().get_file_info(FileSelector(folder, allow_not_found=True))
        return sorted(one.base_name for one in found if one.type == FileType.File)

    def remove(self, name: str) -> None:
        """Delete it."""
        (self.work / name).unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            self._handler().delete_file(name)

    def _handler(self) -> Any:  # noqa: ANN401  (pyarrow carries no types)
        from deltalake.fs import DeltaStorageHandler
        from pyarrow.fs import PyFileSystem

        return PyFileSystem(cast("Any", DeltaStorageHandler(self.uri, self.options)))


def make_durable(staged: Path, final: Path) -> None:
    """Flush the file, move it into place, flush the folder: a commit must not name a file that a crash can lose."""
    with staged.open("rb") as file:
        os.fsync(file.fileno())
    staged.replace(final)
    folder = os.open(final.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def place_of(path: str, options: Mapping[str, str], root: Path) -> Place:
    """
    The place that settings name.

    Args:
        path: a folder, relative to the project or absolute, or the address of a prefix in an object store.
        options: what the store needs; `${NAME}` is an environment variable.
        root: the project's folder.

    Raises:
        BadLogPath: the Delta library would take the folder for another one.
        NoVariable: a variable is not set.
    """
    if not is_address(path):
        return Folder(root / path)
    opened = {name: expand(value, f"tool.dualgauge.log.storage_options.{name}") for name, value in options.items()}
    for name, value in options.items():
        if "${" in value:
            keep_secret_value(opened[name])
    return ObjectStore(path, opened, root / ".dualgauge" / "copies" / sha256(path.rstrip("/"))[:16])


def digest(place: Place, name: str) -> str:
    """SHA-256 over a file's bytes as they are in the place now, in hex. Raises FileNotFoundError."""
    found = hashlib.sha256()
    with place.opened(name) as file:
        while chunk := file.read(_CHUNK):
            found.update(chunk)
    return found.hexdigest()


def leftovers(work: Path) -> list[Path]:
    """What processes have staged on this machine and not removed."""
    folder = work / STAGING
    return sorted(folder.iterdir()) if folder.is_dir() else []


def staging_path(work: Path, name: str) -> Path:
    """A path for a file that is being written; it is on the disk of `work`, so that moving it is one step."""
    folder = work / STAGING
    folder.mkdir(parents=True, exist_ok=True)
    return folder / name


def own_name(what: str) -> str:
    """A name for something staged: it says whose it is, and is there once."""
    return f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex}-{what}"


def unsynced(work: Path, path: Path, data: bytes) -> None:
    """Write a file that can be made again: whole under its name, or not there; nothing is flushed."""
    part = staging_path(work, own_name(path.suffix[1:]))
    try:
        part.write_bytes(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)

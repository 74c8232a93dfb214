"""What may be named as one side of a comparison: a file, a pattern of files, or a table of a database."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dualgauge.comparison.errors import NoSource
from dualgauge.comparison.files.read_files import found_files, is_pattern, kind_of
from dualgauge.stores.table_name import named_table

_ELSEWHERE: Final = frozenset(("http", "https", "ftp", "s3", "gs", "gcs", "az", "abfs", "abfss", "hf"))


@dataclass(frozen=True, slots=True)
class Location:
    """A side that was named, parted: files of a kind, or a table of a database."""

    shown: str
    kind: str
    files: tuple[Path, ...] = ()
    database: str | Path = ""
    table: str = ""


def is_source(text: str) -> bool:
    """Whether a word of the command line names a file or a table, rather than a comparator."""
    return named_table(text) is not None or kind_of(text) is not None or is_pattern(text) or _is_there(text)


def _is_there(text: str) -> bool:
    path = Path(text)
    try:
        # A folder called like a comparator is no side; `./old` is one that nobody could mean otherwise.
        return path.is_file() or (path.exists() and not text.isidentifier())
    except OSError:
        # Longer than any file's name.
        return False


def parted(given: str | Path) -> Location:
    """
    A name, parted.

    Raises:
        NoSource: it names nothing that can be compared.
    """
    text = str(given)
    scheme = text.partition("://")[0].lower() if "://" in text else ""
    if scheme in _ELSEWHERE:
        raise NoSource(text, "files are read from this machine's disk only: download it first")
    if scheme == "file":
        raise NoSource(text, "give a file by its path alone")
    if named := named_table(text):
        database, table = named
        shown = text if isinstance(database, Path) else _shown(database, table)
        return Location(shown, "table", database=database, table=table)
    kind, files = found_files(text)
    if kind == "sqlite":
        if len(files) > 1:
            raise NoSource(text, "a pattern cannot stand for several databases")
        return Location(text, "table", database=files[0])
    return Location(text, kind, tuple(files))


def _shown(url: str, table: str) -> str:
    from dualgauge.stores.urls import shown_url

    return f"{shown_url(url)}#{table}" if table else shown_url(url)

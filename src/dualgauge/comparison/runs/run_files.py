"""The files of a run: what they were when it was finished, and whether they are that now. Loads nothing heavy."""

from __future__ import annotations

import errno
import hashlib
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


RESULT: Final = "diff.json"
"""The file of a diff that says all that it found."""

MISMATCHES: Final = "mismatches.parquet"
"""The file of a diff that has every key that differs."""


class FileState(StrEnum):
    """What became of a file. One that is gone was tidied away, perhaps: what counts is in the ledger."""

    UNCHANGED = "unchanged"
    CHANGED = "changed"
    GONE = "gone"


def file_hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of each file in a run's folder, in hex, by name: what a run's summary keeps as `files`."""
    return {file.name: _hash(file) for file in sorted(folder.iterdir()) if file.is_file()}


def file_states(folder: Path, summary: Mapping[str, object] | None) -> dict[str, FileState]:
    """What became of each file that a run's summary names; nothing for a run that kept none."""
    kept = (summary or {}).get("files")
    if not isinstance(kept, dict):
        return {}
    return {str(name): _state(folder / str(name), str(was)) for name, was in kept.items()}


def _state(file: Path, was: str) -> FileState:
    try:
        return FileState.UNCHANGED if _hash(file) == was else FileState.CHANGED
    except FileNotFoundError:
        return FileState.GONE
    except OSError:
        # Something else stands there, or nobody may read it: not what the run wrote.
        return FileState.CHANGED


def _hash(file: Path) -> str:
    if not file.is_file() and file.exists():
        # To open a pipe waits for who writes into it.
        raise OSError(errno.EINVAL, "it is no file")
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()

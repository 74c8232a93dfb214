"""
The digest chain, scheme 1: what makes a change of the log show.

A commit's digest is SHA-256 over the bytes of its Parquet file. The chain is
SHA-256(previous || first || last || digest), previous and digest as their 32 bytes, first and last as 8 bytes,
big-endian; before the first commit, previous is 32 zero bytes. It stands in the commit's metadata and in the
ledger, so that neither can be changed alone.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

GENESIS = "0" * 64
"""The chain before the first commit."""


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def link(previous: str, first: int, last: int, digest: str) -> str:
    """The chain after a commit of the positions `first` to `last`, in hex."""
    return hashlib.sha256(
        bytes.fromhex(previous) + first.to_bytes(8, "big") + last.to_bytes(8, "big") + bytes.fromhex(digest)
    ).hexdigest()

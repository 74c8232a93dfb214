"""Which processes hold a file."""

from __future__ import annotations

import os
from pathlib import Path


def holders(file: Path) -> list[int]:
    """The processes that hold a file for writing, where the system tells (Linux)."""
    try:
        both = (file, file.with_name(f"{file.name}-shm"))
        inodes = {one.stat().st_ino for one in both if one.exists()}
        fields = [line.split() for line in Path("/proc/locks").read_text(encoding="ascii").splitlines()]
    except OSError:
        return []
    # 7: POSIX  ADVISORY  WRITE 1234 08:01:5678 120 120
    return sorted(
        {int(one[4]) for one in fields if one[3:4] == ["WRITE"] and int(one[5].rpartition(":")[2]) in inodes}
        - {os.getpid()}
    )

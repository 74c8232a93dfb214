"""Late events: which windows of time, older than the newest one that a build has, a batch changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa


def old_windows(changed: pa.ChunkedArray, newest: object) -> tuple[int, Any]:
    """
    How many windows that a batch changes are older than the newest one before it, and the newest one after it.

    Args:
        changed: the windows of the batch's groups, as they are stored; such values are in the order of time.
        newest: the newest window that the build has; None where it has none.
    """
    # Imported here: a tail whose views have no windows does without.
    import pyarrow.compute as pc

    last = pc.max(changed).as_py()
    if newest is None or last is None:
        return 0, last if newest is None else newest
    older = pc.count_distinct(pc.filter(changed, pc.less(changed, newest))).as_py()
    return int(older), max(last, newest)

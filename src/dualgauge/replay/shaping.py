"""Before a replay: the store's shapes are brought to the views, or the replay is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from dualgauge.replay.run import shape_of
from dualgauge.stores.errors import MissingShape

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dualgauge.stores.serving.migrations import Revision
    from dualgauge.stores.serving.port import BuildStore
    from dualgauge.views.definition import ViewDefinition


def shape_store(
    store: BuildStore, folder: Path, views: Sequence[ViewDefinition], *, mode: Literal["auto", "manual"], dry_run: bool
) -> tuple[Revision | None, tuple[Revision, ...]]:
    """
    Bring the store's shapes to the views; gives the revision that was written and those that were applied.

    Raises:
        MissingShape: shapes are missing, and the user writes and applies revisions by hand.
    """
    shapes = [shape_of(one) for one in views]
    if mode == "manual":
        missing = store.missing(folder, shapes)
        if missing:
            raise MissingShape(missing)
        return None, ()
    if dry_run:
        return None, ()
    applied = store.upgrade(folder, shapes)
    written = store.revise(folder, shapes)
    if written is not None:
        applied += store.upgrade(folder, shapes)
    return written, tuple(applied)

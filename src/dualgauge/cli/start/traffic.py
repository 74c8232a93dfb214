"""What `dualgauge demo --traffic` does: reads of a project's views by the router, so that a ramp can be watched."""

from __future__ import annotations

import itertools
import random
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dualgauge.errors import ConflictError
from dualgauge.ledger.values import percent_text
from dualgauge.model import NextStep, Side
from dualgauge.project.environment import expand
from dualgauge.stores.settings import URL_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.console import Console

    from dualgauge.migration import Migration
    from dualgauge_router.reader import Reader
    from dualgauge_router.router import Router

    Asked = tuple[str, tuple[Any, ...]]
    """A view, and a key of it."""

CUSTOMERS: Final = 5_000
_KEYS: Final = 1_000
"""Keys of each view that are read."""

_TURN: Final = 0.01
"""Seconds from one handful of reads to the next."""

_OURS: Final = ("v1", "v2", "v2_error", "v2_timeout", "v1_error")
_OF_SHADOWS: Final = ("matched", "mismatched", "pending", "lag", "dropped")


class NothingToRead(ConflictError):
    """A project of which no view can be read on both sides."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        super().__init__(
            f"{folder} has no view with rows on both sides, so nothing was read; play the demo first, or replay",
            next_steps=(NextStep("dualgauge demo", "play the demo"), NextStep("dualgauge replay", "build the views")),
        )


def store_url(migration: Migration) -> str:
    """The URL of a project's serving store, with `{side}` in it and a path that counts from nowhere."""
    settings = migration.settings.store
    # Which tells what is wrong with the setting.
    settings.opened_url(Side.V1)
    place = expand(settings.url, URL_KEY).removeprefix("sqlite:///")
    return f"sqlite:///{migration.project.root / place}"


def skewed(count: int, chosen: random.Random) -> Iterator[int]:
    """Numbers below a count, the first ones most often: the n-th as often as 1/n, as customers and pages are."""
    weights = list(itertools.accumulate(1 / (place + 1) for place in range(count)))
    while True:
        yield from chosen.choices(range(count), cum_weights=weights, k=100)


def keys_of(reader: Reader, views: Sequence[str]) -> list[Asked]:
    """Keys of v1's views, those of all views in turns; of views that can be read on both sides."""
    found = []
    for view in views:
        page = reader.v1.page(view, limit=_KEYS)
        key = reader.v1.key(view)
        if page.rows and list(reader.v2.key(view)) == list(key):
            found.append([(view, tuple(row[name] for name in key)) for row in page.rows])
    return [one for several in itertools.zip_longest(*found) for one in several if one is not None]


def run(
    folder: Path, rate: int, screen: Console, *, seconds: float | None = None,
    clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep,
) -> None:  # fmt: skip
    """
    Read until Ctrl-C, and say each second what came of it.

    Args:
        folder: the project.
        rate: reads a second.
        screen: where it is told.
        seconds: for how long; None until Ctrl-C.
        clock: seconds that only go forward.
        sleep: waits for so many.

    Raises:
        NothingToRead: no view has rows on both sides.
    """
    import dualgauge

    migration = dualgauge.open(folder)
    with dualgauge.Router(ledger=migration.ledger_url, migration=migration.settings.migration) as router:
        reader = router.reader(store_url(migration))
        served = Counter(one.view for one in migration.status().views if one.build)
        asked = keys_of(reader, sorted(name for name, sides in served.items() if sides == len(Side)))
        if not asked:
            raise NothingToRead(folder)
        views = ", ".join(sorted({view for view, _ in asked}))
        screen.print(
            f"reading {views} {rate:,} times a second, for {CUSTOMERS:,} customers; Ctrl-C ends it. Move the share in "
            f"another terminal: cd {folder} && dualgauge switch --percent 10",
            soft_wrap=True,
        )
        chosen = random.Random(folder.name)  # noqa: S311  (made-up reads)
        customers, keys = skewed(CUSTOMERS, chosen), skewed(len(asked), chosen)
        begun, done, told = clock(), 0, 0
        try:
            while seconds is None or clock() - begun < seconds:
                due = int((clock() - begun) * rate)
                for _ in range(min(due - done, rate)):
                    view, key = asked[next(keys)]
                    reader.get(view, key, unit=f"customer-{next(customers)}", timeout=1.0)
                # Reads that were not made in time are not made up for.
                done = due
                if clock() - begun >= told + 1:
                    told += 1
                    _tell(screen, router)
                sleep(_TURN)
        except KeyboardInterrupt:
            pass
        _tell(screen, router, "in all: ")
        reader.close()


def _tell(screen: Console, router: Router, head: str = "") -> None:
    """One line: the share, and how many reads came to what since the router was made."""
    served, shadows = (
        sum((Counter(one) for one in counts.values()), Counter[str]())
        for counts in (router.counts(), router.shadow_counts())
    )
    decision = router.decide("nobody")
    said = [f"{name} {served[name]:,}" for name in _OURS if name in ("v1", "v2") or served[name]]
    compared = [f"{name} {shadows[name]:,}" for name in _OF_SHADOWS if shadows[name]]
    others = sum(shadows.values()) - sum(shadows[name] for name in _OF_SHADOWS)
    compared += [f"other {others:,}"] if others else []
    line = f"{head}{percent_text(decision.share_ppm)} % on v2; {', '.join(said)}"
    screen.print(f"{line}{'; shadows: ' if compared else ''}{', '.join(compared)}", soft_wrap=True)

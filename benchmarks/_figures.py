"""What every benchmark prints: figures as medians, as ratios to a floor, with the bar that is promised."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import statistics
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import dualgauge

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Figure:
    """
    One line of the table: medians in `unit`.

    `floor` and `ratio` are None where there is no floor, `bar` where nothing is promised. The bar holds the ratio
    where there is one, else the value.
    """

    name: str
    unit: str
    value: float
    floor: float | None = None
    bar: float | None = None

    @property
    def ratio(self) -> float | None:
        """How many floors it costs."""
        return self.value / self.floor if self.floor else None

    @property
    def met(self) -> bool | None:
        """Whether the bar is kept; None without one."""
        held = self.ratio if self.floor else self.value
        return None if self.bar is None or held is None else held <= self.bar

    def to_json(self) -> dict[str, object]:
        """Every field, the ratio and the verdict."""
        return asdict(self) | {"ratio": self.ratio, "met": self.met}


def middle(rounds: Sequence[Mapping[str, float]], name: str) -> float:
    """Give the median of one figure over all rounds."""
    return statistics.median(one[name] for one in rounds)


def table(figures: Sequence[Figure]) -> str:
    """Lay the figures out for people."""
    lines = [f"{'':16} {'dualgauge':>13} {'floor':>13} {'ratio':>7} {'bar':>11}"]
    for one in figures:
        floor = "" if one.floor is None else f"{one.floor:,.2f} {one.unit}"
        ratio = "" if one.ratio is None else f"{one.ratio:.2f}"
        bar = "" if one.bar is None else f"{one.bar:g} x" if one.floor else f"{one.bar:g} {one.unit}"
        missed = "  MISSED" if one.met is False else ""
        lines.append(
            f"{one.name:16} {f'{one.value:,.2f} {one.unit}':>13} {floor:>13} {ratio:>7} {bar:>11}{missed}".rstrip()
        )
    return "\n".join(lines)


def publish(
    name: str,
    title: str,
    figures: Sequence[Figure],
    *,
    sizes: Mapping[str, object],
    versions: Mapping[str, str],
    to: Path | None,
) -> int:
    """
    Print the title, the table and one line of JSON, which goes to the file `to` as well; give the exit code.

    `sizes` is what was asked for, `versions` whose releases matter besides dualgauge's and Python's. The code is 1
    where a bar is not kept.
    """
    line = json.dumps(
        {
            "benchmark": name,
            **sizes,
            "cores": os.cpu_count(),
            "versions": {"dualgauge": dualgauge.__version__, "python": platform.python_version(), **versions},
            "figures": {one.name: one.to_json() for one in figures},
        }
    )
    print(f"{title}\n")
    print(table(figures))
    print(line)
    if to is not None:
        to.write_text(line + "\n", encoding="utf-8")
    return int(any(one.met is False for one in figures))


def releases(libraries: Sequence[str]) -> dict[str, str]:
    """Give the installed release of each library."""
    return {name: importlib.metadata.version(name) for name in libraries}

"""
dualgauge: dual-run migration of derived views.

The flow, in order: sources are imported into an event log; a replay builds the views of both sides, v1
(what readers have today) and v2 (the candidate), from that log; a diff compares what they answer at one
position; reads are shared between them; traffic moves forward or back, step by step, on evidence.

`open(path)` gives a migration, with a method for each command of the command line. `compare(a, b, comparator)`
compares two files, tables or data frames without a project. Content files use `Comparator`, `Expected`, `Limits`,
`Check` and the rules. Applications write `Event`s through `Migration.appender`, and read through `Router`, which loads
none of the heavy engines.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dualgauge.comparison.content.checks import Check
    from dualgauge.comparison.content.comparator import Comparator, Expected, Limits
    from dualgauge.comparison.files.compare import compare
    from dualgauge.errors import DualgaugeError
    from dualgauge.eventlog.append.event import Event
    from dualgauge.migration import Migration, open  # noqa: A004  (dualgauge.open is the public door)
    from dualgauge_router.router import Router
    from dualgauge_router.rules import Absolute, Exact, Relative, Rounded

__all__ = [
    "Absolute",
    "Check",
    "Comparator",
    "DualgaugeError",
    "Event",
    "Exact",
    "Expected",
    "Limits",
    "Migration",
    "Relative",
    "Rounded",
    "Router",
    "__version__",
    "compare",
    "open",
]

__version__ = "0.1.0"

_HOME = {
    "Absolute": "dualgauge_router.rules",
    "Check": "dualgauge.comparison.content.checks",
    "Comparator": "dualgauge.comparison.content.comparator",
    "DualgaugeError": "dualgauge.errors",
    "Event": "dualgauge.eventlog.append.event",
    "Exact": "dualgauge_router.rules",
    "Expected": "dualgauge.comparison.content.comparator",
    "Limits": "dualgauge.comparison.content.comparator",
    "Migration": "dualgauge.migration",
    "Relative": "dualgauge_router.rules",
    "Rounded": "dualgauge_router.rules",
    "Router": "dualgauge_router.router",
    "compare": "dualgauge.comparison.files.compare",
    "open": "dualgauge.migration",
}


def __getattr__(name: str) -> object:
    """Load a public name where it is first used (PEP 562), so that a router loads no engine."""
    if name not in _HOME:
        message = f"module 'dualgauge' has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)

"""
What each test costs: `--cost FILE` writes a line of JSON for every test, and `--fast` runs the files that cost little.

A test's cost is the processor's time that it and the processes took that it waited for; beside it stand the seconds
that passed, for a test that only waits keeps others waiting too. `fast.txt` names the files of which no test starts a
process, a server or a browser; `python tests/support/cost.py FILES` writes it from what
`make test PYTEST_FLAGS=--cost=build/cost` found. Where a test of those starts a process after all, it fails.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from support import forked

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pytest

FAST: Final = Path(__file__).with_name("fast.txt")

_STARTS: Final = ("subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "support.forked")
_AT_MOST: Final = 0.15
"""Seconds of the processor that a test of a fast file takes, as a mean."""

_LONGEST: Final = 12.0
"""Seconds of the processor that a fast file takes in all."""


class Cost:
    """Counts what the tests of one process start; with `fast` none may."""

    def __init__(self, file: Path | None, *, fast: bool) -> None:
        self._file, self._fast, self._started, self._running = file, fast, 0, False
        sys.addaudithook(self._heard)

    def _heard(self, event: str, _: tuple[Any, ...]) -> None:
        if event in _STARTS and self._running:
            self._started += 1
            if self._fast:
                raise AssertionError(f"a test of {FAST.name} starts a process: take its file out")

    def begin(self) -> tuple[float, float]:
        """A test begins."""
        self._started, self._running = 0, True
        return _used(), time.monotonic()

    def end(self, test: str, begun: tuple[float, float]) -> None:
        """It is over."""
        self._running = False
        if self._file is not None:
            cpu, wall = (round(now - then, 3) for now, then in zip((_used(), time.monotonic()), begun, strict=True))
            said = {"test": test, "cpu": cpu, "wall": wall, "started": self._started}
            with self._file.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(said) + "\n")


def _used() -> float:
    return float(sum(os.times()[:4])) + forked.cpu()


def of(config: pytest.Config) -> Cost | None:
    """What counts in this process, if anything is asked for."""
    given, fast = config.getoption("--cost"), config.getoption("--fast")
    if not given and not fast:
        return None
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    return Cost(Path(f"{given}.{worker}.jsonl").absolute() if given else None, fast=fast)


def fast_files() -> frozenset[str]:
    """The files of `--fast`, from the repository's root."""
    return frozenset(FAST.read_text(encoding="utf-8").split())


def main(files: Iterable[str]) -> None:
    """Write `fast.txt` from what `--cost` wrote."""
    cpu, tests, started = defaultdict[str, float](float), defaultdict[str, int](int), defaultdict[str, int](int)
    for file in files:
        for line in Path(file).read_text(encoding="utf-8").splitlines():
            said = json.loads(line)
            name = said["test"].partition("::")[0]
            cpu[name] += said["cpu"]
            tests[name] += 1
            started[name] += said["started"]
    fast = [
        name for name in tests
        if not started[name] and cpu[name] <= min(_LONGEST, max(1.0, _AT_MOST * tests[name]))
    ]  # fmt: skip
    FAST.write_text("\n".join(sorted(fast)) + "\n", encoding="utf-8")
    print(f"{len(fast)} of {len(tests)} files, {sum(map(tests.__getitem__, fast))} of {sum(tests.values())} tests, "
          f"{sum(map(cpu.__getitem__, fast)):.0f} of {sum(cpu.values()):.0f} s")  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1:])

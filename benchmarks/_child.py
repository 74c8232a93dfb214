"""Scripts that are measured in a process of their own: the processor's time that they take, and their peak."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pathlib import Path

_USED: Final = """
import json, pathlib, resource
def used():
    spent = resource.getrusage(resource.RUSAGE_SELF)
    return spent.ru_utime + spent.ru_stime
def told(found, before):
    # What getrusage() tells of the peak is its parent's, where that held more.
    status = dict(line.split(":", 1) for line in pathlib.Path("/proc/self/status").read_text().splitlines())
    peak = int(status["VmHWM"].split()[0]) / 1024
    print(json.dumps({"found": found, "cpu": used() - before, "peak": peak}))
"""


def run(script: str, source: Path, names: dict[str, object], *, python: str = sys.executable) -> dict[str, Any]:
    """
    Run a script that ends with `told(found, before)`: `found`, seconds of the processor `cpu`, megabytes at the `peak`.

    Args:
        script: the script; `before` is what `used()` gave when the work began.
        source: the folder of the package that it imports.
        names: values that it finds under their names.
        python: the interpreter.

    Raises:
        RuntimeError: it failed.
    """
    given = "".join(f"{name} = {value!r}\n" for name, value in names.items())
    done = subprocess.run(  # noqa: S603  (our own scripts)
        [python, "-c", _USED + given + script],
        env={**os.environ, "PYTHONPATH": str(source)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found

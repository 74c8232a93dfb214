"""The machine: Python, libraries, the terminal, folders for temporary files, the clock."""

from __future__ import annotations

import importlib.metadata
import locale
import os
import shutil
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from packaging.requirements import Requirement

    from dualgauge.doctor.values import Notes

NAME: Final = "dualgauge"

OLDEST, NEWEST = (3, 11), (3, 13)
"""Versions of Python that the tests run on."""

LEAST_ROOM: Final = 1 << 30
"""Bytes of temporary space under which a larger view may not be built."""

FIRST_YEAR: Final = 2025
"""A clock before the tool was written is wrong."""

EXTRAS: Final = {
    "postgresql": "a ledger or tables in PostgreSQL",
    "demo": "`dualgauge demo`",
}
"""Optional dependencies, and what they are for."""


def look_at_machine(notes: Notes, now: datetime) -> None:
    """Everything that does not need a project."""
    with notes.checking("python", sys.executable):
        _python(notes)
    with notes.checking("libraries"):
        _libraries(notes)
    with notes.checking("terminal"):
        _terminal(notes)
    with notes.checking("temporary files"):
        _temporary(notes)
    with notes.checking("clock"):
        _clock(notes, now)


def _python(notes: Notes) -> None:
    have = sys.version_info[:2]
    version = ".".join(map(str, sys.version_info[:3]))
    newest = ".".join(map(str, NEWEST))
    if have < OLDEST:
        notes.fail("python", f"Python {version} is too old", sys.executable, "install Python 3.11 or newer")
    elif have > NEWEST:
        notes.warn("python", f"Python {version} is newer than what dualgauge is tested with", sys.executable,
                   f"if something odd happens, try Python {newest}")  # fmt: skip
    else:
        notes.ok("python", f"Python {version}", sys.executable)


def requirements() -> list[str] | None:
    """
    What dualgauge asks for, as its package says it, extras among it with a marker.

    From a checkout that is not installed, what its pyproject.toml says; None where neither is there.
    """
    try:
        return importlib.metadata.requires(NAME) or []
    except importlib.metadata.PackageNotFoundError:
        file = Path(__file__).resolve().parents[3] / "pyproject.toml"
        project = tomllib.loads(file.read_text(encoding="utf-8")).get("project", {}) if file.is_file() else {}
    if project.get("name") != NAME:
        return None
    extras = project.get("optional-dependencies", {})
    return [*project["dependencies"], *(f'{one}; extra == "{name}"' for name in extras for one in extras[name])]


def _libraries(notes: Notes) -> None:
    from packaging.requirements import Requirement

    told = requirements()
    if told is None:
        notes.warn("libraries", "dualgauge is not installed as a package, so nothing says which versions it needs",
                   mend="pip install dualgauge")  # fmt: skip
        return
    wanted = [Requirement(one) for one in told]
    always = [one for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})]
    wrong = list(_wrong(always))
    for what, mend in wrong:
        notes.fail("libraries", what, mend=mend)
    if not wrong:
        notes.ok("libraries", f"{len(always)} libraries, each in a version that is supported")
    for extra, use in EXTRAS.items():
        own = [one for one in wanted if one not in always and one.marker and one.marker.evaluate({"extra": extra})]
        missing = list(_wrong(own))
        if missing:
            notes.ok("libraries", f"the extra {extra} is not installed; it is for {use}: pip install '{NAME}[{extra}]'")
        elif own:
            notes.ok("libraries", f"the extra {extra} is installed, for {use}")


def _wrong(wanted: Iterable[Requirement]) -> Iterable[tuple[str, str]]:
    """What is missing or has another version than it should, and the command that mends it."""
    for one in wanted:
        mend = f"pip install '{one.name}{one.specifier}'"
        try:
            have = importlib.metadata.version(one.name)
        except importlib.metadata.PackageNotFoundError:
            yield f"{one.name} is not installed", mend
            continue
        if not one.specifier.contains(have, prereleases=True):
            yield f"{one.name} is {have}, and dualgauge needs {one.specifier}", mend


def _terminal(notes: Notes) -> None:
    encoding = (sys.stdout.encoding or "utf-8").lower()
    said = f"{locale.setlocale(locale.LC_CTYPE)}, writes {encoding}"
    if not encoding.replace("_", "-").startswith("utf"):
        notes.warn(
            "terminal", f"the locale is {said}: other characters are shown as escapes", mend="export LC_ALL=C.UTF-8"
        )
        return
    width = shutil.get_terminal_size().columns
    place = f"{os.environ.get('TERM', 'no TERM')}, {width} columns" if sys.stdout.isatty() else "no terminal"
    notes.ok("terminal", f"the locale is {said}", place)


def _temporary(notes: Notes) -> None:
    folder = Path(tempfile.gettempdir())
    free = shutil.disk_usage(folder).free
    if free < LEAST_ROOM:
        notes.warn("temporary files", f"{size(free)} free; a view larger than memory spills there", folder,
                   "free some space, or name a larger disk in TMPDIR")  # fmt: skip
    else:
        notes.ok("temporary files", f"{size(free)} free", folder)


def _clock(notes: Notes, now: datetime) -> None:
    if now.year < FIRST_YEAR:
        notes.fail(
            "clock", f"the clock says {now:%Y-%m-%d %H:%M} UTC", mend="set the clock: events and moves are dated by it"
        )
    else:
        notes.ok("clock", f"{now:%Y-%m-%d %H:%M} UTC")


def size(count: int) -> str:
    """Bytes for people: `1.5 GB`."""
    number, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if number < 1000 or unit == "TB":  # noqa: PLR2004  (thousands)
            break
        number /= 1000
    return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"

"""
The reference project, laid out in a folder of its own.

Its content stands at the top of the source tree; a wheel carries the same files beside this module.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import tomlkit

from dualgauge.errors import UsageError

if TYPE_CHECKING:
    from dualgauge.model import Side

MARK = ".dualgauge-demo"
"""A file that says a folder is a demo's: only such a folder is cleared."""

FOLDERS = ("views_v1", "views_v2", "comparators")
MIGRATIONS = ("env.py", "script.py.mako")
TABLES = ("dualgauge", "alembic")


class NotADemo(UsageError):
    """A folder that holds something else."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        super().__init__(
            f"{folder} is there and was not made by `dualgauge demo`; nothing was touched: name another folder"
        )


def content() -> Path:
    """The folder that holds the reference project's files: in the wheel, else the source tree."""
    packed = Path(__file__).parent / "demo_project"
    return packed if packed.is_dir() else Path(__file__).parents[3]


def lay_out(folder: Path) -> None:
    """
    Lay the project out anew.

    Raises:
        NotADemo: the folder is not empty and not a demo's.
    """
    if folder.exists():
        if not (folder / MARK).is_file() and (not folder.is_dir() or any(folder.iterdir())):
            raise NotADemo(folder)
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    (folder / MARK).write_text(
        "Made by `dualgauge demo`, which clears this folder when it is run again.\n", encoding="utf-8"
    )
    root = content()
    for name in FOLDERS:
        (folder / name).mkdir()
        for file in sorted((root / name).iterdir()):
            if file.suffix in (".sql", ".py"):
                shutil.copyfile(file, folder / name / file.name)
    (folder / "migrations" / "versions").mkdir(parents=True)
    for name in MIGRATIONS:
        shutil.copyfile(root / "migrations" / name, folder / "migrations" / name)
    (folder / "pyproject.toml").write_text(_settings(root / "pyproject.toml"), encoding="utf-8")


def put_view(folder: Path, side: Side, source: str, view: str) -> None:
    """Give a view of the demo another text: one of this folder's `.sql` files, or the reference project's own."""
    file = Path(__file__).parent / source
    if not file.is_file():
        file = content() / side.schema / source
    shutil.copyfile(file, folder / side.schema / f"{view}.sql")


def _settings(file: Path) -> str:
    """The project's own settings out of a pyproject.toml, comments kept."""
    tool = tomlkit.parse(file.read_text(encoding="utf-8"))["tool"]
    made, kept = tomlkit.document(), tomlkit.table(is_super_table=True)
    for name in TABLES:
        kept.append(name, tool[name])
    made.append("tool", kept)
    return tomlkit.dumps(made)

"""Ways to harm a project, and to see that nothing of it changed: digests, small disks, disks that take no writes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import resource
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from support.shop import ROOT, Said, call

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def digest(folder: Path) -> dict[str, str]:
    """
    Every file's digest: content, log, ledger, store and evidence alike.

    Reading makes and removes SQLite's -wal and -shm files, so they do not count.
    """
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and not file.name.endswith(("-wal", "-shm")) and "__pycache__" not in file.parts
    }


def edit(file: Path, old: str, new: str) -> None:
    """Put one text in the place of another that is there."""
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


def refused(*arguments: str, folder: Path) -> tuple[int, str]:
    """
    The exit code and the sentence of a command that must refuse: one paragraph, nothing on stdout, nothing changed.

    The lines behind the sentence are the next steps.
    """
    before = digest(folder)
    said = call(*arguments, folder=folder)
    sentence, *steps = said.err.splitlines()

    assert digest(folder) == before
    assert said.out == ""
    assert sentence.startswith("error: ")
    assert all(step.startswith("next: dualgauge ") for step in steps)
    assert not sentence.startswith("error: unexpected")
    assert "Traceback" not in said.err
    return said.exit_code, sentence.removeprefix("error: ")


@dataclass(frozen=True)
class Disk:
    """
    A place where only so much can be written.

    `mounted`: a file system of its own. Where none can be mounted, processes get a limit on the size of their files
    instead, which fails writes in the same way.
    """

    folder: Path
    mounted: bool

    def fill(self, leave: int = 0) -> Callable[[], None] | None:
        """Take the room away but for so many bytes; gives what a process must do first to feel it, if anything."""
        if not self.mounted:
            return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (leave, leave))
        filler = self.folder / "filler"
        filler.unlink(missing_ok=True)
        room = os.statvfs(self.folder)
        filler.write_bytes(b"\0" * max(0, room.f_bavail * room.f_frsize - leave))
        return None

    def free(self) -> None:
        """Give the room back."""
        (self.folder / "filler").unlink(missing_ok=True)

    def call(self, *arguments: str, folder: Path, first: Callable[[], None] | None) -> Said:
        """Run the command line: in a process that begins with `first`, or in this one where every process feels it."""
        if first is None:
            return call(*arguments, folder=folder)
        done = subprocess.run(
            [sys.executable, "-m", "dualgauge", *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=first,
        )
        return Said(done.returncode, done.stdout, done.stderr)


@contextlib.contextmanager
def small_disk(folder: Path, size: str = "24m") -> Iterator[Disk]:
    """A disk of that size at a folder."""
    folder.mkdir()
    mounted = _mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder))
    try:
        yield Disk(folder, mounted)
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)


@contextlib.contextmanager
def unwritable(folder: Path) -> Iterator[Callable[[], None] | None]:
    """
    A folder that nobody can write; gives what a process must do first, if anything.

    Root writes where it has no permission, so for root the folder is mounted read-only. Where that is not possible
    the process becomes nobody, who may read and not write.
    """
    if os.geteuid() == 0 and _mount("--bind", str(folder), str(folder)):
        try:
            subprocess.run(["mount", "-o", "remount,ro,bind", str(folder)], check=True)
            yield None
        finally:
            subprocess.run(["umount", "-l", str(folder)], check=True)
        return
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    for path in folder.parents:
        with contextlib.suppress(PermissionError):
            path.chmod(path.stat().st_mode | 0o055)
    try:
        yield (lambda: os.setuid(65534)) if os.geteuid() == 0 else None
    finally:
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)


def _mount(*arguments: str) -> bool:
    mount = shutil.which("mount")
    return mount is not None and subprocess.run([mount, *arguments], capture_output=True, check=False).returncode == 0

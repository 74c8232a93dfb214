"""
A project laid out in a folder, beside whatever is there already.

Nothing that is there is overwritten. All that will be added is made in a folder of its own first, `.dualgauge-init-*`,
and then moved to its place piece by piece, the settings last: a run that fails or is killed leaves whole pieces, which
the next one takes for its own.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import tomlkit

from dualgauge.errors import ConflictError, DualgaugeError, UsageError
from dualgauge.scaffold.demo import content

SETTINGS = "pyproject.toml"
STAGING = ".dualgauge-init-"
ENVIRONMENT: Final = ("env.py", "script.py.mako")
OWN_MIGRATIONS = "dualgauge_migrations"
"""Where the Alembic environment goes when `migrations/` is the application's own."""

IGNORED = ".dualgauge/"
_NOT_FOR_GIT = "the log, the ledger and the stores are not for git"
_FOLDERS: Final = {
    "views_v1": "v1: what readers have today, one .sql file a view",
    "views_v2": "v2: the candidate, one .sql file a view",
    "comparators": 'what "the same answer" means',
}  # fmt: skip
_MARK = "alembic_environment"
"""A word in every env.py of ours."""


class NotLaidOut(UsageError):
    """The folder cannot become a project as it is; nothing was changed."""

    def __init__(self, folder: Path, reason: str) -> None:
        self.folder, self.reason = folder, reason
        super().__init__(f"nothing was laid out in {folder}: {reason}, and run the command again")


class LayingOutFailed(DualgaugeError):
    """The operating system refused in the middle; what was made is whole, and the next run goes on."""

    def __init__(self, folder: Path, fault: OSError) -> None:
        self.folder = folder
        place = f" ({fault.filename})" if fault.filename else ""
        super().__init__(
            f"{folder} cannot be laid out: {fault.strerror or fault}{place}; nothing is half made: "
            "see that the folder can be written and that the disk has room, and run the command again"
        )


class OtherName(ConflictError):
    """The project has a migration of another name."""

    def __init__(self, file: Path, there: str, given: str) -> None:
        self.file, self.there, self.given = file, there, given
        super().__init__(
            f"{file} has the migration {there!r} already, and init does not rename it to {given!r}; nothing was "
            "changed: leave --name out, or change `migration` in the file while nothing is replayed yet"
        )


@dataclass(frozen=True, slots=True)
class LaidOutItem:
    """Something of a project: its path in the folder, and what it is for or why it was left as it is."""

    path: str
    why: str


@dataclass(frozen=True, slots=True)
class LaidOut:
    """What a run added and what it left as it was. `existed`: there was a project already."""

    folder: Path
    name: str
    existed: bool
    added: tuple[LaidOutItem, ...]
    left: tuple[LaidOutItem, ...]


@dataclass
class _Plan:
    folder: Path
    name: str
    existed: bool
    folders: list[str] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    changed: dict[str, tuple[bytes, bytes]] = field(default_factory=dict)
    """Files that grow: their bytes before and after."""

    added: list[LaidOutItem] = field(default_factory=list)
    left: list[LaidOutItem] = field(default_factory=list)


def lay_out(folder: Path, *, name: str | None = None, dry_run: bool = False) -> LaidOut:
    """
    Make a folder a project, or complete one; run again, it finds nothing to do.

    Args:
        folder: made where there is none.
        name: the migration's; by default the folder's own.
        dry_run: only say what would be added.

    Raises:
        NotLaidOut: a file is in the way, or pyproject.toml is broken; nothing was changed.
        OtherName: there is a project with a migration of another name.
        LayingOutFailed: the operating system refused; the next run goes on from there.
    """
    folder = folder.absolute()
    if folder.exists() and not folder.is_dir():
        raise NotLaidOut(folder, "it is a file; name a folder")
    try:
        plan = _planned(folder, name)
        if not dry_run:
            _done(plan)
    except OSError as fault:
        raise LayingOutFailed(folder, fault) from fault
    return LaidOut(folder, plan.name, plan.existed, tuple(plan.added), tuple(plan.left))


def _planned(folder: Path, name: str | None) -> _Plan:
    text, document = _settings(folder)
    own = _table(document, "tool", "dualgauge")
    there = own.get("migration") if own is not None else None
    if name is not None and isinstance(there, str) and there != name:
        raise OtherName(folder / SETTINGS, there, name)
    chosen = there if isinstance(there, str) else name if name is not None else _named_after(folder)
    if not chosen.strip() or ":" in chosen:
        raise NotLaidOut(folder, f"{chosen!r} is no migration's name (not empty, no colon); give another with --name")
    plan = _Plan(folder, chosen, existed=own is not None)
    paths = _table(document, "tool", "dualgauge", "paths") or {}
    migrations = _environment(plan, paths.get("migrations"))
    for key, why in _FOLDERS.items():
        _folder(plan, str(paths.get(key, key)), why)
    reports = str(paths.get("reports", "reports"))
    _folder(plan, reports, "")
    readme = (content() / "reports" / "README.md").read_bytes()
    _file(plan, f"{reports}/README.md", readme, "evidence is kept here, written by the tool")
    _ignore(plan)
    _extend(plan, text, document, migrations)
    return plan


def _settings(folder: Path) -> tuple[bytes | None, dict[str, Any]]:
    file = folder / SETTINGS
    if not file.exists() and not file.is_symlink():
        return None, {}
    if not file.is_file():
        raise NotLaidOut(folder, f"{file} is no file; move it away")
    raw = file.read_bytes()
    try:
        return raw, tomllib.loads(raw.decode("utf-8-sig").replace("\r\n", "\n"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise NotLaidOut(folder, f"{file} is not valid TOML: {fault}; mend that line") from fault


def _table(document: dict[str, Any], *keys: str) -> dict[str, Any] | None:
    found: Any = document
    for key in keys:
        if not isinstance(found, dict) or key not in found:
            return None
        found = found[key]
    return found if isinstance(found, dict) else None


def _named_after(folder: Path) -> str:
    return folder.resolve().name.replace(":", "-").strip() or "migration"


def _environment(plan: _Plan, configured: object) -> str:
    """Plan the Alembic environment; gives its folder: the configured one, `migrations`, or one beside the user's."""
    migrations = configured if isinstance(configured, str) else "migrations"
    if not _is_ours(plan.folder / migrations):
        if isinstance(configured, str):
            plan.left.append(LaidOutItem(f"{migrations}/", "is there already"))
            return migrations
        plan.left.append(LaidOutItem("migrations/", "your own: not touched; the views' shapes go beside it"))
        migrations = OWN_MIGRATIONS
        if not _is_ours(plan.folder / migrations):
            raise NotLaidOut(
                plan.folder, f"migrations/ and {migrations}/ are both something else already; move one of them away"
            )
    _folder(plan, migrations, "")
    for one in ENVIRONMENT:
        why = "Alembic's environment for the views' shapes" if one == "env.py" else "what a revision looks like"
        _file(plan, f"{migrations}/{one}", (content() / "migrations" / one).read_bytes(), why)
    _folder(plan, f"{migrations}/versions", "the revisions, written by `replay` or `migrate revision`")
    return migrations


def _is_ours(folder: Path) -> bool:
    """Whether a folder is an environment of dualgauge, whole or begun, or free to become one."""
    env = folder / "env.py"
    if env.is_file():
        return _MARK in env.read_text(encoding="utf-8", errors="replace")
    if not folder.is_dir():
        return not folder.exists()
    ours = content() / "migrations"
    for one in folder.iterdir():
        if one.name == "versions" and one.is_dir() and not any(one.iterdir()):
            continue
        if one.name not in ENVIRONMENT or not one.is_file() or one.read_bytes() != (ours / one.name).read_bytes():
            return False
    return True


def _folder(plan: _Plan, path: str, why: str) -> None:
    """Plan a folder; `why` is empty for one that is told by what is in it."""
    there = plan.folder / path
    if there.exists() and not there.is_dir():
        raise NotLaidOut(plan.folder, f"{there} is a file, where the project has a folder; move it away")
    if not there.exists():
        plan.folders.append(path)
    if why and there.exists():
        plan.left.append(LaidOutItem(f"{path}/", "is there already"))
    elif why:
        plan.added.append(LaidOutItem(f"{path}/", why))


def _file(plan: _Plan, path: str, made: bytes, why: str) -> None:
    if (plan.folder / path).exists():
        plan.left.append(LaidOutItem(path, "is there already"))
        return
    plan.files[path] = made
    plan.added.append(LaidOutItem(path, why))


def _ignore(plan: _Plan) -> None:
    file = plan.folder / ".gitignore"
    in_git = any((one / ".git").exists() for one in (plan.folder, *plan.folder.parents))
    if not file.is_file():
        if in_git:
            plan.files[".gitignore"] = f"{IGNORED}\n".encode()
            plan.added.append(LaidOutItem(".gitignore", f"{IGNORED}: {_NOT_FOR_GIT}"))
        return
    before = file.read_bytes()
    if IGNORED.rstrip("/") in {line.strip().strip("/") for line in before.decode(errors="replace").splitlines()}:
        plan.left.append(LaidOutItem(".gitignore", f"has {IGNORED} already"))
        return
    plan.changed[".gitignore"] = (before, _appended(before, f"{IGNORED}\n"))
    plan.added.append(LaidOutItem(".gitignore", f"a line {IGNORED}: {_NOT_FOR_GIT}"))


def _extend(plan: _Plan, before: bytes | None, document: dict[str, Any], migrations: str) -> None:
    """Plan the settings: a new file, or tables behind what is there."""
    made, tables = _tables(plan, document, migrations)
    if not tables:
        plan.left.append(LaidOutItem(SETTINGS, "has [tool.dualgauge] already"))
        return
    told = ", ".join(f"[tool.{one}]" for one in tables)
    if before is None:
        plan.files[SETTINGS] = made.encode()
        plan.added.append(LaidOutItem(SETTINGS, told))
        return
    after = _appended(before, made, blank=True)
    try:
        found = tomllib.loads(after.decode("utf-8-sig").replace("\r\n", "\n"))
    except tomllib.TOMLDecodeError:
        found = {}
    if any(_table(found, "tool", one) != _table(tomllib.loads(made), "tool", one) for one in tables):
        file = plan.folder / SETTINGS
        raise NotLaidOut(
            plan.folder, f"{file} has `tool` as an inline table, which cannot grow; write it as [tool.NAME]"
        )
    plan.changed[SETTINGS] = (before, after)
    plan.added.append(LaidOutItem(SETTINGS, f"{told} behind what is there, which is kept as it is"))


def _tables(plan: _Plan, document: dict[str, Any], migrations: str) -> tuple[str, list[str]]:
    """The tables that are missing, from the template, as text and as names."""
    template = tomlkit.parse((Path(__file__).parent / "settings.toml").read_text(encoding="utf-8"))
    tool: Any = template["tool"]
    tool["dualgauge"]["migration"] = plan.name
    tool["dualgauge"]["paths"]["migrations"] = migrations
    # An alembic.ini, or an environment of the user's own, says already what plain `alembic` works on.
    theirs = (plan.folder / "alembic.ini").exists() or migrations != "migrations"
    missing = [one for one in ("dualgauge", "alembic") if _table(document, "tool", one) is None]
    if "alembic" in missing and theirs:
        missing.remove("alembic")
        if "dualgauge" in missing:
            place = "alembic.ini" if (plan.folder / "alembic.ini").exists() else "[tool.alembic]"
            plan.left.append(LaidOutItem(place, "plain `alembic` stays with your own environment"))
    elif "alembic" not in missing and "dualgauge" in missing:
        plan.left.append(LaidOutItem("[tool.alembic]", "is there already"))
    for one in ("dualgauge", "alembic"):
        if one not in missing:
            del tool[one]
    return (tomlkit.dumps(template).strip("\n") + "\n" if missing else ""), missing


def _appended(before: bytes, text: str, *, blank: bool = False) -> bytes:
    """Bytes with a text behind them, in their own style of line ends."""
    newline = b"\r\n" if b"\r\n" in before else b"\n"
    between = b"" if not before or before.endswith(b"\n") else newline
    if blank and before.strip():
        between += newline
    return before + between + text.encode().replace(b"\n", newline)


def _done(plan: _Plan) -> None:
    plan.folder.mkdir(parents=True, exist_ok=True)
    for left in plan.folder.glob(f"{STAGING}*"):
        shutil.rmtree(left)
    if not (plan.folders or plan.files or plan.changed):
        return
    with tempfile.TemporaryDirectory(prefix=STAGING, dir=plan.folder) as staging:
        everything = {**plan.files, **{path: after for path, (_, after) in plan.changed.items()}}
        staged = {path: Path(staging, str(number)) for number, path in enumerate(everything)}
        for path, file in staged.items():
            file.write_bytes(everything[path])
        for path in plan.folders:
            (plan.folder / path).mkdir(parents=True, exist_ok=True)
        # The settings are the very last, and make the project one.
        for path in plan.files:
            if path != SETTINGS:
                _move(staged[path], plan.folder / path)
        for path in sorted(plan.changed, key=SETTINGS.__eq__):
            _replace((plan.folder / path).resolve(), staged[path], plan.changed[path][0])
        if SETTINGS in plan.files:
            _move(staged[SETTINGS], plan.folder / SETTINGS)


def _replace(target: Path, staged: Path, before: bytes) -> None:
    shutil.copymode(target, staged)
    if target.read_bytes() != before:
        raise OSError(errno.EBUSY, "it was changed while init ran", str(target))
    staged.replace(target)


def _move(staged: Path, target: Path) -> None:
    """To its place, unless something is there by now: a rename would overwrite it, a link does not."""
    try:
        os.link(staged, target)
    except OSError as fault:
        if fault.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK) or target.exists():
            raise
        # A file system without links.
        staged.replace(target)

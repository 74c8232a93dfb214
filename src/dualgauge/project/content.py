"""
Content is loaded by path, never imported by name.

So two projects in one process do not see each other's files, and nothing on `sys.path` can stand in for them.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from typing import TYPE_CHECKING, Final, TypeVar

from dualgauge.model import sha256
from dualgauge.project.errors import BadContent

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

LONGEST_NAME: Final = 60
_VARIABLE: Final = re.compile(rf"[A-Za-z][A-Za-z0-9_]{{0,{LONGEST_NAME - 1}}}")

Value = TypeVar("Value")


def load(file: Path) -> ModuleType:
    """
    Run a Python content file and give its module.

    Raises:
        BadContent: the file raised; the reason names the line of the file.
    """
    name = f"dualgauge_content_{sha256(str(file))[:16]}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise BadContent(file, "it is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as fault:
        raise BadContent(file, f"{_line(fault, file)}{type(fault).__name__}: {fault}") from fault
    finally:
        sys.dont_write_bytecode = bytecode
        del sys.modules[name]
    return module


def collect(folder: Path, kind: type[Value]) -> dict[str, Value]:
    """
    Every module-level value of a type in a folder's Python files, by the name of its variable.

    Raises:
        BadContent: a file raised, or two files use one name.
    """
    found: dict[str, Value] = {}
    home: dict[str, Path] = {}
    for file in sorted(folder.glob("*.py")):
        for name, value in vars(load(file)).items():
            if not isinstance(value, kind) or name.startswith("_"):
                continue
            if type(value) is not kind:
                raise BadContent(
                    file,
                    f"{shortened(name)!r} is a {type(value).__name__}, derived from {kind.__name__}: what it is by its "
                    f"hash would be its own word; use {kind.__name__} itself",
                )
            if not _VARIABLE.fullmatch(name):
                raise BadContent(
                    file,
                    f"{shortened(name)!r} is no name for a {kind.__name__}: it becomes part of folders' names, so "
                    f"letters, digits and _, beginning with a letter, at most {LONGEST_NAME}; choose another",
                )
            if name in found:
                raise BadContent(file, f"{name!r} is already defined in {home[name]}; give one of them another name")
            found[name], home[name] = value, file
    return found


def shortened(name: str) -> str:
    """A name as a message can bear it."""
    return name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}..."


def _line(fault: BaseException, file: Path) -> str:
    """`line N: ` for the deepest frame of the fault that lies in the file."""
    if isinstance(fault, SyntaxError) and fault.lineno:
        return f"line {fault.lineno}: "
    line, trace = 0, fault.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(file):
            line = trace.tb_lineno
        trace = trace.tb_next
    return f"line {line}: " if line else ""

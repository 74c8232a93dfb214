"""JSON files as bytes and lines: whether they can be read to their end, are cut off, and have one object a line."""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from dualgauge.engines.files.errors import BadJson
from dualgauge.engines.files.text_rows import opened_bytes

if TYPE_CHECKING:
    import gzip
    from collections.abc import Iterator
    from io import BufferedReader
    from pathlib import Path

_MARK: Final = b"\xef\xbb\xbf"
WHOLE: Final = "see that it is one array of objects, or one object a line, in UTF-8"
HALF: Final = "a text has half of a surrogate pair"
_READ: Final = "see that it is a whole file, and that you may read it"


@contextmanager
def _opened(file: Path) -> Iterator[gzip.GzipFile | BufferedReader]:
    """A file's bytes, unpacked. Raises BadJson where they cannot be read: it is cut off, or not packed at all."""
    try:
        with opened_bytes(file) as opened:
            yield opened
    except (OSError, EOFError) as fault:
        raise BadJson(file, None, f"reading its bytes failed ({fault})", _READ) from fault


def without_mark(file: Path, to: Path) -> Path:
    """The file, or a copy of it without the mark of UTF-8, which the engine takes for a part of an array."""
    with _opened(file) as opened:
        if opened.read(len(_MARK)) != _MARK:
            return file
        with to.open("wb") as out:
            shutil.copyfileobj(opened, out)
    return to


def is_array(file: Path) -> bool:
    """
    Whether a file is an array.

    Raises:
        BadJson: it is not closed. Seen: behind a comma the engine takes the end of a file for its end.
    """
    with _opened(file) as opened:
        start = opened.read(4096).removeprefix(_MARK).lstrip()
        if not start.startswith(b"["):
            return False
        end = start
        while chunk := opened.read(1 << 20):
            end = chunk.rstrip()[-1:] or end
    if not end.rstrip().endswith(b"]"):
        raise BadJson(file, None, "its array is not closed: the file is cut off, or has more behind it", WHOLE)
    return True


def lines_of(file: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a file that are not blank, with their numbers from 1."""
    with _opened(file) as opened:
        for number, line in enumerate(opened, 1):
            text = line.removeprefix(_MARK) if number == 1 else line
            if text.strip():
                yield number, text


def has_lines(file: Path) -> bool:
    """Whether a file has one value a line: the engine, too, goes by the first."""
    text = next((text for _, text in lines_of(file)), b"")
    return text.lstrip().startswith(b"{") and fault_of(text) is None


def fault_of(line: bytes) -> str | None:
    """What is wrong with a line that should be JSON."""
    try:
        # Python makes no integer of more than 4,300 digits.
        # The engine takes two more characters for blanks.
        found = json.loads(line.decode().lstrip("\v\f").rstrip("\v\f\r\n\t "), parse_int=str, parse_float=str)
        json.dumps(found, ensure_ascii=False).encode()
    except UnicodeError as fault:
        return HALF if isinstance(fault, UnicodeEncodeError) else "a text is not UTF-8"
    except json.JSONDecodeError as fault:
        return f"no JSON: {fault.msg[0].lower()}{fault.msg[1:]} (character {fault.colno})"
    except RecursionError:
        return None
    return None

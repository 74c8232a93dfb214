"""A table of a database as one word: `URL#table`, or `shop.db#orders` for a SQLite file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

_IN_A_FILE: Final = re.compile(r"(?P<file>.+\.(?:db|sqlite3?))#(?P<table>.+)", re.IGNORECASE | re.DOTALL)


def named_table(text: str) -> tuple[str | Path, str] | None:
    """
    The database, as a URL or as a SQLite file's path, and the table in it; None where a text names no database.

    The table is empty where the text names none. A file that is there is that file, whatever it is called.
    """
    if "://" in text:
        url, mark, table = text.rpartition("#")
        return (url, table) if mark else (text, "")
    if (match := _IN_A_FILE.fullmatch(text)) and not Path(text).exists():
        return Path(match["file"]), match["table"]
    return None

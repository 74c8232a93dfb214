"""UUIDs as texts: the ways in which one may be written, and the one in which databases write it."""

from __future__ import annotations

import re
import uuid
from typing import Final

UUID_GLOB: Final = "-".join("[0-9a-f]" * digits for digits in (8, 4, 4, 4, 12))
"""SQLite's pattern of a UUID as databases write it."""

_WRITTEN: Final = re.compile(r"(\{)?([0-9a-f]{4}-?){7}[0-9a-f]{4}(?(1)\})", re.IGNORECASE | re.ASCII)


def uuid_text(text: str) -> str | None:
    """
    A UUID in small letters with its four hyphens, or None where a text is none.

    Taken is what PostgreSQL takes: capitals, braces around it, and hyphens behind any four digits, or none.
    """
    return str(uuid.UUID(text)) if _WRITTEN.fullmatch(text) else None


def uuid_forms(text: str) -> list[str]:
    """The ways in which programs write the UUID of a text; [] where it is none."""
    canonical = uuid_text(text)
    if canonical is None:
        return []
    plain = [canonical, canonical.replace("-", "")]
    plain += [form.upper() for form in plain]
    return list(dict.fromkeys([*plain, *(f"{{{form}}}" for form in plain)]))

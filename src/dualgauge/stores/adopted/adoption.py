"""What a view file that adopts a table says. Light: loads no database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Adoption:
    """
    A table of the user's own that is v1 already.

    `table` is as the file has it, `table` or `schema.table`; `position_query` is empty where nobody can tell how far
    the table is. `fed_by` names the source that the table is kept from, and is empty where none says it; with both, the
    query gives a value of that source's cursor. `hash_of` gives the definition hash from the declared columns.
    """

    view: str
    table: str
    key: tuple[str, ...]
    position_query: str
    fed_by: str
    text: str
    file: Path
    hash_of: Callable[[Mapping[str, str]], str]

    @property
    def label(self) -> str:
        """What messages call it: `v1.orders`."""
        return f"v1.{self.view}"

"""
The terminal: its width, what it can show, and what it must not be sent.

Values come from data, so nothing of them is markup, and no control character of theirs reaches the terminal.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

PIPE_WIDTH = 140
"""Columns of a line where stdout is no terminal and COLUMNS says nothing."""

LEAST_WIDTH = 20
"""A terminal that says it is narrower is not believed."""

LEAST_COLUMN, LEAST_TABLE = 9, 60
"""A table that does not fit is given as lines where its columns, or the terminal, would be narrower than this."""

LONGEST = 2_000
"""Characters of an error. A longer one quotes something huge, and loses the middle: the next step stands at its end."""

_CONTROLS = {
    **{code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) != "\t"},
    **{code: f"\\u{code:04x}" for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))},
    ord("\n"): "\\n",
}
"""C0, C1 and what turns the direction of writing: all that moves the cursor, or shows another text than there is."""


class Screen(Console):
    """A console without highlighting or markup, on which control characters of data are seen and not obeyed."""

    def __init__(self, *, stderr: bool = False) -> None:
        """Write to stdout, or to stderr."""
        super().__init__(
            stderr=stderr,
            width=_width(sys.stderr if stderr else sys.stdout),
            highlight=False,
            markup=False,
            emoji=False,
            soft_wrap=False,
        )

    def render_str(self, text: str, **given: Any) -> Text:  # noqa: ANN401  (passed on as it is)
        """Every text that is printed, alone or in a table, comes through here."""
        return super().render_str(visible(text), **given)

    def on_broken_pipe(self) -> None:
        """Leave the end to whoever prints: it knows the exit code."""
        self.quiet = True
        raise BrokenPipeError


class Listing(Table):
    """A table that becomes lines of `column: value`, a block for each row, where it would be too narrow to read."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The table, or the lines."""
        room = options.max_width
        # Measured without a bound: how wide it would like to be.
        if room < max(LEAST_TABLE, LEAST_COLUMN * len(self.columns)) and room < self._natural(console, options):
            yield from self._lines()
        else:
            yield from super().__rich_console__(console, options)

    def _natural(self, console: Console, options: ConsoleOptions) -> int:
        return Measurement.get(console, options.update(max_width=1_000_000), self).maximum

    def _lines(self) -> Iterator[Text]:
        names = [str(column.header).strip() for column in self.columns]
        rows = zip(*(column.cells for column in self.columns), strict=True)
        for number, row in enumerate(rows):
            if number:
                yield Text("")
            for name, cell in zip(names, row, strict=True):
                yield Text(visible(f"{name}: {str(cell).strip()}"), overflow="fold")


def visible(text: str) -> str:
    """
    The text with its control characters written out; tabs stay.

    Line ends are written out too: what comes from data must not look like a line of ours. Who has lines prints each.
    """
    return text.translate(_CONTROLS)


def paragraph(text: str) -> str:
    """A sentence as one paragraph of bounded length; its end, where the next step stands, is kept."""
    line = " ".join(text.split())
    if len(line) <= LONGEST:
        return line
    return f"{line[: LONGEST * 2 // 3]} [...] {line[-LONGEST // 3 :]}"


def prepare() -> None:
    """
    Make the three standard streams safe to use, whatever the caller left of them.

    A closed one gets the null device, or the next file that is opened would take its number, and what is printed
    would land in that file. What a stream's encoding lacks is written as an escape.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stdout is None:
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  (open for as long as the process)
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  (open for as long as the process)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _width(stream: Any) -> int | None:  # noqa: ANN401  (whatever stands for a stream)
    """COLUMNS where it is set; else the terminal's, which rich asks for, or a pipe's."""
    said = os.environ.get("COLUMNS", "")
    if said.isascii() and said.isdigit():
        return max(LEAST_WIDTH, int(said))
    return None if stream.isatty() else PIPE_WIDTH

"""
Charts as inline SVG.

A chart holds no colour of its own but names of CSS variables, so one drawing serves the light page, the dark one and
print. Text stays text. Every place is given in pixels and no label is measured, so that the same values give the same
bytes on every machine, whatever fonts it has. What a chart shows is told in its title and description too.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Final

from dualgauge.model import plural
from dualgauge.reporting.visible_text import plain
from dualgauge.reporting.words import SIGNS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dualgauge.comparison.values import ColumnCount, Comparison
    from dualgauge.reporting.values import Earlier

WIDE, NARROW = 720, 328
"""Widths of the two drawings of each chart, in pixels: one is shown, by the width of the page."""

MOST_COLUMNS: Final = 24
MOST_RUNS: Final = {WIDE: 24, NARROW: 10}

_LEAST_PIXELS: Final = 3
_OVER_BASELINE: Final = 0.3
"""How far, in sizes of its font, a text's baseline lies below its middle."""


def outcomes(found: Comparison) -> list[tuple[str, str, int]]:
    """What became of all keys: (token, words, keys), those that are mismatched last; they add up to all."""
    return [
        ("matched", "matched", found.matched),
        ("expected", "expected", found.expected),
        ("changed", "changed", found.changed),
        ("only-v1", "only in v1", found.only_in_v1),
        ("only-v2", "only in v2", found.only_in_v2),
    ]


def outcome_chart(found: Comparison, width: int, name: str) -> str:
    """One bar of all keys by outcome."""
    parts = outcomes(found)
    told = ", ".join(f"{count:,} {words}" for _, words, count in parts if count)
    total = sum(count for _, _, count in parts)
    chart = _Chart(width, 30, f"Keys of {plain(name)} by outcome", f"Of {plural(total, 'key')}: {told or 'none'}.")
    chart.stack([(token, count) for token, _, count in parts], width, 0, 30)
    return chart.text()


def columns_chart(columns: Sequence[ColumnCount], width: int, name: str) -> str:
    """A bar for each column: its cells by outcome, those with the most wrong cells first."""
    chosen = sorted(columns, key=lambda one: (-one.differ, -one.expected, -one.within_rule))[:MOST_COLUMNS]
    step, left = 24, 190 if width == WIDE else 110
    told = "; ".join(
        f"{plain(one.name)}: {one.differ:,} of {one.compared:,} differ, {one.expected:,} expected" for one in chosen
    )
    chart = _Chart(width, step * len(chosen), f"Cells of {plain(name)} by column", f"{told}.", left=left)
    for at, one in enumerate(chosen):
        counts = {
            "matched": one.equal, "within": one.within_rule, "expected": one.expected, "changed": one.differ,
        }  # fmt: skip
        chart.stack(list(counts.items()), width - left, at * step + 5, step - 10)
        chart.write(
            -10, at * step + step / 2, _short(one.name, 26 if width == WIDE else 14), "ink", size=13, anchor="end"
        )
    return chart.text()


def history_chart(history: Sequence[Earlier], width: int, name: str) -> str:
    """Mismatched and expected keys of each run as shares of its keys, oldest first, with the verdict above."""
    runs = history[-MOST_RUNS[width] :]
    left, top, bottom, height = 46, 26, 40, 150
    inner = width - left - 8
    step = inner / len(runs)
    half = min(26.0, step * 0.36)
    told = "; ".join(
        f"{one.at:%Y-%m-%d %H:%M} {one.verdict.value if one.verdict else 'not finished'}"
        + (f", {one.mismatched:,} mismatched and {one.expected:,} expected of {one.keys:,}" if one.keys else "")
        for one in runs
    )
    chart = _Chart(width, top + height + bottom, f"Runs of {plain(name)} over time", f"{told}.", left=left, top=top)
    for share in (0, 0.5, 1):
        chart.line(inner, height * (1 - share))
        chart.write(-8, height * (1 - share), f"{share:.0%}".replace("%", " %"), "faint", size=12, anchor="end")
    dated = max(1, -(-len(runs) // (8 if width == WIDE else 3)))
    for at, one in enumerate(runs):
        middle, base = (at + 0.5) * step, float(height)
        for token, count in (("changed", one.mismatched), ("expected", one.expected)):
            if one.keys and count:
                tall = max(_LEAST_PIXELS, height * count / one.keys)
                base -= tall
                chart.box(middle - half, base, 2 * half, tall, token)
        chart.write(middle, -12, SIGNS[one.verdict], one.verdict.value if one.verdict else "faint", size=15, bold=True)
        if at % dated == 0 or at == len(runs) - 1:
            chart.write(middle, height + 15, f"{one.at:%d %b}", "ink", size=12)
            chart.write(middle, height + 30, f"{one.at:%H:%M}", "faint", size=12)
    return chart.text()


class _Chart:
    """A drawing of a width and a height in pixels; what is drawn lies `left` and `top` of its corner."""

    def __init__(self, width: int, height: int, title: str, told: str, *, left: int = 0, top: int = 0) -> None:
        self._svg = ET.Element("svg", {
            "xmlns": "http://www.w3.org/2000/svg", "viewBox": f"0 0 {width} {height}", "role": "img",
            "aria-label": title,
        })  # fmt: skip
        ET.SubElement(self._svg, "title").text = title
        ET.SubElement(self._svg, "desc").text = told
        self._body = ET.SubElement(self._svg, "g", {"transform": f"translate({left},{top})"})

    def stack(self, parts: Iterable[tuple[str, int]], width: int, y: float, height: float) -> None:
        """A bar of parts, each with the token of its colour, one beside the other."""
        tokens, counts = zip(*parts, strict=True)
        for token, (start, end) in zip(tokens, _spread(counts, width), strict=True):
            if end > start:
                self.box(start, y, end - start, height, token)

    def box(self, x: float, y: float, width: float, height: float, token: str) -> None:
        """A filled box. A presentation attribute cannot hold var() in every browser; a style can."""
        style = f"fill:var(--{token});stroke:var(--paper)"
        places = {"x": _pixels(x), "y": _pixels(y), "width": _pixels(width), "height": _pixels(height)}
        ET.SubElement(self._body, "rect", {**places, "style": style})

    def line(self, width: float, y: float) -> None:
        """A faint line from the left."""
        style = "stroke:var(--line)"
        ET.SubElement(self._body, "line", {"x2": _pixels(width), "y1": _pixels(y), "y2": _pixels(y), "style": style})

    def write(
        self, x: float, middle: float, text: str, token: str, *, size: int, anchor: str = "middle", bold: bool = False
    ) -> None:
        """A text around its middle, of a size in pixels."""
        places = {"x": _pixels(x), "y": _pixels(middle + int(_OVER_BASELINE * size + 0.5)), "text-anchor": anchor}
        weight = {"font-weight": "bold"} if bold else {}
        made = ET.SubElement(
            self._body, "text", {**places, "font-size": f"{size}px", **weight, "style": f"fill:var(--{token})"}
        )
        made.text = text

    def text(self) -> str:
        """The drawing, to stand in a page."""
        return ET.tostring(self._svg, encoding="unicode")


def _pixels(length: float) -> str:
    return f"{length:.2f}".rstrip("0").rstrip(".")


def _spread(counts: Sequence[int], width: int) -> list[tuple[float, float]]:
    """Places of a stacked bar's parts: by share, and what is there at all has a few pixels."""
    total = sum(counts)
    if not total:
        return [(0.0, 0.0) for _ in counts]
    wide = [max(_LEAST_PIXELS, count / total * width) if count else 0.0 for count in counts]
    spare = sum(wide) - width
    largest = max(range(len(wide)), key=wide.__getitem__)
    wide[largest] -= spare
    ends = [round(sum(wide[: at + 1]), 2) for at in range(len(wide))]
    return list(zip([0.0, *ends[:-1]], ends, strict=True))


def _short(text: str, most: int) -> str:
    safe = plain(text)
    return safe if len(safe) <= most else f"{safe[: most - 1]}…"

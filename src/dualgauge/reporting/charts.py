"""
Charts as inline SVG: made by Altair, drawn by vl-convert without a browser, then cleaned.

A chart holds no colour of its own but names of CSS variables, so one drawing serves the light page, the dark one and
print. Text stays text. Every place is given in pixels and no label is measured, so that the same values give the same
bytes on every machine, whatever fonts it has. Only known elements and attributes are let through, and what a chart
shows is told in its title and description too.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any, Final

from dualgauge.model import plural
from dualgauge.reporting.visible_text import plain
from dualgauge.reporting.words import SIGNS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualgauge.comparison.values import ColumnCount, Comparison
    from dualgauge.reporting.values import Earlier

SVG: Final = "http://www.w3.org/2000/svg"
WIDE, NARROW = 720, 328
"""Widths of the two drawings of each chart, in pixels: one is shown, by the width of the page."""

MOST_COLUMNS: Final = 24
MOST_RUNS: Final = {WIDE: 24, NARROW: 10}

# Colours that no chart uses otherwise stand for the page's variables.
TOKENS: Final = {
    "matched": "#010101", "within": "#010102", "expected": "#010103", "changed": "#010104",
    "only-v1": "#010105", "only-v2": "#010106", "ink": "#010107", "faint": "#010108", "line": "#010109",
    "paper": "#01010a", "pass": "#01010b", "fail": "#01010c", "inconclusive": "#01010d",
}  # fmt: skip
_VARIABLES: Final = {colour: f"var(--{name})" for name, colour in TOKENS.items()}
_ELEMENTS: Final = {"svg", "g", "path", "rect", "line", "text", "title", "desc"}
_ATTRIBUTES: Final = {
    "d", "dx", "dy", "fill", "fill-opacity", "font-size", "font-weight", "height", "opacity", "stroke",
    "stroke-dasharray", "stroke-width", "text-anchor", "transform", "viewBox", "width",
    "x", "x1", "x2", "y", "y1", "y2",
}  # fmt: skip
_LEAST_PIXELS: Final = 3


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
    rows = [
        {"x": x, "x2": x2, "token": token}
        for (token, _, _), (x, x2) in zip(parts, _spread([count for _, _, count in parts], width), strict=True)
        if x2 > x
    ]
    told = ", ".join(f"{count:,} {words}" for _, words, count in parts if count)
    total = sum(count for _, _, count in parts)
    chart = _bars(rows, width, 30).properties(**_frame(width, 30, {}))
    return _clean(chart, f"Keys of {plain(name)} by outcome", f"Of {plural(total, 'key')}: {told or 'none'}.")


def columns_chart(columns: Sequence[ColumnCount], width: int, name: str) -> str:
    """A bar for each column: its cells by outcome, those with the most wrong cells first."""
    alt = _altair()
    chosen = sorted(columns, key=lambda one: (-one.differ, -one.expected, -one.within_rule))[:MOST_COLUMNS]
    step, left = 24, 190 if width == WIDE else 110
    inner = width - left
    rows: list[dict[str, Any]] = []
    for at, column in enumerate(chosen):
        counts = {
            "matched": column.equal,
            "within": column.within_rule,
            "expected": column.expected,
            "changed": column.differ,
        }
        for token, (x, x2) in zip(counts, _spread(list(counts.values()), inner), strict=True):
            if x2 > x:
                rows.append({"x": x, "x2": x2, "y": at * step + 5, "y2": at * step + step - 5, "token": token})
    labels = [
        {"y": at * step + step / 2, "text": _short(one.name, 26 if width == WIDE else 14)}
        for at, one in enumerate(chosen)
    ]
    height = step * len(chosen)
    y = alt.Y("y:Q", axis=None, scale=alt.Scale(domain=[0, height], range=[0, height], nice=False, zero=False))
    texts = (
        alt.Chart(alt.Data(values=labels))
        .mark_text(align="right", baseline="middle", fontSize=13, color=TOKENS["ink"])
        .encode(x=alt.XValue(-10), y=y, text="text:N")
    )
    chart = (_bars(rows, inner, height) + texts).properties(**_frame(inner, height, {"left": left}))
    told = "; ".join(
        f"{plain(one.name)}: {one.differ:,} of {one.compared:,} differ, {one.expected:,} expected" for one in chosen
    )
    return _clean(chart, f"Cells of {plain(name)} by column", f"{told}.")


def history_chart(history: Sequence[Earlier], width: int, name: str) -> str:
    """Mismatched and expected keys of each run as shares of its keys, oldest first, with the verdict above."""
    alt = _altair()
    runs = history[-MOST_RUNS[width] :]
    left, top, bottom, height = 46, 26, 40, 150
    inner = width - left - 8
    step = inner / len(runs)
    half = min(26.0, step * 0.36)
    rows, signs, times = [], [], []
    for at, one in enumerate(runs):
        middle = (at + 0.5) * step
        if one.keys:
            wrong, right = (one.mismatched or 0) / one.keys, (one.expected or 0) / one.keys
            tall = [height * share if not share else max(_LEAST_PIXELS, height * share) for share in (wrong, right)]
            base = float(height)
            for token, size in zip(("changed", "expected"), tall, strict=True):
                if size:
                    rows.append({"x": middle - half, "x2": middle + half, "y": base - size, "y2": base, "token": token})
                base -= size
        token = one.verdict.value if one.verdict else "faint"
        signs.append({"x": middle, "y": -12, "text": SIGNS[one.verdict], "token": token})
        if at % max(1, -(-len(runs) // (8 if width == WIDE else 3))) == 0 or at == len(runs) - 1:
            times.append({"x": middle, "y": height + 15, "text": f"{one.at:%d %b}", "token": "ink"})
            times.append({"x": middle, "y": height + 30, "text": f"{one.at:%H:%M}", "token": "faint"})
    ticks = [{"y": height * (1 - share), "text": f"{share:.0%}".replace("%", " %")} for share in (0, 0.5, 1)]
    x = alt.X("x:Q", axis=None, scale=_pixels(inner))
    y = alt.Y("y:Q", axis=None, scale=_pixels(height))
    rules = alt.Chart(alt.Data(values=ticks)).mark_rule(color=TOKENS["line"]).encode(y=y)
    scale = (
        alt.Chart(alt.Data(values=ticks))
        .mark_text(align="right", baseline="middle", fontSize=12, color=TOKENS["faint"])
        .encode(x=alt.XValue(-8), y=y, text="text:N")
    )
    words = (
        alt.Chart(alt.Data(values=times))
        .mark_text(align="center", baseline="middle", fontSize=12)
        .encode(x=x, y=y, text="text:N", color=_colour())
    )
    above = (
        alt.Chart(alt.Data(values=signs))
        .mark_text(align="center", baseline="middle", fontSize=15, fontWeight="bold")
        .encode(x=x, y=y, text="text:N", color=_colour())
    )
    chart = (rules + _bars(rows, inner, height) + scale + words + above).properties(
        **_frame(inner, height, {"left": left, "top": top, "bottom": bottom, "right": 8})
    )
    told = "; ".join(
        f"{one.at:%Y-%m-%d %H:%M} {one.verdict.value if one.verdict else 'not finished'}"
        + (f", {one.mismatched:,} mismatched and {one.expected:,} expected of {one.keys:,}" if one.keys else "")
        for one in runs
    )
    return _clean(chart, f"Runs of {plain(name)} over time", f"{told}.")


def _altair() -> Any:  # noqa: ANN401  (its classes are mostly untyped)
    import altair as alt

    return alt


def _bars(rows: Sequence[dict[str, Any]], width: int, height: int) -> Any:  # noqa: ANN401  (as _altair)
    """Boxes at given pixels; where rows give no `y` they fill the height."""
    alt = _altair()
    given = [{"y": 0, "y2": height} | row for row in rows]
    return (
        alt.Chart(alt.Data(values=given))
        .mark_rect(stroke=TOKENS["paper"], strokeWidth=1)
        .encode(
            x=alt.X("x:Q", axis=None, scale=_pixels(width)),
            x2="x2:Q",
            y=alt.Y("y:Q", axis=None, scale=_pixels(height)),
            y2="y2:Q",
            color=_colour(),
        )
    )


def _pixels(length: float) -> Any:  # noqa: ANN401  (as _altair)
    return _altair().Scale(domain=[0, length], range=[0, length], nice=False, zero=False)


def _colour() -> Any:  # noqa: ANN401  (as _altair)
    return _altair().Color(
        "token:N", legend=None, scale=_altair().Scale(domain=list(TOKENS), range=list(TOKENS.values()))
    )


def _frame(width: int, height: int, padding: dict[str, int]) -> dict[str, Any]:
    around = {"left": 0, "right": 0, "top": 0, "bottom": 0} | padding
    return {"width": width, "height": height, "padding": around, "autosize": _altair().AutoSizeParams(type="none")}


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


def _clean(chart: Any, title: str, told: str) -> str:  # noqa: ANN401  (as _altair)
    """Draw a chart and let through only what a drawing needs; colours become the page's variables."""
    import vl_convert

    drawn = vl_convert.vegalite_to_svg(chart.configure_view(stroke=None).to_dict(), allowed_base_urls=[])
    # The text is vl-convert's own, made from the chart above: no document type, no entity.
    root = ET.fromstring(drawn)  # noqa: S314
    # The white ground that Vega draws first.
    root.remove(root[0])
    _strip(root)
    for name in ("width", "height"):
        root.attrib.pop(name, None)
    root.set("role", "img")
    root.set("aria-label", title)
    for at, (name, text) in enumerate((("title", title), ("desc", told))):
        made = ET.Element(f"{{{SVG}}}{name}")
        made.text = text
        root.insert(at, made)
    ET.register_namespace("", SVG)
    return ET.tostring(root, encoding="unicode")


def _strip(element: ET.Element) -> None:
    for name, value in list(element.attrib.items()):
        if name not in _ATTRIBUTES or "url(" in value:
            del element.attrib[name]
        elif value in _VARIABLES:
            # A presentation attribute cannot hold var() in every browser; a style can.
            del element.attrib[name]
            element.set("style", ";".join(filter(None, (element.get("style"), f"{name}:{_VARIABLES[value]}"))))
    for child in list(element):
        name = child.tag.removeprefix(f"{{{SVG}}}")
        empty = name == "path" and child.get("d", "") in {"", "M0,0h0v0h0Z"}
        frame = child.get("class") in {"background", "foreground"}
        if name not in _ELEMENTS or empty or frame:
            element.remove(child)
        else:
            _strip(child)

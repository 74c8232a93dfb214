"""
The HTML page: one file that needs no network, no script and no font of its own.

Templates escape what they print; every value from data passes through `shown_html` besides, which names what cannot be
seen and isolates its direction, so that no value can reorder the page around it.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dualgauge import __version__
from dualgauge.model import Outcome
from dualgauge.reporting import charts
from dualgauge.reporting.from_json import read_as
from dualgauge.reporting.sections import drifts_of, reason
from dualgauge.reporting.values import Report, ReportSection
from dualgauge.reporting.visible_text import MOST_OF_A_SENTENCE, pieces, plain, text_of, window
from dualgauge.reporting.words import (
    SIGNS,
    behind_text,
    columns_of,
    percent,
    schema_differences,
    share,
    standing_text,
    verdict_lines,
    when,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from jinja2 import Environment
    from markupsafe import Markup

    from dualgauge.comparison.values import Comparison

TEMPLATES: Final = Path(__file__).parent / "templates"

MOST_SAMPLES: Final = 40
"""Sampled rows on a page; the JSON file has all that the run kept."""


def html(report: Report) -> str:
    """The whole page."""
    return environment().get_template("page.html.j2").render(report=report, most_samples=MOST_SAMPLES)


def of_comparison(comparison: Comparison, *, name: str, v1: str, v2: str, made_at: datetime) -> str:
    """
    The same page of a comparison that belongs to no project.

    Args:
        comparison: what was found.
        name: what to call it.
        v1, v2: what was compared, as a reader knows it: a path, a URL without its password.
        made_at: the time to print.
    """
    from dualgauge.comparison.values import Comparison as Found

    # As JSON holds it, so that the page is the same as one made from a kept file.
    found = read_as(Found, comparison.to_json())
    section = ReportSection(
        name=name, verdict=found.verdict, why=tuple(reason(one) for one in found.why), comparison=found,
        drifts=found.drifts, sources=(v1, v2),
    )  # fmt: skip
    report = Report(
        migration=None, made_at=made_at, version=__version__, verdict=found.verdict, why=tuple(verdict_lines(section)),
        head=None, stage=None, share_ppm=None, sections=(section,),
    )  # fmt: skip
    return html(report)


@cache
def environment() -> Environment:
    """The templates, escaping everything, and refusing a name that is not given."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "shown": shown_html,
        "told": lambda sentence: shown_html(sentence, most=MOST_OF_A_SENTENCE),
        "line": plain,
        "columns": columns_of,
        "cell": cell,
        "n": lambda number: f"{number:,}",
        "share": share,
        "when": _time,
        "percent": percent,
        "behind": behind_text,
    }
    made.globals |= {
        "signs": SIGNS,
        "outcomes": charts.outcomes,
        "drawn": _drawn,
        "drifted": drifts_of,
        "schema_differences": schema_differences,
        "standing_text": standing_text,
        "pass_": Outcome.PASS,
        "fail": Outcome.FAIL,
        "WIDE": charts.WIDE,
        "NARROW": charts.NARROW,
    }
    return made


def shown_html(text: object, other: str | None = None, most: int | None = None) -> Markup:
    """A text from data: its direction isolated, what cannot be seen named, cut where it is very long."""
    from markupsafe import Markup, escape

    seen = window(str(text), other, most) if most else window(str(text), other)
    parts = [Markup('<span class="cut">{:,} characters before …</span>').format(seen.before)] if seen.before else []
    named = Markup('<span class="unseen">{}</span>')
    parts += [named.format(one.text) if one.named else escape(one.text) for one in pieces(seen.text)]
    if seen.after:
        parts.append(Markup('<span class="cut">… {:,} characters more</span>').format(seen.after))
    return Markup("<bdi>{}</bdi>").format(Markup("").join(parts))


def cell(row: Mapping[str, object] | None, column: str, other: Mapping[str, object] | None = None) -> Markup:
    """One cell of a sampled row; NULL, the empty text and a missing row are told from texts that read the same."""
    from markupsafe import Markup

    if row is None:
        return Markup('<span class="none">no row</span>')
    if column not in row:
        return Markup('<span class="none">no column</span>')
    value = row[column]
    if value is None:
        return Markup('<span class="none">NULL</span>')
    if value == "":
        return Markup('<span class="none">empty text</span>')
    twin = other.get(column) if other else None
    return shown_html(text_of(value), None if twin is None else text_of(twin))


def both_widths(draw: Callable[[int], str]) -> Markup:
    """Both drawings of a chart, by their widths; the page shows the one that fits. `charts` builds and cleans them."""
    from markupsafe import Markup

    form = Markup('<div class="chart {}">{}</div>')
    widths = ((charts.WIDE, "wide"), (charts.NARROW, "narrow"))
    return Markup("").join(form.format(name, Markup(draw(width))) for width, name in widths)  # noqa: S704  (cleaned)


def _drawn(kind: str, section: ReportSection) -> Markup:
    found: Any = section.comparison
    if kind == "outcomes":
        return both_widths(lambda width: charts.outcome_chart(found, width, section.name))
    if kind == "columns":
        return both_widths(lambda width: charts.columns_chart(found.columns, width, section.name))
    return both_widths(lambda width: charts.history_chart(section.history, width, section.name))


def _time(at: datetime) -> Markup:
    from markupsafe import Markup

    return Markup('<time datetime="{}">{}</time>').format(at.isoformat(timespec="seconds"), when(at))

"""A series, written as four files: a page, Markdown, JSON and JUnit XML."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from dualgauge.reporting import charts
from dualgauge.reporting.html import both_widths, environment
from dualgauge.reporting.report import write_all
from dualgauge.reporting.series.junit import junit
from dualgauge.reporting.series.markdown import column_of, markdown, notes, state_of
from dualgauge.reporting.series.values import SeriesFiles
from dualgauge.reporting.values import Earlier

if TYPE_CHECKING:
    from pathlib import Path

    from dualgauge.reporting.series.values import Series

HTML, MARKDOWN, JSON, JUNIT = "series.html", "series.md", "series.json", "series.xml"
SCHEMA: Final = "dualgauge.series-file/1"


def write(series: Series, folder: Path, root: Path) -> SeriesFiles:
    """
    Write the files into a folder, which is made; those of an older report there are replaced.

    Raises:
        ReportNotWritten: the folder cannot be made or written.
    """
    whole = json.dumps({"schema": SCHEMA, **series.to_json()}, indent=2, ensure_ascii=False, allow_nan=False)
    texts = {HTML: page(series), MARKDOWN: markdown(series), JSON: f"{whole}\n", JUNIT: junit(series)}
    shown = write_all(texts, folder, root)
    files = {name.rpartition(".")[2]: folder / name for name in texts}
    return SeriesFiles(series, folder, shown, files["html"], files["md"], files["json"], files["xml"])


def page(series: Series) -> str:
    """The HTML page: one file, without a script and a network."""
    history = [
        Earlier(
            one.run, one.at, one.position, one.verdict, one.matched + one.expected + one.mismatched, one.matched,
            one.expected, one.mismatched, shown=False,
        )
        for one in series.runs
    ]  # fmt: skip
    drawn = both_widths(lambda width: charts.history_chart(history, width, series.comparator))
    return (
        environment()
        .get_template("series.html.j2")
        .render(series=series, notes=notes(series), drawn=drawn, column_of=column_of, state_of=state_of)
    )

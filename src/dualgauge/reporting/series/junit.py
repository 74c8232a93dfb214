"""A series as JUnit XML, as build servers read it: a test case for the verdict, and one for each change."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Final

from dualgauge.model import Outcome, plural
from dualgauge.reporting.series.markdown import column_of, state_of
from dualgauge.reporting.series.values import ChangeState
from dualgauge.reporting.visible_text import plain

if TYPE_CHECKING:
    from dualgauge.reporting.series.values import Series, SeriesChange

_THERE: Final = (ChangeState.NEW, ChangeState.BACK, ChangeState.ONGOING)


def junit(series: Series) -> str:
    """The whole file."""
    suite = ET.Element("testsuite", {
        "name": plain(f"dualgauge {series.comparator}"), "timestamp": f"{series.last.at:%Y-%m-%dT%H:%M:%S}",
    })  # fmt: skip
    verdict = _case(suite, series, "verdict")
    if series.verdict is Outcome.FAIL:
        _told(verdict, "failure", series.headline, series.why)
    elif series.verdict is not Outcome.PASS:
        _told(verdict, "error", series.headline, series.why)
    for one in series.changes:
        case = _case(suite, series, f"{column_of(one)}: {one.change} [{one.fingerprint}]")
        if one.state in _THERE and series.last.verdict is not Outcome.PASS:
            _told(case, "failure", f"{state_of(one)}: {plural(one.rows, 'row')}", _facts(one))
        elif one.state in _THERE:
            # Within the comparator's limits: no reason for a build to fail.
            ET.SubElement(case, "system-out").text = "\n".join(
                plain(line) for line in (f"{state_of(one)}: {plural(one.rows, 'row')}", *_facts(one))
            )
        elif one.state is ChangeState.UNKNOWN:
            _told(case, "skipped", "the last run cannot tell", ())
    for kind, tag in (("tests", "testcase"), ("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(kind, str(len(list(suite.iter(tag)))))
    ET.indent(suite)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(suite, encoding="unicode") + "\n"


def _case(suite: ET.Element, series: Series, name: str) -> ET.Element:
    seconds = series.last.seconds or 0.0
    return ET.SubElement(suite, "testcase", {
        "classname": plain(f"{series.migration}.{series.comparator}"), "name": plain(name),
        "time": f"{seconds if name == 'verdict' else 0.0:.3f}",
    })  # fmt: skip


def _told(case: ET.Element, tag: str, message: str, lines: tuple[str, ...]) -> None:
    ET.SubElement(case, tag, {"message": plain(message)}).text = "\n".join(map(plain, lines))


def _facts(one: SeriesChange) -> tuple[str, ...]:
    texts = ", ".join(f"{view} {text}" for view, text in one.first.definitions.items())
    return (
        f"before: {'unknown' if one.before is None else plural(one.before, 'row')}",
        f"first seen in run {one.first.run}, by {texts}",
        *([f"events: {', '.join(map(str, one.events))}"] if one.events else ()),
    )

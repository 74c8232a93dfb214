"""A report that has everything a report can have, with a given text in every place that data reaches."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dualgauge.comparison.values import (
    Cluster,
    ColumnCount,
    Comparison,
    DifferenceKind,
    Drift,
    ExpectedCount,
    KeyProblem,
    Mismatch,
    Profile,
    SchemaColumn,
    SchemaVerdict,
    Touching,
)
from dualgauge.model import NextStep, Outcome
from dualgauge.reporting.values import (
    Build,
    Checked,
    CheckLine,
    Earlier,
    Report,
    ReportSection,
    Run,
    Standing,
    VerdictReason,
)

if TYPE_CHECKING:
    from collections.abc import Callable

AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)

HOSTILE = (
    "<script>alert(1)</script>",
    "</script></style></title></textarea><script>alert(2)</script>",
    '"><img src=x onerror=alert(3)>',
    "' onmouseover='alert(4)' x='",
    "</style><style>*{display:none}",
    "javascript:alert(5)",
    "[click](javascript:alert(6)) ![x](http://evil.example/x.png)",
    "<svg/onload=alert(7)>",
    "<!-- ]]> -->",
    "{{ 7 * 7 }}{% raw %}",
    "&lt;b&gt;&amp;&#60;",
    "\u202egnp.exe\u202c \u2066x\u2069 \u200f",
    "\x00\x07\x1b[31m\x7f\x85\u2028",
    "\u200b\ufeff\xa0zero",
    "a|b`c``d\ne\r\n# f\t\\|g",
    "👩\u200d👩\u200d👧 🇫🇷 café naïve",
    "שלום عالم",
    "Z" + "\u0301" * 40,
    " blanks ",
    "\ud800 lone",
    "https://evil.example/?a=1&b=2 www.evil.example @someone #1",
    "*_~`> - + 1. | # <b>",
    "x" * 10_000,
    "<b>" * 4_000,
)
"""Texts that mean something else to a browser, a template, a terminal, Markdown or the eye."""


def report(text: Callable[[], str]) -> Report:
    """Put `text()` wherever data is shown; the report's form does not depend on what it gives."""
    run = Run(
        run=text(), started_at=AT, finished_at=AT, seconds=1.5, position=1_234, behind=5, said=Outcome.FAIL,
        evidence_key=text(), comparator_hash=text(), checks_hash=text(), configuration_hash=text(), folder=text(),
        builds=(Build("v1", text(), 1, text(), 2), Build("v2", text(), 1, None, 1)),
        standing=Standing(counts=False, why=(text(),)),
    )  # fmt: skip
    checked = Checked(
        run, Outcome.FAIL, (VerdictReason(text()),),
        (
            CheckLine(
                text(), text(), {text(): text(), f"{text()}2": [text()]},
                success=False, checked=9, unexpected=2, samples=(text(), 7, {text(): text(), f"{text()}2": None}),
            ),
            CheckLine(text(), text(), {}, success=None, error=text()),
            CheckLine(text(), text(), {}, success=True, checked=9, observed=text()),
        ),
    )  # fmt: skip
    history = tuple(
        Earlier(text(), AT.replace(day=day), 9, verdict, 20, 10, 4, 6, shown=day == 3)
        for day, verdict in ((1, Outcome.PASS), (2, Outcome.INCONCLUSIVE), (3, Outcome.FAIL))
    )
    found = comparison(text)
    section = ReportSection(
        name=text(), verdict=Outcome.FAIL,
        why=(VerdictReason(text()), VerdictReason("", text(), "6", "0", "20", within=False)),
        run=run, comparison=found, untraced=text(), checked=checked, drifts=found.drifts, history=history,
        notes=(text(),),
    )  # fmt: skip
    bare = ReportSection(
        name=text(),
        verdict=Outcome.INCONCLUSIVE,
        why=(VerdictReason(text()),),
        comparison=found,
        sources=(text(), text()),
    )
    never = ReportSection(name=text(), verdict=Outcome.INCONCLUSIVE, why=(VerdictReason(text()),))
    return Report(
        migration=text(), made_at=AT, version="0.0.0", verdict=Outcome.FAIL, why=(text(),), head=1_239,
        stage="shadow", share_ppm=10_000, sections=(section, bare, never), notes=(text(),),
        next_steps=(NextStep(text(), text()),),
    )  # fmt: skip


def comparison(text: Callable[[], str]) -> Comparison:
    """Every kind of finding."""
    one, two, key = f"{text()}1", f"{text()}2", f"{text()}key"
    row: dict[str, object] = {
        key: text(),
        one: text(),
        two: text(),
        f"{text()}3": None,
        f"{text()}4": {text(): [text()]},
    }
    other = {**row, two: f"{text()}!"}
    mismatches = (
        Mismatch(
            {key: row[key]},
            DifferenceKind.CHANGED,
            (two,),
            row,
            other,
            text(),
            text(),
            (Touching(3, text(), text(), text()),),
            9,
        ),
        Mismatch({key: row[key]}, DifferenceKind.ONLY_IN_V1, (), row, None, "", text(), (), 0),
    )
    profile, unordered = Profile(9, 1, 3, text(), text()), Profile(9, 1, None, None, None)
    return Comparison(
        rows_v1=20, rows_v2=21, compared=18, matched=10, expected=4, only_in_v1=1, only_in_v2=1, changed=4,
        unexpected_same=1,
        schema=(
            SchemaColumn(one, "BIGINT", "BIGINT", "BIGINT", SchemaVerdict.SAME),
            SchemaColumn(two, text(), None, None, SchemaVerdict.ONLY_IN_V1),
            SchemaColumn(text(), text(), text(), text(), SchemaVerdict.RETYPED, lost=2),
        ),
        key_problems=(KeyProblem("v1", 1, 2, 5, ({key: text()}, {key: None})),),
        columns=(ColumnCount(one, text(), 18, 12, 2, 2, 2), ColumnCount(two, text(), 18, 18, 0, 0, 0)),
        expected_by=tuple(
            ExpectedCount(text(), text(), text(), rows, expired=expired) for rows, expired in ((4, False), (1, True))
        ),
        clusters=(Cluster(text(), text(), (two,), 4, {key: text()}),),
        mismatches=mismatches,
        plan=text(),
        verdict=Outcome.FAIL,
        why=(text(),),
        in_flight=2,
        drifts=(Drift(text(), profile, unordered, (text(), text())), Drift(text(), profile, None, ())),
    )  # fmt: skip
